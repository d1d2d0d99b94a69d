"""One stack file, `Pulumi.<stack>.yaml`, as one frozen model; the only reader of pulumi.Config.

Everything wrong in a stack file fails here, at once, with the path of the key. Downstream there is
no `get(…) or default`. A plain `str` is public by definition; secrets are `SecretStr`.
"""

from __future__ import annotations

import difflib
import hashlib
import hmac
import json
from collections.abc import Mapping
from ipaddress import IPv4Network
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from infra.claims import Claim, claim
from infra.errors import Exit, GadError
from infra.image_lock import read_lock
from infra.sections import SECRET, Proxy, RateLimits, Secrets, is_placeholder
from infra.server_section import DataServer, Server
from infra.stack_model import TLS_PAIR, StackFile

__all__ = [
    "HTTPS_PORT",
    "HTTP_PORT",
    "IMAGES",
    "ROOT",
    "SECRET",
    "DataServer",
    "Proxy",
    "RateLimits",
    "Secrets",
    "Server",
    "Settings",
    "StackFile",
    "block_of",
    "is_placeholder",
    "load",
    "local_digests",
    "parse",
    "resolve",
    "schema",
]

ROOT = Path(__file__).resolve().parents[1]
NAMESPACE = "grupo-gad"

IMAGES = ("app", "postgres", "redis", "caddy")
HTTP_PORT, HTTPS_PORT = 80, 443  # of a stack on a server that states no others


