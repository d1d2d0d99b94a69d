"""Verification of a running stack: what it exported, compared with what its host and its engine show.

    gad verify dev
    python -m pytest tests/host --gad-outputs outputs.json --gad-state state.json [--gad-authority ca.crt]
        [--gad-server server.json]

With `--gad-server` the controls of the server below the stack are checked as well, or they alone.

Nothing here reads settings or rendered text. Each test states its check in the first line of its docstring,
and what a person can do about a failure after "Remedy:"; both reach the report.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path

import pytest
from edge import Edge
from engine import Engine, Running
from pydantic import ValidationError
from secret_values import SecretValues
from stack import Stack
from testinfra.backend.base import CommandResult
from testinfra.host import Host

from infra.host.controls import Control, load
from infra.operate.outputs import ContainerDeclared, NetworkDeclared, PortDeclared, StackOutputs
from infra.operate.verify import ServerUnderTest
from infra.ssh import SshAccess

STACK = pytest.StashKey[Stack]()
OPTIONS = ("--gad-outputs", "--gad-state", "--gad-authority")
SERVER = pytest.StashKey[ServerUnderTest]()
HERE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("gad", "the stack to verify")
    group.addoption("--gad-outputs", type=Path, help="what the stack exported, as JSON")
    group.addoption("--gad-state", type=Path, help="the stack's exported state, as JSON")
    group.addoption(
        "--gad-authority", type=Path, help="certificate of the stack's own authority (tls: internal)"
    )
    group.addoption("--gad-server", type=Path, help="a hardened server and its plan, as JSON")


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


def server_of(config: pytest.Config) -> ServerUnderTest:
    """The server named by the option. Raises UsageError."""
    if SERVER not in config.stash:
        path: Path = config.getoption("--gad-server")
        try:
            config.stash[SERVER] = ServerUnderTest.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise pytest.UsageError(f"--gad-server {path}: {error}") from None
    return config.stash[SERVER]


def has_stack(config: pytest.Config) -> bool:
    """Whether there is a stack to look at; without `--gad-server` there must be."""
    return has_server(config) is False or config.getoption("--gad-outputs", default=None) is not None


def has_server(config: pytest.Config) -> bool:
    """Whether there is a server to look at."""
    return config.getoption("--gad-server", default=None) is not None


def pytest_configure(config: pytest.Config) -> None:
    if has_stack(config):
        stack_of(config)
    if has_server(config):
        server_of(config)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Each half is collected only where there is what it looks at."""
    if collection_path == HERE / "server":
        return None if has_server(config) else True
    is_of_stack = collection_path.parent == HERE and collection_path.name.startswith("test_")
    return True if is_of_stack and not has_stack(config) else None


def controls_of(server: ServerUnderTest) -> list[Control]:
    """The controls that hold on this server, with the values of its plan, in the order of the file."""
    every = load(HERE.parents[1], today=datetime.now(UTC).date()).controls
    values = server.plan.values.root
    return [each.model_copy(update={"value": values[each.id]}) for each in every if each.id in values]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "control" in metafunc.fixturenames:
        controls = controls_of(server_of(metafunc.config))
        metafunc.parametrize("control", controls, ids=[each.id for each in controls])
    if has_stack(metafunc.config):
        _parametrize_stack(metafunc)


def _parametrize_stack(metafunc: pytest.Metafunc) -> None:
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
    stated = [("subject", _subject(item)), ("check", match["check"]), ("remedy", remedy)]
    match _params(item):
        case {"control": Control() as control}:
            stated[1] = ("check", f"{control.id}: {control.why}")
            stated.append(("control", control.id))
    return stated


def _params(item: pytest.Item) -> dict[str, object]:
    return item.callspec.params if hasattr(item, "callspec") else {}


def _subject(item: pytest.Item) -> str:
    match _params(item):
        case {"control": Control()}:
            return server_of(item.config).subject
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
        message = _said(call.excinfo.value)
        if has_stack(item.config):
            message = stack_of(item.config).redact(message)
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
def _schema_begun(pytestconfig: pytest.Config) -> None:
    """Before the first check, so that its answer is there when the last ones ask for it."""
    if has_stack(pytestconfig):
        _ = stack_of(pytestconfig).schema


@pytest.fixture(scope="session")
def schema(stack: Stack) -> Future[CommandResult]:
    return stack.schema


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config) -> ServerUnderTest:
    return server_of(pytestconfig)


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
def machines(stack: Stack) -> Mapping[SshAccess | None, Host]:
    """Each machine of the stack by how it is reached."""
    return stack.hosts


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
