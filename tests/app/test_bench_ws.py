"""The measuring sockets against the real API: everybody hears every notice once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from served import environment, run, served
from stores import Stores

from infra.operate import bench_ws
from infra.operate.users import Account
from infra.operate.ws_load import Tally

ACCOUNT = Account(email="jefe@distrito.example", password="ocho caballos verdes")


def test_everybody_hears_every_notice_once(
    stores: Stores, tmp_path: Path, new_database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_ws, "CLIENTS", 20)
    monkeypatch.setattr(bench_ws, "SECONDS", 2)
    url = tmp_path / "url"
    url.write_text(stores.dsn("gad_app", new_database("gad_head")))
    env = environment(stores, tmp_path, GAD_DATABASE_URL_FILE=str(url))
    names = ("--email", ACCOUNT.email, "--first-name", "Rosa", "--last-name", "Loor")
    assert run("admin", "create", *names, env=env, stdin=ACCOUNT.password).returncode == 0
    with served(env, tmp_path) as api:
        api.wait_ready(200)
        lost, delay = bench_ws.measure(str(api.public.base_url), None, ACCOUNT)
    assert (lost.measured, lost.detail) == (0, "400 of 400 received, 0 twice")
    assert 0 < delay.measured < 2000


def test_what_was_not_heard_is_said() -> None:
    lost, delay = bench_ws.figures(Tally(received=3, doubled=1), sent=4, clients=1)
    assert (lost.measured, lost.is_met, delay.is_met) == (2, False, False)
