"""The controls of a server, config/controls.yaml: what is set, why, by whose demand, and what it breaks.

The one source of pyinfra's steps, of the tests' expectations, of the table in the documents and of evidence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, NoReturn, Self, get_args

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from infra.errors import Exit, GadError

FILE = Path("config") / "controls.yaml"

Os = Literal["debian-13", "ubuntu-24.04"]
SYSTEMS: tuple[Os, ...] = get_args(Os)

Scalar = StrictBool | StrictInt | StrictStr
Value = Scalar | tuple[Scalar, ...] | Mapping[str, Scalar | tuple[Scalar, ...]]

# Whose demand, by the abbreviations of the judges: linux-baseline, ssh-baseline, docker-bench-security,
# debian-cis, Lynis, ssh-audit; then its own number.
Ref = Annotated[str, Field(pattern=r"^(LB|SB|DB|DC|Ly|SA) [A-Za-z0-9._-]+$")]


class Waiver(BaseModel):
    """Why a demand named in `refs` is not met, until a day on which somebody must decide again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str = Field(min_length=20)
    expires: date


class Control(BaseModel):
    """One thing that holds on a server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z][a-z0-9_-]*\.[A-Za-z0-9_.-]+$")  # topic.name; a directive keeps its case
    value: Value
    why: str = Field(min_length=10)
    refs: tuple[Ref, ...] = ()
    applies_to: tuple[Os, ...] = SYSTEMS
    breaks: str | None = None  # what stops working with it; None: nothing is known
    waiver: Waiver | None = None

    @model_validator(mode="after")
    def _waives_a_demand(self) -> Self:
        if self.waiver is not None and not self.refs:
            raise ValueError("waiver without refs: it must say whose demand is not met")
        return self


class Values(RootModel[Mapping[str, Value]]):
    """The values of controls by id, asked for by type. A typo in an id is an error."""

    model_config = ConfigDict(frozen=True)

    def value(self, control: str) -> Value:
        """The value of a control. Raises GadError if there is none of this id here."""
        if control not in self.root:
            raise GadError(
                f"{control} is no control here", remedy=f"add it to {FILE}, or to what the step serves"
            )
        return self.root[control]

    def flag(self, control: str) -> bool:
        """A value that is true or false. Raises GadError if it is neither."""
        value = self.value(control)
        return value if isinstance(value, bool) else _refuse(control, value, "true or false")

    def number(self, control: str) -> int:
        """A value that is a whole number. Raises GadError if it is none."""
        value = self.value(control)
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return value if is_number and isinstance(value, int) else _refuse(control, value, "a whole number")

    def text(self, control: str) -> str:
        """A value that is a text. Raises GadError if it is none."""
        value = self.value(control)
        return value if isinstance(value, str) else _refuse(control, value, "a text")

    def items(self, control: str) -> tuple[str, ...]:
        """A value that is a list of texts. Raises GadError if it is none."""
        value = self.value(control)
        if not isinstance(value, tuple):
            return _refuse(control, value, "a list of texts")
        return tuple(
            each if isinstance(each, str) else _refuse(control, each, "a list of texts") for each in value
        )

    def table(self, control: str) -> Mapping[str, Scalar | tuple[Scalar, ...]]:
        """A value that is a mapping. Raises GadError if it is none."""
        value = self.value(control)
        return value if isinstance(value, Mapping) else _refuse(control, value, "a mapping")

    def under(self, topic: str) -> Mapping[str, Value]:
        """All controls of a topic in the order of the file, without the topic: `sshd_config` → `Port`, …"""
        begin = f"{topic}."
        return {
            control.removeprefix(begin): value
            for control, value in self.root.items()
            if control.startswith(begin)
        }

    def only(self, serves: Iterable[str]) -> Values:
        """The part a step declares to serve: ids, or all of a topic as `topic.*`.

        Raises GadError for a pattern that names nothing.
        """
        patterns = tuple(serves)
        for pattern in patterns:
            if not any(fnmatchcase(control, pattern) for control in self.root):
                raise GadError(f"a step serves {pattern}, which is no control", remedy=f"add it to {FILE}")
        return Values(
            {
                control: value
                for control, value in self.root.items()
                if any(fnmatchcase(control, pattern) for pattern in patterns)
            }
        )


class Controls(BaseModel):
    """All controls, by unique ids, in the order of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    controls: tuple[Control, ...]

    @model_validator(mode="after")
    def _is_unique(self) -> Self:
        twice = sorted(name for name, times in Counter(self.ids).items() if times > 1)
        if twice:
            raise ValueError(f"{', '.join(twice)} occurs twice")
        return self

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids in the order of the file."""
        return tuple(control.id for control in self.controls)

    def control(self, control: str) -> Control:
        """One control. Raises GadError if there is none of this id."""
        found = next((each for each in self.controls if each.id == control), None)
        if found is None:
            raise GadError(f"{control} is no control", remedy=f"add it to {FILE}")
        return found

    def value(self, control: str) -> Value:
        """The value of a control. Raises GadError if there is none of this id."""
        return self.control(control).value

    def values_for(self, system: Os) -> Values:
        """The values that hold on an operating system."""
        return Values({each.id: each.value for each in self.controls if system in each.applies_to})

    def expired(self, today: date) -> tuple[Control, ...]:
        """Controls whose waiver has run out: its last day is the one named in `expires`."""
        return tuple(each for each in self.controls if each.waiver and each.waiver.expires < today)


def load(root: Path, *, today: date) -> Controls:
    """The controls of a checkout. Raises GadError for a wrong control, by its key, or an expired waiver."""
    text = (root / FILE).read_text(encoding="utf-8")
    found = parse(text)
    if late := found.expired(today):
        names = ", ".join(f"{each.id} ({each.waiver.expires})" for each in late if each.waiver)
        raise GadError(
            f"{FILE}: the waiver has expired of {names}",
            remedy="meet the demand, or decide again and state the reason and a new day",
            exit_code=Exit.USAGE,
        )
    return found


def parse(text: str) -> Controls:
    """Controls out of YAML. Raises GadError that names each wrong control and key."""
    try:
        document = yaml.safe_load(text)
        return Controls.model_validate(document)
    except yaml.YAMLError as error:
        fact = f"is no YAML: {error}"
    except ValidationError as error:
        entries = document.get("controls") if isinstance(document, dict) else None
        fact = "; ".join(sorted({_fact(detail["loc"], detail["msg"], entries) for detail in error.errors()}))
    raise GadError(f"{FILE}: {fact}", remedy="correct the file", exit_code=Exit.USAGE) from None


def _fact(location: tuple[int | str, ...], message: str, entries: object) -> str:
    """`ssh.port.value: …`; a control without an id is named by its place."""
    path = [str(part) for part in location]
    if isinstance(entries, list) and len(location) > 1 and isinstance(location[1], int):
        entry = entries[location[1]]
        name = entry.get("id") if isinstance(entry, dict) else None
        # The kinds a value may have are all tried: one line for the key says enough.
        path = [str(name or f"controls[{location[1]}]"), *path[2:3]]
    return f"{'.'.join(path) or 'the file'}: {message.removeprefix('Value error, ')}"


def _refuse(control: str, value: object, wanted: str) -> NoReturn:
    raise GadError(f"{control} is {value!r}, wanted is {wanted}", remedy=f"correct {FILE}")
