"""The database as it was before a release, on the machine that has it."""

from __future__ import annotations

from dataclasses import dataclass

from pulumi import ComponentResource, Output, Resource, ResourceOptions

from infra.components.host import Host, host_command, printed
from infra.names import Names
from infra.steps.backup import backup


@dataclass(frozen=True, kw_only=True)
class BackupArgs:
    """`key` is the attempt and the image that is to come, by digest; another key is another dump.

    `is_settled` says that no schema is to come: then none is taken, whatever the key. The newest `keep` dumps
    stay in `directory`.
    """

    host: Host
    names: Names
    directory: str
    key: str
    is_settled: bool
    keep: int
    needs: tuple[Resource, ...]


class Backup(ComponentResource):
    """A dump that was read back whole.

    `taken`: its path, its size in bytes, the seconds it took; or that there is nothing to back up yet.
    """

    taken: Output[str]

    def __init__(self, name: str, args: BackupArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("stack:data:Backup", name, None, opts)
        take = host_command(
            f"{name}-take",
            args.host,
            create=backup(
                container=args.names.container("postgres"), directory=args.directory, keep=args.keep
            ),
            stdin=args.key,
            opts=ResourceOptions(
                parent=self,
                depends_on=list(args.needs),
                ignore_changes=["create", "stdin"] if args.is_settled else [],
            ),
        )
        self.taken = printed(take)
        self.register_outputs({})
