"""The journal, rotation of the project's logs, and accounting."""
