"""Alive, ready, in rotation, and back again: a real process, real stores that stop and return."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from bodies import assert_problem
from prometheus_client.parser import text_string_to_metric_families
from served import Served, environment, run, served
from stores import Stores, wait_for

from app.migrations import ORDINAL

EMAIL, PASSWORD = "jefa@distrito.example", "ocho caballos verdes"


def write(live: Path, slot: str) -> None:
    """As the deployer does it: whole, then renamed into place."""
    new = live.with_suffix(".new")
    new.write_text(slot)
    new.rename(live)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("release") / "live"


@pytest.fixture(scope="module")
def api(stores: Stores, release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    scratch = tmp_path_factory.mktemp("blue")
    env = environment(stores, scratch, GAD_SLOT="blue", GAD_LIVE_SLOT_FILE=str(release), GAD_DB_POOL="2+0")
    created = run("admin", "create", *name(), env=env, stdin=PASSWORD)
    assert created.returncode == 0, created.stderr
    with served(env, scratch) as process:
        yield process


def name() -> list[str]:
    return ["--email", EMAIL, "--first-name", "Rosa", "--last-name", "Quishpe"]


@pytest.fixture
def in_rotation(api: Served, release: Path) -> Served:
    write(release, "blue")
    api.wait_ready(200)
    return api


def login(api: Served) -> dict[str, str]:
    answer = api.public.post("/api/v1/auth/login", json={"email": EMAIL, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_rotation_is_read_at_each_probe_and_the_last_word_stays(api: Served, release: Path) -> None:
    release.unlink(missing_ok=True)
    first = assert_problem(api.ready(), 503, "not_ready")
    assert first["checks"]["rotation"] == {"ok": False, "live": None}
    assert api.ready().headers["retry-after"] == "2"
    assert api.is_alive()

    def seen(content: str | None) -> tuple[int, str]:
        if content is None:
            release.unlink()
        else:
            write(release, content)
        answer = api.ready()
        return answer.status_code, answer.json()["checks"]["rotation"]["live"]

    assert [seen(content) for content in ("blue", "green", "blue\n", "", "ná\x00", None, "green", None)] == [
        (200, "blue"),
        (503, "green"),
        (200, "blue"),
        (200, "blue"),
        (200, "blue"),
        (200, "blue"),
        (503, "green"),
        (503, "green"),
    ]


def test_a_slot_out_of_rotation_still_serves(api: Served, release: Path) -> None:
    write(release, "green")
    assert api.ready().status_code == 503
    assert api.public.get("/api/v1/users/me", headers=login(api)).status_code == 200


def test_ready_lists_each_check_and_names_the_slot(in_rotation: Served) -> None:
    answer = in_rotation.ready()
    body = answer.json()
    assert answer.headers["x-gad-slot"] == "blue"
    assert (body["state"], body["slot"]) == ("ready", "blue")
    assert list(body["checks"]) == ["database", "schema", "rotation", "stopping", "redis"]
    assert all(check["ok"] for check in body["checks"].values())
    assert body["checks"]["schema"] == {
        "ok": True,
        "code": ORDINAL,
        "ordinal": ORDINAL,
        "min_ordinal": 2,  # the code before sessions, tasks and the audit trail still works on this schema
    }


@pytest.mark.parametrize(
    ("ordinal", "least", "status"),
    [(ORDINAL + 5, ORDINAL, 200), (ORDINAL + 5, ORDINAL + 1, 503), (ORDINAL - 1, ORDINAL - 1, 503)],
    ids=["expanded", "contracted", "behind"],
)
def test_the_schema_must_fit_the_code(
    in_rotation: Served, stores: Stores, ordinal: int, least: int, status: int
) -> None:
    def set_schema(ordinal: int, least: int) -> None:
        statement = f"UPDATE schema_info SET ordinal = {ordinal}, min_ordinal = {least}"  # noqa: S608
        stores.execute(statement, database="gad")

    set_schema(ordinal, least)
    try:
        answer = in_rotation.ready()
    finally:
        set_schema(ORDINAL, ORDINAL)
    assert answer.status_code == status
    assert answer.json()["checks"]["schema"]["ok"] is (status == 200)


def test_redis_down_is_degraded_and_login_works(in_rotation: Served, stores: Stores) -> None:
    stores.redis.stop(timeout=5)
    try:
        in_rotation.wait_ready(200, state="degraded")
        assert in_rotation.ready().json()["checks"]["redis"]["ok"] is False
        assert in_rotation.public.get("/api/v1/officers", headers=login(in_rotation)).status_code == 200
    finally:
        stores.redis.start()
        wait_for(stores.redis_answers, "Redis answers")
    in_rotation.wait_ready(200, state="ready", within_s=5)


def test_postgres_down_is_503_and_it_recovers_by_itself(in_rotation: Served, stores: Stores) -> None:
    headers = login(in_rotation)
    stores.postgres.stop(timeout=20)
    try:
        in_rotation.wait_ready(503)
        ready = assert_problem(in_rotation.ready(), 503, "not_ready")
        assert ready["checks"]["database"]["ok"] is False
        assert in_rotation.is_alive()
        for method, path, body in (
            ("GET", "/api/v1/officers", None),
            ("GET", "/api/v1/officers/nearest?lat=0&lon=0", None),
            ("POST", "/api/v1/auth/login", {"email": EMAIL, "password": PASSWORD}),
            ("POST", "/api/v1/users", user_body()),
        ):
            began = time.monotonic()
            answer = in_rotation.public.request(method, path, headers=headers, json=body)
            assert_problem(answer, 503, "unavailable")
            assert answer.headers["retry-after"] == "2"
            assert time.monotonic() - began < 5
        assert in_rotation.private.get("/metrics").status_code == 200
    finally:
        stores.postgres.start()
        wait_for(stores.postgres_answers, "PostgreSQL answers")
    assert in_rotation.wait_ready(200, within_s=5) < 5
    # Every connection of the pool was closed by the server; each is opened again without a failed request.
    answers = [in_rotation.public.get("/api/v1/officers", headers=headers).status_code for _ in range(6)]
    assert answers == [200] * 6
    assert metric(in_rotation, "gad_db_errors_total", kind="connect") >= 4


def user_body() -> dict[str, Any]:
    return {"email": "b@distrito.example", "first_name": "B", "last_name": "C", "dni": "1234567"}


def test_a_full_pool_is_503_while_ready_stays(in_rotation: Served, stores: Stores) -> None:
    """Two connections, both waiting for a lock on users; the third caller waits 2 s and is told."""
    import asyncio  # noqa: PLC0415

    import asyncpg  # noqa: PLC0415

    headers = login(in_rotation)

    def is_full() -> bool:
        return metric(in_rotation, "gad_db_pool_connections", state="in_use") == 2

    async def while_locked() -> tuple[list[httpx.Response], httpx.Response]:
        holder = await asyncpg.connect(stores.dsn("postgres", "gad"))
        try:
            async with holder.transaction():
                await holder.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
                with ThreadPoolExecutor(3) as pool:
                    calls = [
                        pool.submit(in_rotation.public.get, "/api/v1/officers", headers=headers)
                        for _ in range(3)
                    ]
                    await asyncio.to_thread(
                        wait_for,
                        lambda: metric(in_rotation, "gad_db_pool_connections", state="in_use") == 2,
                        "both connections in use",
                        within_s=5,
                    )
                    ready = await asyncio.to_thread(in_rotation.ready)
                    answers = [await asyncio.to_thread(call.result) for call in calls]
        finally:
            await holder.close()
        return answers, ready

    answers, ready = asyncio.run(while_locked())
    assert [answer.status_code for answer in answers] == [
        503
    ] * 3  # one by the pool, two by the statement limit
    assert ready.status_code == 200
    assert metric(in_rotation, "gad_db_errors_total", kind="pool_timeout") == 1
    assert metric(in_rotation, "gad_db_errors_total", kind="statement_timeout") == 2


def metric(api: Served, sample: str, **labels: str) -> float:
    for family in text_string_to_metric_families(api.private.get("/metrics").text):
        for each in family.samples:
            if each.name == sample and labels.items() <= each.labels.items():
                return each.value
    raise AssertionError(f"no {sample} {labels}")


def test_metrics_are_on_the_private_port_alone(in_rotation: Served, stores: Stores) -> None:
    assert_problem(in_rotation.public.get("/metrics"), 404, "not_found")
    assert in_rotation.private.get("/api/v1/officers").status_code == 404
    assert metric(in_rotation, "gad_build_info", slot="blue") == 1
    # Other tests of this run may have left officers at a task.
    count = "SELECT count(*) FROM officers WHERE deleted_at IS NULL AND availability = 'on_task'"
    ((busy,),) = asyncio.run(stores.fetch(count))
    assert metric(in_rotation, "gad_officers", availability="on_task") == busy
    before = metric(in_rotation, "gad_http_requests_total", route="/health/live", status="200")
    in_rotation.public.get("/health/live")
    assert metric(in_rotation, "gad_http_requests_total", route="/health/live", status="200") == before + 1
    text = in_rotation.private.get("/metrics").text
    for bound in ("0.05", "0.1", "0.2", "0.5", "1.0", "2.0"):
        assert f'gad_http_request_duration_seconds_bucket{{le="{bound}",route="/health/live"}}' in text
    assert "_created" not in text


def test_deep_health_needs_level_3_in_public_and_is_cached(in_rotation: Served) -> None:
    assert_problem(in_rotation.public.get("/health/deep"), 401, "unauthenticated")
    public = in_rotation.public.get("/health/deep", headers=login(in_rotation))
    assert public.status_code == 200
    body = in_rotation.private.get("/health/deep").json()
    assert body["versions"]["postgis"].startswith("3.")
    assert body["checks"]["database"] == in_rotation.private.get("/health/deep").json()["checks"]["database"]


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_the_log_is_json_with_request_ids_and_without_secrets(
    in_rotation: Served, stores: Stores, tmp_path: Path
) -> None:
    headers = {**login(in_rotation), "X-Request-ID": "find-me-0815"}
    person = {
        **user_body(),
        "email": "canary@distrito.example",
        "dni": "CANARYDNI1",
        "phone": "+593900000001",
    }
    person |= {"first_name": "Canario", "password": "canario verde y azul no"}
    assert in_rotation.public.post("/api/v1/users", json=person, headers=headers).status_code == 422
    person["password"] = "treinta y dos nubes"
    assert in_rotation.public.post("/api/v1/users", json=person, headers=headers).status_code == 201
    assert in_rotation.public.post("/api/v1/users", json=person, headers=headers).status_code == 409
    in_rotation.public.get("/api/v1/users/canary-path?token=canary-query", headers=headers)
    in_rotation.public.post("/api/v1/auth/login", json={"email": EMAIL, "password": "canary-password"})

    mine = [line for line in lines(in_rotation.log) if line["request_id"] == "find-me-0815"]
    assert [(line["method"], line["route"], line["status"]) for line in mine] == [
        ("POST", "/api/v1/users", 422),
        ("POST", "/api/v1/users", 201),
        ("POST", "/api/v1/users", 409),
        ("GET", "/api/v1/users/{user_id}", 422),
    ]
    assert {line["slot"] for line in mine} == {"blue"}
    text = in_rotation.log.read_text().lower()
    token = headers["Authorization"].removeprefix("Bearer ")
    for secret in ("canar", "0900000001", "nubes", PASSWORD, token, *stores.password.values()):
        assert secret.lower() not in text
    probes = ("/health/live", "/health/ready")  # a slot out of rotation answers 503 four times a second
    reads = [line for line in lines(in_rotation.log) if line.get("route") in probes]
    assert [line for line in reads if line["ms"] < 500] == []


def test_sigterm_is_ready_503_first_then_requests_end_then_exit_0(
    stores: Stores, tmp_path: Path, new_database: Callable[[str], str]
) -> None:
    with served(environment(stores, tmp_path), tmp_path) as api:
        api.wait_ready(200)
        slow = ThreadPoolExecutor(1).submit(slow_request, api)
        time.sleep(0.3)  # the request's first half is on its way
        began = time.monotonic()
        api.terminate()
        api.wait_ready(503, within_s=1)
        assert api.ready().json()["checks"]["stopping"] == {"ok": False}
        assert api.public.get("/openapi.json").status_code == 200  # still serving what reaches it
        assert api.child.wait(timeout=25) == 0
        assert time.monotonic() - began < 25
        assert slow.result().startswith(b"HTTP/1.1 401")
        messages = [line["message"] for line in lines(api.log)]
        assert "stopping" in messages
        assert messages[-1] == "stopped"


def slow_request(api: Served) -> bytes:
    """A login whose body takes two seconds to arrive."""
    import socket  # noqa: PLC0415

    url = api.public.base_url
    body = b'{"email": "nobody@distrito.example", "password": "x"}'
    head = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    with socket.create_connection((url.host, url.port or 80), timeout=30) as line:
        line.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body[:10])
        time.sleep(2)
        line.sendall(body[10:])
        return line.recv(4096)


def test_it_starts_without_any_store_and_never_migrates(
    stores: Stores, tmp_path: Path, new_database: Callable[[str], str]
) -> None:
    empty = tmp_path / "url"
    empty.write_text(stores.dsn("gad_app", new_database("gad_empty")))
    nowhere = {"GAD_REDIS_URL_FILE": "", "GAD_REDIS_URL": "redis://gad:x@127.0.0.1:1/0"}
    env = environment(stores, tmp_path, GAD_DATABASE_URL_FILE=str(empty), **nowhere)
    with served(env, tmp_path) as api:
        body = assert_problem(api.ready(), 503, "not_ready")
        assert body["checks"]["schema"] == {"ok": False, "code": ORDINAL, "ordinal": None}
        assert body["checks"]["database"]["ok"] is True
        assert body["checks"]["redis"]["ok"] is False


def test_a_wrong_setting_stops_the_start_in_two_lines(stores: Stores, tmp_path: Path) -> None:
    done = run("main", env=environment(stores, tmp_path, GAD_DB_POL="5+0"))
    assert done.returncode == 2
    assert (
        done.stderr
        == "error: GAD_DB_POL is not a setting of this program\nremedy: did you mean GAD_DB_POOL?\n"
    )


def test_a_taken_port_is_said(stores: Stores, tmp_path: Path, api: Served) -> None:
    env = environment(stores, tmp_path, GAD_PORT=str(api.public.base_url.port))
    done = run("main", env=env)
    assert done.returncode == 2
    assert f"GAD_PORT {api.public.base_url.port}" in done.stderr


def test_one_process_and_no_children(in_rotation: Served) -> None:
    pid = in_rotation.child.pid
    assert Path(f"/proc/{pid}/task/{pid}/children").read_text() == ""
    assert os.getpgid(pid)
