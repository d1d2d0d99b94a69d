"""Alive, ready, in rotation: three different questions."""
