"""The schema's migration: asked for, judged, rehearsed, and then run once, whose exit status counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi_command as command
from pulumi import ComponentResource, Output, Resource, ResourceOptions

from infra.components.backup import Backup
from infra.components.files import HostFiles
from infra.components.host import Host, host_command, printed
from infra.names import Names
from infra.steps.gate import Migrator, ask, lint, migrate
from infra.steps.rehearsal import ELSEWHERE, Scratch, rehearse


@dataclass(frozen=True, kw_only=True)
class MigrationArgs:
    """The image whose schema is wanted; `secrets` holds the owner's connection and nothing else.

    `key` is another one for each attempt at a release. `is_settled` says that none is made: what ran stays as
    it was, whatever else of the stack changes. `scratch` is None where PostgreSQL is on a server of its own.
    """

    host: Host
    names: Names
    image: str
    envs: Mapping[str, str]
    secrets: HostFiles
    needs: tuple[Resource, ...]
    hosts: Mapping[str, str]  # name to address of what is on another server
    key: str
    is_settled: bool
    backup: Backup
    scratch: Scratch | None
    contract: str | None  # the one step that may take something away


class Migration(ComponentResource):
    """The schema of an image: expanded to it before any slot runs it. Never undone by a release."""

    def __init__(self, name: str, args: MigrationArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("stack:data:Migration", name, None, opts)
        self._args = args
        migrator = Migrator(
            names=args.names,
            image=args.image,
            envs=args.envs,
            secrets_dir=args.secrets.path,
            hosts=args.hosts,
        )
        gate = host_command(
            f"{name}-gate",
            args.host,
            create=ask(migrator),
            stdin=args.key,
            opts=self._options(args.secrets, *args.needs, args.backup),
        )
        told = printed(gate)
        wanted = told.apply(_first_line)
        # On the machine that runs `gad`: squawk is there.
        linted = command.local.Command(
            f"{name}-lint",
            create=lint(args.names.stack, contract=args.contract),
            stdin=told,
            add_previous_output_in_env=False,
            opts=self._options(gate),
        )
        rehearsed = host_command(
            f"{name}-rehearsal",
            args.host,
            create=ELSEWHERE if args.scratch is None else rehearse(migrator, args.scratch),
            stdin=Output.concat(wanted, "\n", args.backup.taken, "\n"),
            opts=self._options(linted),
        )
        # Not a docker.Container: an attached one would hide the exit status. `docker run` gives it.
        host_command(
            f"{name}-run",
            args.host,
            create=migrate(migrator),
            stdin=Output.concat(wanted, "\n", args.key, "\n"),
            opts=self._options(args.secrets, *args.needs, rehearsed),
        )
        self.register_outputs({})

    def _options(self, *needs: Resource) -> ResourceOptions:
        ignored = ["create", "stdin"] if self._args.is_settled else []
        return ResourceOptions(parent=self, depends_on=list(needs), ignore_changes=ignored)


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
