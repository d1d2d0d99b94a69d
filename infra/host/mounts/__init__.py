"""Mounts without devices, setuid or programs, and the one tool that would miss a /tmp with programs."""
