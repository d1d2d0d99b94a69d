"""A stack file read before any engine runs, so that a mistake in it is said at once."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from infra import settings
from infra.errors import Exit, GadError
from infra.names import PROJECT


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    config: dict[str, object] = {}
    encryptionsalt: str | None = None
    secretsprovider: str | None = None
    encryptedkey: str | None = None
    environment: object = None


def path_of(root: Path, stack: str) -> Path:
    """`Pulumi.<stack>.yaml` of this checkout."""
    return root / f"Pulumi.{stack}.yaml"


def json_schema() -> str:
    """The JSON Schema of every stack file, for editors; byte-stable."""
    return settings.schema()


def read(root: Path, stack: str) -> dict[str, object]:
    """Its values under our namespace as they stand, secrets still encrypted. Raises GadError."""
    path = path_of(root, stack)
    if not path.is_file():
        others = [file.name.split(".")[1] for file in sorted(root.glob("Pulumi.*.yaml"))]
        raise GadError(
            f"there is no {path.name}",
            remedy=f"name one of {', '.join(others)}, or write that file",
            exit_code=Exit.USAGE,
        )
    try:
        document = _Document.model_validate(yaml.safe_load(path.read_bytes()) or {})
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark is not None else ""
        raise GadError(
            f"{path.name} is not valid YAML{line}",
            remedy="correct its indentation or quoting",
            exit_code=Exit.USAGE,
        ) from error
    except ValidationError as error:
        key = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise GadError(
            f"{path.name}: {key or 'the document'} is not what a stack file holds",
            remedy=f"put settings under config:, as {PROJECT}:KEY",
            exit_code=Exit.USAGE,
        ) from error
    prefix = f"{PROJECT}:"
    return {k.removeprefix(prefix): v for k, v in document.config.items() if k.startswith(prefix)}
