"""The package `command`: what it supports, and what it refuses by name."""

from __future__ import annotations

from infra.toolchain.command import tables
from infra.toolchain.command.copy import CopyToRemote
from infra.toolchain.command.local import LocalCommand
from infra.toolchain.command.remote import RemoteCommand
from infra.toolchain.plugin import Properties, Provider

VERSION = "1.2.1"


class CommandProvider(Provider):
    """The package `command`; it has no configuration."""

    def configure(self, config: Properties) -> None:
        """Take nothing."""


def command_provider() -> CommandProvider:
    """The provider with everything it supports and what it refuses by name."""
    kinds = (LocalCommand(), RemoteCommand(), CopyToRemote())
    return CommandProvider(
        name="command",
        version=VERSION,
        resources={kind.schema.token: kind for kind in kinds},
        refused=tables.REFUSED,
    )
