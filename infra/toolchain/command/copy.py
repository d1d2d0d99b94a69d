"""`command:remote:CopyToRemote`: a file, a text or a folder on a server, over SFTP."""

from __future__ import annotations

from collections.abc import Iterator

import paramiko

from infra.errors import GadError
from infra.toolchain.command import tables
from infra.toolchain.command.base import Recorded, new_id, warn_unchecked
from infra.toolchain.command.connection import connect
from infra.toolchain.command.model import CopyInputs
from infra.toolchain.command.upload import Upload
from infra.toolchain.plugin import Archive, Asset, Call, Change, Created, Failure, Properties
from infra.toolchain.plugin.resource import Updated


class CopyToRemote(Recorded):
    """Copies when the content or the path changes; never looks whether it is still there, never deletes."""

    schema = tables.COPY

    def refusals(self, news: Properties) -> Iterator[Failure]:
        """Only what lies on this machine, or a text, can be copied."""
        source = news.get("source")
        if isinstance(source, Asset) and source.path is None and source.text is None:
            yield Failure(
                "source", "source must be a FileAsset or a StringAsset; a RemoteAsset cannot be copied"
            )
        if isinstance(source, Archive) and source.path is None:
            yield Failure(
                "source", "source must be a FileArchive of a path; remote and asset archives cannot be copied"
            )

    def planned(self, call: Call, inputs: Properties, state: Properties | None) -> Properties:
        """The inputs: there are no other outputs."""
        del call, state
        return dict(inputs)

    def create(self, call: Call, inputs: Properties) -> Created:
        """Copy. Raises GadError when it fails; nothing is recorded then."""
        _copy(call, CopyInputs.of(inputs))
        return Created(id=new_id(""), state=dict(inputs))

    def update(self, call: Call, id_: str, change: Change) -> Updated:
        """Copy again when content or path changed; a new connection alone copies nothing."""
        del id_
        old, new = CopyInputs.of(change.state), CopyInputs.of(change.new_inputs)
        if old.source.hash != new.source.hash or old.remote_path != new.remote_path:
            _copy(call, new)
        return Updated(state=dict(change.new_inputs))

    def delete(self, call: Call, id_: str, inputs: Properties, state: Properties) -> None:
        """Leave the copy where it is."""


def _copy(call: Call, given: CopyInputs) -> None:
    warn_unchecked(call, given.connection)
    with connect(given.connection, call) as transport:
        try:
            sftp = paramiko.SFTPClient.from_transport(transport)
            if sftp is None:
                raise GadError(f"{given.connection.host} offers no SFTP", remedy="enable it in sshd_config")
            with sftp:
                Upload(sftp, call).copy(given.source, given.remote_path)
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise GadError(
                f"failed to copy to {given.connection.host}:{given.remote_path}: {error}",
                remedy="check the path, the space and the rights there, then run again",
            ) from error
