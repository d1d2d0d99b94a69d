"""The offline command provider does what the official one was observed to do.

Deliberate deviations:
- `connection.hostKey` left out: any server is accepted, as officially, but a warning names the host.
- `stdout` and `stderr` are secret as soon as a secret reaches the command, and such runs show no output.
- Secret inputs are replaced in errors; officially the error holds the whole command.
- Cancelling ends the whole process group, here and on the server; officially background processes stay.
- `dialErrorLimit` counts every try; officially one more is made than the error says.
- `hostKey` of type ssh-rsa accepts the SHA-2 signatures of today's servers; officially such a key never fits.
- Importing is refused: there is nothing to read.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import string
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import paramiko
import pytest

from tests.engine.conformance.command_cases import KINDS, Case, load_cases
from tests.engine.conformance.harness import Declared, Recorded, Run, Stack, Step
from tests.engine.conformance.ssh_agent import ssh_agent
from tests.engine.conformance.sshd import CASES, SshServer, ssh_server

pytestmark = pytest.mark.engine

TABLE = load_cases()
SOURCES = {"f.txt": "one\n", "g.txt": "two\n", "d1/a": "a\n", "d1/sub/b": "b\n", "d2/a": "a2\n"}
# Seconds for the engine to reach a point, or for processes to be gone; usually under three.
PATIENCE_S = 30


@dataclass(frozen=True)
class World:
    """Where cases write: folders here, and folders on the server."""

    folder: Path
    server: SshServer
    agent: Path
    closed_port: int

    def declared(self, name: str, inputs: Mapping[str, object], secrets: tuple[str, ...] = ()) -> Declared:
        """The case's resource, with its folder and its connection filled in."""
        kind = name.partition(".")[0]
        place = str(self.folder / "local" / name) if kind == "local" else f"{CASES}/{name}"
        given = self._filled(inputs, {"DIR": place, "SRC": str(self.folder / "src")})
        assert isinstance(given, dict)
        if kind != "local":
            wanted = {**self.server.login, **(given.get("connection") or {})}
            given["connection"] = {key: value for key, value in wanted.items() if value is not None}
        return Declared(name=name, type=KINDS[kind], inputs=given, secrets=secrets)

    def _filled(self, value: object, places: Mapping[str, str]) -> object:
        if isinstance(value, Mapping):
            return {key: self._filled(item, places) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._filled(item, places) for item in value]
        if not isinstance(value, str):
            return value
        special = {
            "$LOGIN": self.server.login,
            "$AGENT": str(self.agent),
            "$CLOSED_PORT": self.closed_port,
            "$OTHER_KEY": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUFYwwRYoXTOFkvWeLtiTC1BDcGp1l8RB2fbjBGl7Mr",
        }
        return special[value] if value in special else string.Template(value).safe_substitute(places)

    def files(self, name: str) -> Mapping[str, str]:
        """What the case's folder holds."""
        here = self.folder / "local" / name
        found = {str(p.relative_to(here)): p.read_text() for p in here.rglob("*") if p.is_file()}
        return {**found, **{path: text for path, (_, text) in self.remote(name).items()}}

    def remote(self, name: str) -> Mapping[str, tuple[int, str]]:
        """What the case's folder on the server holds, with modes."""
        files = self.server.files().items()
        return {path.removeprefix(f"{name}/"): each for path, each in files if path.startswith(f"{name}/")}


@dataclass(frozen=True)
class Story:
    """Every case's life, lived at once: one engine operation per phase."""

    created: Run
    second_preview: Run
    refreshed: Run
    edit_preview: Run
    edited: Run
    destroyed: Run
    states: tuple[Mapping[str, Recorded], Mapping[str, Recorded], Mapping[str, Recorded]]
    files: tuple[Mapping[str, Mapping[str, str]], ...]
    modes: Mapping[str, set[int]]


@pytest.fixture(scope="module")
def server() -> Iterator[SshServer]:
    with ssh_server() as running:
        yield running


