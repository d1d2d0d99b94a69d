"""What Pulumi would do after a refresh, as differences. Pure; the state stays as it is."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.errors import GadError
from infra.operate.drift_report import AS_DECLARED, OTHERWISE, Difference, one_line

# Reads every resource back, and says what an update would do; changes neither state nor stack.
PREVIEW = ("preview", "--refresh", "--json", "--suppress-progress")

CONTAINER = "docker:index/container:Container"
VOLUME = "docker:index/volume:Volume"
NETWORK = "docker:index/network:Network"
# Components and providers only group; a stack's own resource has no outside.
GROUPS = ("stack:", "gad:", "pulumi:")
CHANGING = {"create", "update", "replace", "create-replacement", "delete"}

# Keys of a container that are one thing for people, by that thing's name.
ASPECTS: Mapping[str, str] = {
    **{"memory": "memory", "memorySwap": "memory", "cpus": "processor time", "envs": "environment"},
    **{"labels": "labels", "ports": "ports", "mounts": "mounts", "image": "image", "user": "user"},
    **{"restart": "restart policy", "networksAdvanced": "networks", "mustRun": "container"},
    **{"logDriver": "log", "logOpts": "log", "dns": "names", "dnsSearches": "names", "hosts": "names"},
}
# Values that can be shown; of others only that they differ: an environment may hold a secret.
SHOWN = {"cpus", "image", "memory", "memorySwap", "restart", "user"}


class _State(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str = ""
    inputs: dict[str, object] = Field(default_factory=dict)
    outputs: dict[str, object] = Field(default_factory=dict)
    protect: bool = False
    dependencies: tuple[str, ...] = ()


class _Step(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    op: str
    urn: str
    old: _State = Field(default=_State(), alias="oldState")
    new: _State = Field(default=_State(), alias="newState")
    keys: tuple[str, ...] | None = Field(default=None, alias="diffReasons")

    @property
    def type(self) -> str:
        return self.new.type or self.old.type

    @property
    def name(self) -> str:
        return self.urn.rsplit("::", 1)[-1]


class _Preview(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    steps: tuple[_Step, ...]


def differences(printed: str, stack: str) -> tuple[Difference, ...]:
    """Out of `pulumi preview --refresh --json`. Raises GadError if that is not what it prints today."""
    try:
        steps = _Preview.model_validate_json(printed).steps
    except ValidationError as error:
        raise GadError(
            f"pulumi reports in another form: {error.errors()[0]['msg']}",
            remedy="run `gad setup`, which gets the engine this was written for",
        ) from None
    changing = [each for each in steps if each.op in CHANGING and not each.type.startswith(GROUPS)]
    remade = {each.urn for each in changing if each.type == CONTAINER and each.op != "update"}
    return tuple(
        found
        for step in changing
        # A command about a container that is to be made again follows from it, and is no difference.
        if not (step.type.startswith("command:") and remade & set(step.new.dependencies))
        for found in _of_step(step, stack)
    )


def subject_of(name: str, type_: str) -> str:
    """`redis-server` → `redis`, `redis-data` (a volume) → `volume redis`; others by their own name."""
    match type_:
        case t if t == CONTAINER:
            return name.removesuffix("-server")
        case t if t == VOLUME:
            return f"volume {name.removesuffix('-data')}"
        case t if t == NETWORK:
            return f"network {name.removeprefix('network-')}"
    return name


def _of_step(step: _Step, stack: str) -> list[Difference]:
    subject, remedy = subject_of(step.name, step.type), f"`gad up {stack}`, or `gad drift {stack} --fix`"
    if step.type == VOLUME and step.op != "update":
        remedy = "a volume is never replaced by an update: back up, `gad clean`, restore"
    if step.op in ("create", "delete"):
        is_wanted = step.op == "create"
        return [
            Difference(
                subject=subject,
                aspect="container" if step.type == CONTAINER else "resource",
                found_by=("preview",),
                expected="as the last update made it" if is_wanted else "not there",
                found="gone, or made again by hand" if is_wanted else "still there",
                remedy=remedy,
            )
        ]
    return [
        Difference(
            subject=subject,
            aspect=ASPECTS.get(key, key),
            found_by=("preview",),
            expected=_value(step.new.inputs, key, AS_DECLARED),
            found=_value(step.old.outputs, key, OTHERWISE),
            remedy=remedy,
        )
        for key in sorted({each.split(".")[0].split("[")[0] for each in step.keys or ("resource",)})
    ]


def _value(values: Mapping[str, object], key: str, instead: str) -> str:
    value = values.get(key)
    if key not in SHOWN or not isinstance(value, str | int | float):
        return instead
    return one_line(str(value))
