"""The contract of `command` 1.2.1 as data: properties, types, defaults, what is refused and why."""

from __future__ import annotations

from infra.toolchain.plugin import Property, Schema, boolean, integer, listing, mapping, obj, string

TRIGGERS = listing(Property(type="any"), replaces=True)
_OUTPUTS = {"stdout": string(output=True), "stderr": string(output=True)}
_COMMANDS = {
    "create": string(),
    "update": string(),
    "delete": string(),
    "stdin": string(),
    "environment": mapping(string()),
    "logging": string(),
    "addPreviousOutputInEnv": boolean(),
    "triggers": TRIGGERS,
    **_OUTPUTS,
}
_ENDPOINT = {
    "host": string(required=True),
    "port": integer(default=22),
    "user": string(default="root"),
    "password": string(),
    "privateKey": string(),
    "privateKeyPassword": string(),
    "agentSocketPath": string(),
    "hostKey": string(),
    "dialErrorLimit": integer(default=10),
    "perDialTimeout": integer(default=15),
}
_CONNECTION = obj({**_ENDPOINT, "proxy": obj(_ENDPOINT)}, required=True)

LOCAL = Schema(
    token="command:local:Command",  # noqa: S106 a type token
    properties={
        **_COMMANDS,
        "interpreter": listing(string()),
        "dir": string(),
        "assetPaths": listing(string()),
        "archivePaths": listing(string()),
        "assets": mapping(Property(type="asset"), output=True),
        "archive": Property(type="asset", output=True),
    },
)
REMOTE = Schema(
    token="command:remote:Command",  # noqa: S106 a type token
    properties={**_COMMANDS, "connection": _CONNECTION},
)
COPY = Schema(
    token="command:remote:CopyToRemote",  # noqa: S106 a type token
    properties={
        "connection": _CONNECTION,
        "source": Property(type="asset", required=True),
        "remotePath": string(required=True),
        "triggers": TRIGGERS,
    },
)
REFUSED = {
    "command:remote:CopyFile": "it is deprecated; use command.remote.CopyToRemote",
    "command:local:run": "use command.local.Command, which the plan can show",
}
