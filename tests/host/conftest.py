"""Verification of a running stack: what it exported, compared with what its host and its engine show.

    gad verify dev
    python -m pytest tests/host --gad-outputs outputs.json --gad-state state.json [--gad-authority ca.crt]

Nothing here reads settings or rendered text. Each test states its check in the first line of its docstring,
and what a person can do about a failure after "Remedy:"; both reach the report.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from concurrent.futures import Future
from pathlib import Path

import pytest
from edge import Edge
from engine import Engine, Running
from pydantic import ValidationError
from secret_values import SecretValues
from stack import Stack
from testinfra.backend.base import CommandResult
from testinfra.host import Host

from infra.operate.outputs import ContainerDeclared, NetworkDeclared, PortDeclared, StackOutputs

STACK = pytest.StashKey[Stack]()
OPTIONS = ("--gad-outputs", "--gad-state", "--gad-authority")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("gad", "the stack to verify")
    group.addoption("--gad-outputs", type=Path, help="what the stack exported, as JSON")
    group.addoption("--gad-state", type=Path, help="the stack's exported state, as JSON")
    group.addoption(
        "--gad-authority", type=Path, help="certificate of the stack's own authority (tls: internal)"
    )


def stack_of(config: pytest.Config) -> Stack:
    """The stack named by the options. Raises UsageError, so that a run without one never looks green."""
    if STACK in config.stash:
        return config.stash[STACK]
    outputs, state, authority = (config.getoption(option, default=None) for option in OPTIONS)
    if outputs is None or state is None:
        raise pytest.UsageError("--gad-outputs and --gad-state are missing: run `gad verify STACK`")
    try:
        stack = Stack(outputs, state, authority)
    except (OSError, ValidationError) as error:
        raise pytest.UsageError(f"--gad-outputs {outputs}: {error}") from None
    if stack.outputs.tls == "internal" and (authority is None or not authority.is_file()):
        raise pytest.UsageError("--gad-authority is missing: `gad up STACK` saves the stack's own authority")
    config.stash[STACK] = stack
    return stack


def pytest_configure(config: pytest.Config) -> None:
    stack_of(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    outputs = stack_of(metafunc.config).outputs
    names = metafunc.fixturenames
    if "role" in names:
        metafunc.parametrize("role", sorted(outputs.containers), scope="session")
    if "network" in names:
        metafunc.parametrize("network", sorted(outputs.networks), scope="session")
    if "volume" in names:
        metafunc.parametrize("volume", sorted(outputs.volumes), scope="session")
    if "port" in names:
        ports = [port for container in outputs.containers.values() for port in container.published]
        metafunc.parametrize(
            "port", ports, ids=lambda port: f"{port.external}/{port.protocol}", scope="session"
        )


DOCSTRING = re.compile(r"(?P<check>[^\n]+?)\.?\n\s*\n?\s*Remedy: (?P<remedy>.+?)\.?\s*", re.DOTALL)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        item.user_properties.extend(_described(item))


def _described(item: pytest.Item) -> list[tuple[str, str]]:
    """Subject, check and remedy of a test, for the report. Raises UsageError if it does not state them."""
    function = getattr(item, "function", None)
    match = DOCSTRING.fullmatch((function.__doc__ or "").strip())
    if match is None:
        raise pytest.UsageError(f"{item.nodeid}: its docstring must be a check, then `Remedy: …`")
    remedy = " ".join(match["remedy"].split())
    return [("subject", _subject(item)), ("check", match["check"]), ("remedy", remedy)]


def _subject(item: pytest.Item) -> str:
    params: dict[str, object] = item.callspec.params if hasattr(item, "callspec") else {}
    match params:
        case {"role": str(role)}:
            return role
        case {"network": str(network)}:
            return f"network {network}"
        case {"volume": str(volume)}:
            return f"volume {volume}"
        case {"port": PortDeclared() as port}:
            return f"port {port.external}/{port.protocol}"
    return str(item.module.SUBJECT)  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep of a failure what it says, without source lines and without any secret's value."""
    report = yield
    if report.failed and call.excinfo is not None:
        message = stack_of(item.config).redact(_said(call.excinfo.value))
        # A fixture that gives up says why nothing could be compared: no verdict on the check itself.
        is_prevented = isinstance(call.excinfo.value, pytest.fail.Exception)
        report.longrepr = f"{NOT_CHECKED}{message}" if is_prevented else message
    return report


NOT_CHECKED = "not checked: "
NOISE = re.compile(r"\s*(\+  where .*|Use -v to get more diff|Full diff:|$)")


def _said(error: BaseException) -> str:
    """What an exception says, without its own name where that says nothing, and without pytest's advice."""
    text = str(error) if isinstance(error, (AssertionError, pytest.fail.Exception)) else repr(error)
    return "\n".join(line for line in text.splitlines() if not NOISE.match(line)) or type(error).__name__


@pytest.fixture(scope="session")
def stack(pytestconfig: pytest.Config) -> Stack:
    return stack_of(pytestconfig)


@pytest.fixture(scope="session", autouse=True)
def schema(stack: Stack) -> Future[CommandResult]:
    """Begun before the first check, so that its answer is there when the last ones ask for it."""
    return stack.schema


@pytest.fixture(scope="session")
def outputs(stack: Stack) -> StackOutputs:
    return stack.outputs


@pytest.fixture(scope="session")
def engine(stack: Stack) -> Engine:
    return stack.engine


@pytest.fixture(scope="session")
def machine(stack: Stack) -> Host:
    return stack.host


@pytest.fixture(scope="session")
def edge(stack: Stack) -> Generator[Edge]:
    yield stack.edge
    stack.edge.close()


@pytest.fixture(scope="session")
def secrets(stack: Stack) -> SecretValues:
    return stack.secrets


@pytest.fixture
def declared(outputs: StackOutputs, role: str) -> ContainerDeclared:
    return outputs.containers[role]


@pytest.fixture
def running(engine: Engine, role: str) -> Running:
    return engine.running(role)


@pytest.fixture
def declared_network(outputs: StackOutputs, network: str) -> NetworkDeclared:
    return outputs.networks[network]


@pytest.fixture
def live(engine: Engine, outputs: StackOutputs) -> Running:
    """The container that is to be in rotation."""
    return engine.running(outputs.live)