class Settings(BaseModel):
    """A whole stack, complete: nothing optional is left open."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    prefix: str
    file: StackFile
    images: Mapping[str, str]
    subnet: IPv4Network
    https_port: int
    http_port: int
    host_dir: str  # where the stack's files live, on the machine that runs its containers
    data_dir: str  # where those of PostgreSQL and Redis live, on the machine that runs them

    def revision(self, *names: str) -> str:
        """A name for the present values of these secrets: it changes with them and reveals nothing.

        Keyed, so that the name in clear in state and paths is no way to test guesses.
        """
        key = self.file.secrets.revision_key.get_secret_value().encode()
        values = {name: getattr(self.file.secrets, name).get_secret_value() for name in sorted(names)}
        return hmac.new(key, json.dumps(values).encode(), hashlib.sha256).hexdigest()[:12]


def parse(config: Mapping[str, object], *, source: str) -> StackFile:
    """Validate the values of a stack file; `source` is its name in messages.

    Raises GadError that names every wrong key by its path, what is allowed, and the nearest key.
    """
    try:
        return StackFile.model_validate(dict(config))
    except ValidationError as error:
        facts = [_fact(detail) for detail in error.errors()]
        remedies = {_remedy(detail["loc"], detail["type"], source) for detail in error.errors()}
        raise GadError(
            f"{'; '.join(facts)} ({source})", remedy="; ".join(sorted(remedies)), exit_code=Exit.USAGE
        ) from None


def _fact(detail: ErrorDetails) -> str:
    location = detail["loc"]
    path = ".".join(str(part) for part in location) or "the stack file"
    match detail["type"]:
        case "extra_forbidden":
            known = sorted(_section(location[:-1]).model_fields)
            near = difflib.get_close_matches(str(location[-1]), known, n=1)
            whole = ".".join([*(str(part) for part in location[:-1]), *near])
            hint = f"did you mean {whole}?" if near else f"allowed are {', '.join(known)}"
            return f"{path} is no setting; {hint}"
        case "missing":
            return f"{path} is missing"
        case _ if detail["type"] == TLS_PAIR:
            return detail["msg"]
        case "model_type":
            return f"{path}: must be a mapping of {', '.join(sorted(_section(location).model_fields))}"
        case "string_pattern_mismatch":  # no secret has one, so the value may be shown
            wanted = _section(location[:-1]).model_fields[str(location[-1])].description
            return f"{path}: {detail['input']!r} is not allowed; wanted: {wanted}"
    return f"{path}: {detail['msg'].removeprefix('Value error, ')}"


def _remedy(location: tuple[int | str, ...], kind: str, source: str) -> str:
    if kind == TLS_PAIR or (location and location[0] == "secrets" and kind != "extra_forbidden"):
        stack = source.removeprefix("Pulumi.").removesuffix(".yaml")
        return f"run `gad secrets init {stack}`, which creates strong ones"
    return f"correct {source}; config/stack.schema.json lists every key"


def _section(location: tuple[int | str, ...]) -> type[BaseModel]:
    section: type[BaseModel] = StackFile
    for part in location:
        annotation = section.model_fields[str(part)].annotation
        candidates = [annotation, *get_args(annotation)]
        section = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return section


def block_of(file: StackFile, *, stack: str, checkout: Path) -> Claim | None:
    """The block this machine gives a stack that runs on it; a server is no concern of its claims."""
    return claim(stack, checkout) if file.server.kind == "local" else None


def resolve(file: StackFile, *, stack: str, block: Claim | None, local_images: Mapping[str, str]) -> Settings:
    """Complete a stack file with what this machine decides: its block and locally built images.

    `block` is None for a stack on a server. Raises GadError if an image is neither in the stack file nor
    built here, if a server's network is not stated, or if its private key is not there.
    """
    stated = {name: getattr(file.images, name) for name in IMAGES}
    images: dict[str, str] = {}
    for name, digest in stated.items():
        known = digest or (local_images.get(name) if file.images.source == "local" else None)
        if known is None:
            raise GadError(
                f"images.{name} has no digest (Pulumi.{stack}.yaml)",
                remedy=f"run `gad images build {name}`"
                if file.images.source == "local"
                else f"run `gad images lock --stack {stack}`",
                exit_code=Exit.USAGE,
            )
        images[name] = known
    https_port = file.proxy.https_port or (block.https_port if block else HTTPS_PORT)
    http_port = file.proxy.http_port or (block.http_port if block else HTTP_PORT)
    subnet = file.network.subnet or (block.subnet if block else None)
    if subnet is None:
        raise GadError(
            f"network.subnet is missing (Pulumi.{stack}.yaml)",
            remedy="state a /22 that nothing on the server uses, 10.88.0.0/22 for example",
            exit_code=Exit.USAGE,
        )
    _check_private_key("server", file.server, stack)
    if file.data_server is not None:
        _check_private_key("data_server", file.data_server, stack)
    if https_port == http_port:
        raise GadError(
            f"proxy.https_port and proxy.http_port are both {http_port} (Pulumi.{stack}.yaml)",
            remedy="set one of them to another port",
            exit_code=Exit.USAGE,
        )
    host_dir = str(ROOT / ".gad" / stack / "host") if block else f"{file.server.base_dir}/{stack}"
    return Settings(
        stack=stack,
        prefix=block.prefix if block else f"gad-{stack}",
        file=file,
        images=images,
        subnet=subnet,
        https_port=https_port,
        http_port=http_port,
        host_dir=host_dir,
        data_dir=f"{file.data_server.base_dir}/{stack}" if file.data_server else host_dir,
    )


def _check_private_key(section: str, server: Server, stack: str) -> None:
    key = Path(server.private_key_file).expanduser() if server.private_key_file else None
    if key is not None and not key.is_file():
        raise GadError(
            f"{section}.private_key_file {key} does not exist (Pulumi.{stack}.yaml)",
            remedy="name the private key of the account on the server, or leave it out and use an agent",
            exit_code=Exit.USAGE,
        )


def load(stack: str) -> Settings:
    """The settings of the stack that the engine is running now.

    Reads the engine's configuration, this machine's claims and the local image lock. Raises
    GadError for anything that is not right.
    """
    source = f"Pulumi.{stack}.yaml"
    file = parse(_engine_config(), source=source)
    block = block_of(file, stack=stack, checkout=ROOT)
    return resolve(file, stack=stack, block=block, local_images=local_digests())


def _engine_config() -> dict[str, object]:
    # By key it can only be asked for what it knows; a misspelt key must be seen too. The official
    # language host sends the values in the environment, ours by standard input into the SDK.
    from pulumi.runtime.config import CONFIG, get_config_env  # noqa: PLC0415  (half a second, for programs only)

    values: dict[str, str] = {**get_config_env(), **CONFIG.get()}
    prefix = f"{NAMESPACE}:"
    return {k.removeprefix(prefix): _value(v) for k, v in values.items() if k.startswith(prefix)}


def _value(text: str) -> object:
    # The engine hands objects over as JSON and scalars as they stand.
    try:
        return json.loads(text) if text[:1] in ("{", "[") else text
    except ValueError:
        return text  # a scalar that only begins like one; the model says what is wrong with it


def local_digests() -> dict[str, str]:
    """Image name to digest, as `gad images build` recorded them; empty if it never ran."""
    return {image.name: image.digest for image in read_lock(ROOT).images}


def schema() -> str:
    """JSON Schema of a stack file, for editors; byte-stable."""
    body = StackFile.model_json_schema()
    secure = {
        "oneOf": [
            {"type": "string"},
            {"type": "object", "required": ["secure"], "properties": {"secure": {"type": "string"}}},
        ]
    }
    for name in body["$defs"]["Secrets"]["properties"].values():
        text = name.get("description", "")
        name.clear()
        name.update({"description": text, **secure})
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "GRUPO_GAD stack file",
        "type": "object",
        "required": ["config"],
        "properties": {
            "encryptionsalt": {"type": "string"},
            "secretsprovider": {"type": "string"},
            "config": {
                "type": "object",
                "additionalProperties": False,
                "patternProperties": {"^(pulumi|docker|command):": {}},
                "required": [f"{NAMESPACE}:{key}" for key in body["required"]],
                "properties": {f"{NAMESPACE}:{key}": value for key, value in body["properties"].items()},
            },
        },
        "$defs": body["$defs"],
    }
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
