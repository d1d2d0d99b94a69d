"""The secrets of a stack as files: one directory per reader, holding only what that reader needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pulumi import ComponentResource, Output, ResourceOptions

from infra.components.files import HostFiles, HostFilesArgs
from infra.components.host import Host


@dataclass(frozen=True, kw_only=True)
class ReaderSecrets:
    """What one reader gets: file name to content, a name for the present content, and where it reads."""

    files: Mapping[str, Output[str]]
    revision: str
    host: Host
    host_dir: str


@dataclass(frozen=True, kw_only=True)
class SecretsArgs:
    """Readers and their files; `pack` turns contents into the archive that is sent to the host."""

    readers: Mapping[str, ReaderSecrets]
    pack: Callable[[Mapping[str, str]], str]


class Secrets(ComponentResource):
    """Secret files beside their readers. They never are environment, arguments, labels or image layers."""

    readers: dict[str, HostFiles]

    def __init__(self, name: str, args: SecretsArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("stack:host:Secrets", name, None, opts)
        self.readers = {
            reader: HostFiles(
                f"{name}-{reader}",
                HostFilesArgs(
                    host=secrets.host,
                    parent_dir=f"{secrets.host_dir}/secrets/{reader}",
                    revision=secrets.revision,
                    archive=Output.secret(Output.all(**secrets.files).apply(args.pack)),
                    secret=True,
                ),
                opts=ResourceOptions(parent=self),
            )
            for reader, secrets in sorted(args.readers.items())
        }
        self.register_outputs({})
