"""Hardening of a server: pyinfra deploys, one folder per topic. What they set is in config/controls.yaml."""
