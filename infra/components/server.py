"""A bare server made ready: its account, its hardening, its Docker engine, before anything runs on it."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi_command as command
from pulumi import ComponentResource, ResourceOptions


@dataclass(frozen=True, kw_only=True)
class ServerArgs:
    """`order` brings the server to its plan; it must be idempotent and needs no secret in its text.

    `revision` names what the plan is made of: the order runs again when it changes.
    """

    order: str
    revision: str


class Server(ComponentResource):
    """The machine as `order` leaves it. Removing it from a stack changes nothing there."""

    def __init__(self, name: str, args: ServerArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("gad:server:Server", name, None, opts)
        self.ready = command.local.Command(
            f"{name}-ready",
            create=args.order,
            triggers=[args.revision],
            add_previous_output_in_env=False,
            opts=ResourceOptions(parent=self),
        )
        self.register_outputs({})
