"""The offline stand-in for the `docker` plugin 5.2.0: the types this project uses, on docker-py.

Behaves as the official plugin was observed to (tests/engine/conformance/docker.yaml holds the cases, and
names each deliberate deviation). What it does not support it refuses by name.
"""
