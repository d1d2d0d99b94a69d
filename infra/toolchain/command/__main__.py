"""`python -m infra.toolchain.command <engine address>`: what the engine starts as pulumi-resource-command."""

from __future__ import annotations

import sys

from infra.toolchain.command.provider import command_provider
from infra.toolchain.plugin import serve

if __name__ == "__main__":
    sys.exit(serve(command_provider(), sys.argv[1:]))
