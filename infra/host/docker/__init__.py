"""The Docker engine from Debian: its daemon.json, who may speak to it, where the project's files lie."""
