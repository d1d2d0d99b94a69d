"""`python -m app.smoke` beside a served process, as a release runs it in a slot's container."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack

import pytest
from conftest import settings_for
from served import run
from smoked import NAMES, NOTHING, PATIENT, SOCKETS, Slot, refuse, smoked
from sockets import peer
from stores import ROOT, Stores, wait_for
from test_health import write
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from app import __version__
from app.migrations import ORDINAL
from app.smoke_visit import Visit, allowed_origin, served_host
from app.ws import messages
from app.ws.messages import RESTARTS
from tests.ports import free_port


@pytest.fixture(scope="module")
def slot(
    stores: Stores, new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Slot]:
    with smoked(stores, new_database("gad_head"), tmp_path_factory.mktemp("smoke")) as running:
        yield running


@pytest.mark.parametrize("live", ["blue", "green"], ids=["in-rotation", "out-of-rotation"])
def test_a_slot_that_works_passes_each_check_and_keeps_nothing(slot: Slot, live: str) -> None:
    write(slot.live, live)
    before = slot.fetch("SELECT count(*) FROM audit_events")[0][0]
    code, report, said = slot.smoke()
    assert (code, said) == (0, "")
    assert (report["ok"], report["version"]) == (True, __version__)
    assert [sorted(check) for check in report["checks"]] == [["ms", "name", "ok"]] * len(NAMES)
    assert [(check["name"], check["ok"]) for check in report["checks"]] == [(name, True) for name in NAMES]
    assert (slot.shown(), slot.left()) == ([], NOTHING)
    # The trail says what happened, and through which door.
    events = slot.fetch("SELECT type, channel, success FROM audit_events ORDER BY id")[before:]
    assert events == [
        ("user.create", "cli", True),
        ("auth.login", "api", True),
        ("auth.logout", "api", True),
        ("user.delete", "cli", True),
    ]


def test_runs_at_once_do_not_disturb_each_other(slot: Slot) -> None:
    write(slot.live, "blue")
    command = [sys.executable, "-m", "app.smoke", *PATIENT]
    runs = [subprocess.Popen(command, env=slot.env, stdout=subprocess.PIPE) for _ in range(SOCKETS)]
    said = [each.communicate(timeout=60)[0] for each in runs]
    assert [each.returncode for each in runs] == [0] * SOCKETS, said
    assert (slot.shown(), slot.left()) == ([], NOTHING)


def test_nobody_on_the_port(slot: Slot) -> None:
    port = str(free_port())
    error, remedy = slot.failing(GAD_PORT=port)
    assert error == f"error: live: nothing answers on 127.0.0.1:{port} (ConnectionRefusedError)"
    assert remedy.endswith("must listen on GAD_PORT")


def test_the_private_port_is_asked_too(slot: Slot) -> None:
    error, remedy = slot.failing(GAD_PRIVATE_PORT=slot.env["GAD_PORT"])
    assert error.startswith("error: postgis: GET /health/deep answers 401 unauthenticated, request ")
    assert remedy == "remedy: create the extension postgis in the database"


def test_redis_down_is_a_failure_here(slot: Slot) -> None:
    slot.stores.redis.stop(timeout=5)
    try:
        slot.api.wait_ready(200, state="degraded")
        error, _ = slot.failing()
    finally:
        slot.stores.redis.start()
        wait_for(slot.stores.redis_answers, "Redis answers")
    slot.api.wait_ready(200, state="ready")
    assert error == "error: redis: Redis does not answer the API"
    assert slot.shown() == []


@pytest.mark.parametrize(
    ("ordinal", "least", "says"),
    [
        (ORDINAL + 5, ORDINAL + 1, f"takes code from ordinal {ORDINAL + 1} on, this is {ORDINAL}"),
        (ORDINAL - 1, 2, f"is at ordinal {ORDINAL - 1}, this code needs {ORDINAL}"),
    ],
    ids=["contracted", "behind"],
)
def test_a_schema_that_does_not_fit(slot: Slot, ordinal: int, least: int, says: str) -> None:
    slot.execute(f"UPDATE schema_info SET ordinal = {ordinal}, min_ordinal = {least}")  # noqa: S608
    try:
        error, _ = slot.failing()
    finally:
        slot.execute(f"UPDATE schema_info SET ordinal = {ORDINAL}, min_ordinal = 2")  # noqa: S608
    assert error == f"error: schema: the schema {says}"


def test_a_newer_schema_that_fits_is_well(slot: Slot) -> None:
    slot.execute(f"UPDATE schema_info SET ordinal = {ORDINAL + 5}")  # noqa: S608
    try:
        code, _, said = slot.smoke()
    finally:
        slot.execute(f"UPDATE schema_info SET ordinal = {ORDINAL}")  # noqa: S608
    assert (code, said) == (0, "")


def test_a_row_that_the_schema_refuses_is_said_without_the_row(slot: Slot) -> None:
    slot.execute(*refuse("users", "INSERT"))
    try:
        error, remedy = slot.failing()
    finally:
        slot.execute("DROP TRIGGER no ON users")
    assert error == "error: login: PostgreSQL refuses a row: not by this code"
    assert remedy == "remedy: release code that fits this schema"
    assert (slot.shown(), slot.left()) == ([], NOTHING)


async def test_a_socket_that_is_not_welcomed(slot: Slot) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(SOCKETS):
            await stack.enter_async_context(peer(slot.api))
        error, _ = await asyncio.to_thread(slot.failing)
    assert error == "error: websocket: /ws closes with 1013 instead of a welcome"
    assert await asyncio.to_thread(slot.shown) == []


@pytest.mark.parametrize("times", [2, 3])
async def test_a_slot_out_of_rotation_may_send_a_socket_away_before_it_is_welcomed(
    stores: Stores, times: int
) -> None:
    ends = iter([RESTARTS] * times)

    async def leave(socket: ServerConnection) -> None:
        code = next(ends, None)
        if code is not None:
            await socket.close(code)
        else:
            await socket.send(messages.told("welcome", {"user": "None"}))

    async with serve(leave, "127.0.0.1", 0, subprotocols=[Subprotocol(messages.PROTOCOL)]) as server:
        port = server.sockets[0].getsockname()[1]
        visit = Visit(settings_for(stores, port=port), None)  # type: ignore[arg-type]  # nobody logs in
        said = [str(each) for each in await asyncio.gather(visit.websocket(), return_exceptions=True)]
    assert said == {2: ["None"], 3: ["/ws closes with 1012 instead of a welcome, 3 times"]}[times]


def test_a_process_that_hangs_is_not_waited_for(slot: Slot) -> None:
    slot.api.child.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    try:
        error, remedy = slot.failing("--within", "1")
    finally:
        slot.api.child.send_signal(signal.SIGCONT)
    assert error == "error: live: no answer in time"
    assert remedy.endswith("or give it more time with --within")
    assert time.monotonic() - began < 10, "starting the interpreter included, on a busy machine"


@pytest.mark.parametrize(
    ("arguments", "changes", "says"),
    [
        ([], {"GAD_ENV": "moon"}, "error: GAD_ENV"),
        ([], {"GAD_KEK_FILE": ""}, "error: GAD_KEK (or GAD_KEK_FILE) is not set"),
        (["--within", "0"], {}, "seconds, above 0 and up to 300"),
        (["--within", "soon"], {}, "seconds, above 0 and up to 300"),
    ],
    ids=["settings", "no-secret", "usage", "no-number"],
)
def test_wrong_settings_and_usage_are_exit_code_2(
    slot: Slot, arguments: list[str], changes: dict[str, str], says: str
) -> None:
    done = run("smoke", *arguments, env={**slot.env, **changes})
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_it_starts_without_building_an_api() -> None:
    heavy = {"app.main", "app.guard", "uvicorn", "uvloop", "redis", "alembic"}
    command = f"import sys, app.smoke; print({heavy} & sys.modules.keys())"
    told = {"PYTHONPATH": str(ROOT)}
    assert subprocess.check_output([sys.executable, "-c", command], env=told, text=True) == "set()\n"


@pytest.mark.parametrize(
    ("hosts", "origins", "expected"),
    [
        (("gad.example", "127.0.0.1"), ("https://gad.example",), ("gad.example", "https://gad.example")),
        (("*.example", "gad.example"), ("*", "https://b.example"), ("gad.example", "https://b.example")),
        (("*.example",), ("*",), ("smoke.example", "https://smoke.example")),
        (("*",), ("*",), ("localhost", "https://localhost")),
    ],
)
def test_it_comes_as_somebody_who_is_served(
    hosts: tuple[str, ...], origins: tuple[str, ...], expected: tuple[str, str]
) -> None:
    host = served_host(hosts)
    assert (host, allowed_origin(origins, host)) == expected
