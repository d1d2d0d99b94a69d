"""The journal, rotation of the project's logs, the folder of logs, and accounting."""