@pytest.fixture(scope="module")
def agent(server: SshServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    private = io.StringIO(str(server.login["private_key"]))
    with ssh_agent(
        tmp_path_factory.mktemp("agent") / "socket", paramiko.Ed25519Key.from_private_key(private)
    ) as path:
        yield path


@pytest.fixture(scope="module")
def world(server: SshServer, agent: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("command")
    for path, text in SOURCES.items():
        file = folder / "src" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for name in TABLE.cases:
        (folder / "local" / name).mkdir(parents=True)
    server.make_folders([*TABLE.cases, *TABLE.failures])
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    return World(folder, server, agent, port)


@pytest.fixture(scope="module")
def story(world: World, new_stack: Callable[[str], Stack]) -> Story:
    stack = new_stack("command-cases")

    def look() -> Mapping[str, Mapping[str, str]]:
        return {name: world.files(name) for name in TABLE.cases}

    stack.declare([world.declared(name, case.inputs) for name, case in TABLE.cases.items()])
    created = stack.up()
    created_state, created_files = stack.exported(), look()
    modes = {name: {mode for mode, _ in world.remote(name).values()} for name in TABLE.cases}
    second_preview = stack.preview()
    for name, case in TABLE.cases.items():
        _tamper(world, name, case)
    refreshed = stack.refresh()
    refreshed_state = stack.exported()
    stack.declare([world.declared(name, case.edit or case.inputs) for name, case in TABLE.cases.items()])
    edit_preview = stack.preview()
    edited = stack.up()
    edited_state, edited_files = stack.exported(), look()
    destroyed = stack.destroy()
    return Story(
        created=created,
        second_preview=second_preview,
        refreshed=refreshed,
        edit_preview=edit_preview,
        edited=edited,
        destroyed=destroyed,
        states=(created_state, refreshed_state, edited_state),
        files=(created_files, edited_files, look()),
        modes=modes,
    )


def _tamper(world: World, name: str, case: Case) -> None:
    if case.tamper is not None:
        world.server.run("rm", f"{CASES}/{name}/{case.tamper}")


def test_every_phase_succeeds(story: Story) -> None:
    runs = (
        story.created,
        story.second_preview,
        story.refreshed,
        story.edit_preview,
        story.edited,
        story.destroyed,
    )
    assert [run.output for run in runs if not run.ok] == []


@pytest.mark.parametrize("name", TABLE.cases)
def test_steps(story: Story, name: str) -> None:
    expected = TABLE.cases[name].edit_steps()
    assert story.created.of(name) == (Step("create"),)
    assert story.second_preview.of(name) == (Step("same"),)
    assert story.refreshed.of(name) == (Step("refresh"),)
    assert story.edit_preview.of(name) == expected
    assert story.edited.of(name) == expected
    assert story.destroyed.of(name) == (Step("delete"),)


@pytest.mark.parametrize("name", TABLE.cases)
def test_effects(story: Story, name: str) -> None:
    assert tuple(files[name] for files in story.files) == TABLE.cases[name].files


@pytest.mark.parametrize("name", [name for name in TABLE.cases if name.startswith("copy.")])
def test_copies_have_the_servers_default_mode(story: Story, name: str) -> None:
    assert story.modes[name] == {0o644}


@pytest.mark.parametrize("name", [name for name, case in TABLE.cases.items() if case.outputs])
def test_outputs(story: Story, name: str) -> None:
    outputs = story.states[0][name].outputs
    assert {key: outputs[key] for key in ("stdout", "stderr")} == TABLE.cases[name].outputs


@pytest.mark.parametrize("name", [name for name, case in TABLE.cases.items() if case.edited_outputs])
def test_outputs_after_the_edit(story: Story, name: str) -> None:
    outputs = story.states[2][name].outputs
    assert {key: outputs[key] for key in ("stdout", "stderr")} == TABLE.cases[name].edited_outputs


@pytest.mark.parametrize("name", [name for name in TABLE.cases if name.startswith("local.")])
def test_a_refresh_changes_nothing(story: Story, name: str) -> None:
    assert story.states[0][name] == story.states[1][name]


def test_warnings(story: Story) -> None:
    created = {name: case.create_warns for name, case in TABLE.cases.items() if case.create_warns}
    edited = {name: case.warns for name, case in TABLE.cases.items() if case.warns}
    assert [name for name, text in created.items() if text not in story.created.errors(name)] == []
    assert [name for name, text in edited.items() if text not in story.edited.errors(name)] == []
    assert [
        each for each in story.created.diagnostics if each.split(": ")[0] in {*TABLE.cases} - {*created}
    ] == []


@pytest.fixture(scope="module")
def failed(world: World, new_stack: Callable[[str], Stack]) -> tuple[Run, Mapping[str, Recorded]]:
    stack = new_stack("command-failures")
    stack.declare([world.declared(name, case.inputs) for name, case in TABLE.failures.items()])
    run = stack.up("--continue-on-error")
    return run, stack.exported()


@pytest.mark.parametrize("name", TABLE.failures)
def test_failures(failed: tuple[Run, Mapping[str, Recorded]], name: str) -> None:
    run, state = failed
    assert not run.ok
    assert run.of(name) == (Step("create"),)
    assert [text for text in TABLE.failures[name].says if text not in f"{run.errors(name)}\n"] == []
    assert name not in state


def test_a_type_that_is_not_supported_is_refused_by_name(new_stack: Callable[[str], Stack]) -> None:
    stack = new_stack("command-refused")
    inputs = {"connection": {"host": "h"}, "local_path": "a", "remote_path": "b"}
    stack.declare([Declared(name="old", type="pulumi_command.remote.CopyFile", inputs=inputs)])
    run = stack.preview()
    assert not run.ok
    assert "command:remote:CopyFile is not supported" in run.output
    assert "Traceback" not in run.output


def test_secrets_stay_secret(world: World, new_stack: Callable[[str], Stack]) -> None:
    stack = new_stack("command-secrets")
    word = "Tr0ub4dor-and-three"
    inputs = {"create": "cat", "stdin": f"{word}\n"}
    stack.declare(
        [
            world.declared("local.secret", inputs, ("stdin",)),
            world.declared("remote.secret", inputs, ("stdin",)),
            world.declared("remote.secret_fails", {**inputs, "create": "cat; exit 3"}, ("stdin",)),
            world.declared("local.secret_fails", {"create": f"echo {word} says no; exit 3"}, ("create",)),
        ]
    )
    run = stack.up("--continue-on-error")
    clear = stack.exported("--show-secrets")
    written = "".join(path.read_text() for path in (stack.folder / "state").rglob("*.json"))
    assert set(clear) >= {"local.secret", "remote.secret"}
    assert word in json.dumps(clear["local.secret"].outputs["stdout"])
    assert word in json.dumps(clear["remote.secret"].outputs["stdout"])
    assert "exit status 3" in run.errors("local.secret_fails")
    assert "Process exited with status 3" in run.errors("remote.secret_fails")
    events = (stack.folder / "events.log").read_text()
    assert word not in run.output + events + written
    private_key = str(world.server.login["private_key"])
    assert private_key.splitlines()[1] not in run.output + events + written


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_stopping_the_engine_ends_running_commands(
    world: World, new_stack: Callable[[str], Stack], how: signal.Signals
) -> None:
    stack = new_stack(f"command-{how.name.lower()}")
    seconds = {signal.SIGINT: "7001", signal.SIGKILL: "7002"}[how]
    script = f"sleep {seconds} & echo started >> {{}}; sleep {seconds}"
    here = world.folder / f"started-{seconds}"
    there = f"{CASES}/started-{seconds}"
    stack.declare(
        [
            world.declared("local.slow", {"create": script.format(here)}),
            world.declared("remote.slow", {"create": script.format(there)}),
        ]
    )
    engine = stack.start("up", "--yes", "--skip-preview")
    try:
        _await(
            lambda: here.exists() and f"started-{seconds}" in world.server.files(), "the commands to start"
        )
        engine.send_signal(how)
        engine.wait(PATIENCE_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            engine.kill()
        engine.communicate()
    assert engine.returncode != 0
    # Processes in the container are visible here too.
    _await(lambda: _running(f"sleep {seconds}") == [], "every sleep to be gone")
    _await(lambda: _running(str(stack.folder)) == [], "every plugin to be gone")


def _running(text: str) -> list[str]:
    """Command lines of living processes that hold `text` or work in the folder `text`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            if command and (text in command or os.readlink(process / "cwd") == text):  # noqa: PTH115 not resolved
                found.append(command)
    return found


def _await(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {PATIENCE_S} s for {what}")
        time.sleep(0.1)
