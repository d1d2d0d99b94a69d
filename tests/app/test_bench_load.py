"""The measuring load against the real API: every kind of its requests is served, and it leaves nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from served import environment, run, served
from stores import Stores

from infra.operate import bench_load
from infra.operate.users import Account

ACCOUNT = Account(email="jefe@distrito.example", password="ocho caballos verdes")


def test_each_request_is_served_and_the_tasks_are_gone_afterwards(
    stores: Stores, tmp_path: Path, new_database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PER_SECOND": 15, "SECONDS": 4.0, "WARM_UP_S": 1.0}.items():
        monkeypatch.setattr(bench_load, name, value)
    url = tmp_path / "url"
    url.write_text(stores.dsn("gad_app", new_database("gad_head")))
    env = environment(stores, tmp_path, GAD_DATABASE_URL_FILE=str(url))
    names = ("--email", ACCOUNT.email, "--first-name", "Rosa", "--last-name", "Loor")
    made = run("admin", "create", *names, env=env, stdin=ACCOUNT.password)
    assert made.returncode == 0, made.stderr
    with served(env, tmp_path) as api:
        api.wait_ready(200)
        figures = bench_load.measure(str(api.public.base_url), None, ACCOUNT)
        failed = figures[0]
        assert (failed.measured, failed.detail) == (0, "n=60")
        token = api.public.post("/api/v1/auth/login", json=ACCOUNT.model_dump()).json()["access_token"]
        left = api.public.get("/api/v1/tasks", headers={"Authorization": f"Bearer {token}"}).json()
        assert left["items"] == []
    created = [line for line in api.log.read_text().splitlines() if '"status":201' in line]
    assert len(created) > 10
