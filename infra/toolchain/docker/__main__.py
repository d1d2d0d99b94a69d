"""Serve the engine: `python -m infra.toolchain.docker <engine address>`."""

from __future__ import annotations

import sys

from infra.toolchain.docker.provider import DockerProvider
from infra.toolchain.plugin import serve

if __name__ == "__main__":
    sys.exit(serve(DockerProvider(), sys.argv[1:]))
