"""Counts and durations of tasks, for one person, the team and each type."""
