"""The schema's migration: one container that runs once, and whose exit status counts."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from pulumi import ComponentResource, Resource, ResourceOptions

from infra.components.files import HostFiles
from infra.components.host import Host, host_command
from infra.migrator import docker_run
from infra.names import Names


@dataclass(frozen=True, kw_only=True)
class MigrationArgs:
    """The image whose schema is wanted; `secrets` holds the owner's connection and nothing else."""

    host: Host
    names: Names
    image: str
    envs: Mapping[str, str]
    secrets: HostFiles
    needs: tuple[Resource, ...]
    hosts: Mapping[str, str]  # name to address of what is on another server


class Migration(ComponentResource):
    """The schema of an image: expanded to it before any slot runs it. Never undone by a release."""

    def __init__(self, name: str, args: MigrationArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("stack:data:Migration", name, None, opts)
        # Not a docker.Container: an attached one would hide the exit status. `docker run` gives it.
        host_command(
            f"{name}-run",
            args.host,
            create=_script(args),
            opts=ResourceOptions(parent=self, depends_on=[args.secrets, *args.needs]),
        )
        self.register_outputs({})


def _script(args: MigrationArgs) -> str:
    """Remove what an interrupted run left (its transaction is rolled back), then migrate."""
    name = args.names.container("migration")
    words = docker_run(
        name=name,
        network=args.names.network("data"),
        secrets_dir=args.secrets.path,
        labels=args.names.labels("migration", "personal"),
        envs=args.envs,
        image=args.image,
        command="upgrade",
        hosts=args.hosts,
    )
    return f"docker rm --force {shlex.quote(name)} >/dev/null 2>&1 || true\nexec {shlex.join(words)}"
