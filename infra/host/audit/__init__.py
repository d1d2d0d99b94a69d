"""The kernel's audit: who changed what decides about this server."""
