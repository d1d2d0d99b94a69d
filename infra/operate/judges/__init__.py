"""Judges of others: programs that nobody here wrote say what they think of a server and a stack."""
