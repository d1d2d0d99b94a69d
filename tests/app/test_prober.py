"""The prober against the real API: a healthy one has no failures and keeps nothing, a killed one does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from served import Served, environment, run, served
from stores import Stores

from infra.operate.probe import Prober, beside
from infra.operate.probe_mix import SHARES
from infra.operate.users import Account

ACCOUNT = Account(email="jefe@distrito.example", password="ocho caballos verdes")
CLIENTS = 3


@pytest.fixture
def api(stores: Stores, tmp_path: Path, new_database: Callable[[str], str]) -> Iterator[Served]:
    url = tmp_path / "url"
    url.write_text(stores.dsn("gad_app", new_database("gad_head")))
    env = environment(stores, tmp_path, GAD_DATABASE_URL_FILE=str(url), GAD_SLOT="blue")
    names = ("--email", ACCOUNT.email, "--first-name", "Rosa", "--last-name", "Loor")
    made = run("admin", "create", *names, env=env, stdin=ACCOUNT.password)
    assert made.returncode == 0, made.stderr
    with served(env, tmp_path) as process:
        process.wait_ready(200)
        yield process


def prober(api: Served) -> Prober:
    return Prober(str(api.public.base_url), None, ACCOUNT, per_second=20, clients=CLIENTS)


def test_each_request_is_served_and_the_tasks_are_gone_afterwards(api: Served) -> None:
    with beside(prober(api)) as probe:
        time.sleep(4)
    report = probe.report
    assert report.is_clean, report.failures or (report.posts, report.sockets)
    assert {*report.kinds} == {*SHARES}
    assert report.posts.acknowledged == report.posts.sent > 10
    assert report.sockets.received == (report.sockets.events,) * CLIENTS
    assert report.sockets.events > 10
    assert [stretch.slot for stretch in report.slots] == ["blue"]
    token = api.public.post("/api/v1/auth/login", json=ACCOUNT.model_dump()).json()["access_token"]
    left = api.public.get("/api/v1/tasks", headers={"Authorization": f"Bearer {token}"}).json()
    assert left["items"] == []


def test_a_process_that_is_killed_is_seen(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.operate.probe.ATTEMPTS", 1)
    with beside(prober(api)) as probe:
        time.sleep(1)
        probe.phase = "killed"
        api.child.kill()
        time.sleep(1)
    report = probe.report
    assert report.phases["killed"].requests.failed >= 10
    assert report.sockets.closes == ({1006: 1},) * CLIENTS
    assert (report.sockets.away, report.posts.unchecked != "") == (CLIENTS, True)
