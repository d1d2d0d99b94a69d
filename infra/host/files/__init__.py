"""Modes and owners of files that decide who may what, and files that must not be there."""
