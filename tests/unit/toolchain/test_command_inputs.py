from __future__ import annotations

import threading

import pytest
from pydantic import ValidationError

from infra.errors import GadError
from infra.toolchain.command.base import secret_outputs
from infra.toolchain.command.model import LocalInputs
from infra.toolchain.command.provider import command_provider
from infra.toolchain.plugin import UNKNOWN, Archive, Asset, Call, Properties, Resource

URN = "urn:pulumi:dev::p::command:local:Command::c"
PROVIDER = command_provider()


def call() -> Call:
    return Call(urn=URN, type="command:local:Command", cancelled=threading.Event(), log=lambda *_: None)


def kind(token: str) -> Resource:
    return PROVIDER.resources[token]


def failures(token: str, news: Properties) -> list[tuple[str, str]]:
    return [(each.property, each.reason) for each in kind(token).check(call(), {}, news).failures]


CONNECTION: Properties = {"host": "h"}


def test_defaults_are_written_into_the_inputs_without_a_note_of_their_own() -> None:
    checked = kind("command:remote:Command").check(
        call(), {}, {"connection": {"host": "h", "proxy": {"host": "p"}}}
    )
    ends = {"port": 22, "user": "root", "dialErrorLimit": 10, "perDialTimeout": 15}
    assert checked.inputs == {"connection": {"host": "h", **ends, "proxy": {"host": "p", **ends}}}


@pytest.mark.parametrize(
    ("token", "news", "named"),
    [
        ("command:local:Command", {"creat": "x"}, "creat"),
        ("command:local:Command", {"create": ["x"]}, "create"),
        ("command:local:Command", {"logging": "loud"}, "logging"),
        ("command:remote:Command", {"create": "x"}, "connection"),
        ("command:remote:Command", {"connection": {}}, "connection.host"),
        ("command:remote:Command", {"connection": {"host": "h", "hostkey": "x"}}, "connection.hostkey"),
        ("command:remote:CopyToRemote", {"connection": CONNECTION, "remotePath": "/x"}, "source"),
        ("command:remote:CopyToRemote", {
            "connection": CONNECTION, "remotePath": "/x", "source": Asset(uri="https://h/x"),
        }, "source"),
        ("command:remote:CopyToRemote", {
            "connection": CONNECTION, "remotePath": "/x", "source": Archive(assets={}),
        }, "source"),
    ],
)  # fmt: skip
def test_wrong_inputs_are_refused_by_name(token: str, news: Properties, named: str) -> None:
    assert [name for name, _ in failures(token, news)] == [named]


@pytest.mark.parametrize(
    ("token", "news"),
    [
        ("command:local:Command", {"create": UNKNOWN, "logging": "none", "triggers": [1, {"b": [True]}]}),
        ("command:remote:Command", {"connection": UNKNOWN}),
        ("command:remote:CopyToRemote", {
            "connection": CONNECTION, "remotePath": "/x", "source": Asset(text=""),
        }),
    ],
)  # fmt: skip
def test_right_and_unknown_inputs_pass(token: str, news: Properties) -> None:
    assert failures(token, news) == []


def test_what_the_official_provider_has_and_we_refuse_is_named() -> None:
    assert sorted(PROVIDER.refused) == ["command:local:run", "command:remote:CopyFile"]


def test_an_import_is_refused() -> None:
    with pytest.raises(GadError, match="cannot be imported"):
        kind("command:local:Command").read(call(), "c1", {}, {})


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({}, {}),
        ({"stdout": "", "stderr": "e"}, {"PULUMI_COMMAND_STDERR": "e"}),
        ({"stdout": "o"}, {"PULUMI_COMMAND_STDOUT": "o"}),
    ],
)
def test_the_last_outputs_become_variables(state: Properties, expected: dict[str, str]) -> None:
    assert LocalInputs().variables(state) == expected
    assert LocalInputs(addPreviousOutputInEnv=False).variables(state) == {}


def test_inputs_of_the_wrong_shape_do_not_become_a_model() -> None:
    with pytest.raises(ValidationError):
        LocalInputs.of({"create": 3})


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (frozenset(), frozenset()),
        (frozenset({("connection",)}), frozenset()),
        (frozenset({("stdin",)}), frozenset({"stdout", "stderr"})),
        (frozenset({("environment", "PASSWORD")}), frozenset({"stdout", "stderr"})),
    ],
)
def test_outputs_are_secret_when_something_secret_reached_the_command(
    paths: frozenset[tuple[str | int, ...]], expected: frozenset[str]
) -> None:
    assert secret_outputs(paths) == expected
