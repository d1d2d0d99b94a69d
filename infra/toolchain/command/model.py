"""What the program asked of a command or a copy, typed; built from property maps that passed their check."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Self

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from infra.toolchain.plugin import Archive, Asset, Properties, Value


class Logging(Enum):
    """Which streams are shown while the command runs; both are always captured."""

    STDOUT = "stdout"
    STDERR = "stderr"
    BOTH = "stdoutAndStderr"
    NONE = "none"

    def shows(self, stream: str) -> bool:
        """Whether `stream` (stdout or stderr) is shown."""
        return self is Logging.BOTH or self.value == stream


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, arbitrary_types_allowed=True
    )

    @classmethod
    def of(cls, properties: Mapping[str, Value]) -> Self:
        """The model of a property map; outputs and the engine's own keys in it are left out."""
        known = {field.alias for field in cls.model_fields.values()}
        return cls.model_validate({key: value for key, value in properties.items() if key in known})


class Commands(_Model):
    """What local and remote commands have in common."""

    create: str | None = None
    update: str | None = None
    delete: str | None = None
    stdin: str | None = None
    environment: dict[str, str] = {}
    logging: Logging = Logging.BOTH
    add_previous_output_in_env: bool = True
    triggers: list[object] = []

    @property
    def on_update(self) -> str | None:
        """The command of an edit: `create` again when there is no `update`."""
        return self.create if self.update is None else self.update

    def variables(self, state: Properties) -> dict[str, str]:
        """PULUMI_COMMAND_STDOUT and _STDERR of the run recorded in `state`; empty outputs set nothing."""
        if not self.add_previous_output_in_env:
            return {}
        streams = {"PULUMI_COMMAND_STDOUT": state.get("stdout"), "PULUMI_COMMAND_STDERR": state.get("stderr")}
        return {name: text for name, text in streams.items() if isinstance(text, str) and text}


class LocalInputs(Commands):
    """`command:local:Command`."""

    interpreter: list[str] = []
    dir: str | None = None
    asset_paths: list[str] | None = None
    archive_paths: list[str] | None = None


class Endpoint(_Model):
    """One SSH server and how to enter it. Times in seconds; 0 is no limit, -1 errors is no limit."""

    host: str
    port: int = 22
    user: str = "root"
    password: str | None = None
    private_key: str | None = None
    private_key_password: str | None = None
    agent_socket_path: str | None = None
    host_key: str | None = None
    dial_error_limit: int = 10
    per_dial_timeout: int = 15

    def secrets(self) -> list[str]:
        """The values nobody may read."""
        return [value for value in (self.password, self.private_key, self.private_key_password) if value]


class Connection(Endpoint):
    """An SSH server, perhaps reached through another one."""

    proxy: Endpoint | None = None

    def secrets(self) -> list[str]:
        """The values nobody may read, the proxy's among them."""
        return [*super().secrets(), *(self.proxy.secrets() if self.proxy else [])]


class RemoteInputs(Commands):
    """`command:remote:Command`."""

    connection: Connection


class CopyInputs(_Model):
    """`command:remote:CopyToRemote`."""

    connection: Connection
    source: Asset | Archive
    remote_path: str
    triggers: list[object] = []
