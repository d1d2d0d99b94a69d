"""The clock: one client that sets it, and the time zone."""
