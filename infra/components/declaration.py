"""What the stack was declared to be, kept in its state for verification and every `gad` command."""

from __future__ import annotations

from collections.abc import Mapping

from pulumi import ComponentResource, ResourceOptions


class Declaration(ComponentResource):
    """The facts of a stack in plain values; nothing in them is secret.

    A resource of its own rather than outputs of the stack: a preview prints every output it has, and
    the one line that a person must see would drown.
    """

    def __init__(self, name: str, facts: Mapping[str, object], opts: ResourceOptions | None = None) -> None:
        super().__init__("stack:host:Declaration", name, None, opts)
        self.register_outputs(dict(facts))
