"""A release, step by step: each is a resource, so that a preview names it and a failure has its place."""

from __future__ import annotations

from dataclasses import dataclass

from pulumi import ComponentResource, CustomResource, Output, Resource, ResourceOptions

from infra.components import api
from infra.components.api import ReleaseDir
from infra.components.host import Host, host_command
from infra.steps.bake import bake
from infra.steps.park import park
from infra.steps.record import record
from infra.steps.rotation import Rotation
from infra.steps.route import route
from infra.steps.smoke import smoke


@dataclass(frozen=True, kw_only=True)
class ReleaseArgs:
    """`told` are the lines that every step reads; they change with each attempt and with nothing else.

    `record` is what the next update will find, kept by the last step. `needs` comes before anything here.
    """

    host: Host
    directory: ReleaseDir
    rotation: Rotation
    told: str
    record: str
    bake_s: int
    drain_s: int
    needs: tuple[Resource, ...]


class Release(ComponentResource):
    """From the moment before a slot is replaced to the moment when the new version is the recorded one.

    The slots themselves stand between `park` and `turn`. A step that fails ends the update: what the next
    ones would have changed stays as it was.
    """

    park: CustomResource

    def __init__(self, name: str, args: ReleaseArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("stack:app:Release", name, None, opts)
        self._name, self._args = name, args
        self.park = self._step("park", park(args.rotation), needs=(args.directory, *args.needs))

    def turn(self, slots: tuple[Resource, ...], proxy: Resource) -> Output[str]:
        """Try the slot, turn to it, watch it, write it down; gives a value once all of it is done.

        The bot, of which there are never two, has its place between the watch and the record.
        """
        rotation, start_s = self._args.rotation, api.HEALTH.wait_s
        tried = self._step("smoke", smoke(rotation, start_s=start_s), needs=(self.park, *slots, proxy))
        turned = self._step("route", route(rotation, drain_s=self._args.drain_s), needs=(tried,))
        watched = self._step("bake", bake(rotation, seconds=self._args.bake_s), needs=(turned,))
        recorded = self._step(
            "record", record(rotation), stdin=self._args.told + self._args.record, needs=(watched,)
        )
        self.register_outputs({})
        return recorded.id

    def _step(
        self, step: str, create: str, *, needs: tuple[Resource, ...], stdin: str | None = None
    ) -> CustomResource:
        return host_command(
            f"{self._name}-{step}",
            self._args.host,
            create=create,
            stdin=stdin or self._args.told,
            opts=ResourceOptions(parent=self, depends_on=list(needs)),
        )
