"""The demo district through the real API, over HTTP."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from rich.console import Console
from served import environment, run, served
from stores import Stores

from app.task.models import Status
from infra.errors import GadError
from infra.operate.demo import load
from infra.operate.demo_work import Work, accounts_in

EMAIL, PASSWORD = "jefe@distrito.example", "ocho caballos verdes"
LOGIN = "/api/v1/auth/login"


def test_a_district_is_loaded_once_and_found_by_distance(
    stores: Stores, tmp_path: Path, new_database: Callable[[str], str]
) -> None:
    url = tmp_path / "url"
    url.write_text(stores.dsn("gad_app", new_database("gad_head")))
    env = environment(stores, tmp_path, GAD_DATABASE_URL_FILE=str(url))
    made = run(
        "admin",
        "create",
        "--email",
        EMAIL,
        "--first-name",
        "Rosa",
        "--last-name",
        "Loor",
        env=env,
        stdin=PASSWORD,
    )
    assert made.returncode == 0, made.stderr
    with served(env, tmp_path) as api:
        base = str(api.public.base_url)

        accounts = accounts_in(tmp_path / "people.json")

        def again(count: int, password: str = PASSWORD) -> tuple[int, int, Work]:
            console = Console(file=io.StringIO())
            done = load(
                base,
                None,
                email=EMAIL,
                password=lambda: password,
                count=count,
                accounts=accounts,
                console=console,
            )
            return done.created, done.present, done.work

        assert again(120) == (120, 0, Work(tasks=10, emergencies=3, accounts=2))
        assert again(150) == (30, 120, Work())
        assert again(150) == (0, 150, Work())
        with pytest.raises(GadError, match="was refused: 401 credentials_refused"):
            again(1, "wrong")
        for account in accounts.values():
            assert api.public.post(LOGIN, json=account.model_dump()).status_code == httpx.codes.OK

        token = api.public.post(LOGIN, json={"email": EMAIL, "password": PASSWORD}).json()
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        listed = api.public.get("/api/v1/tasks", params={"limit": 100}, headers=headers).json()["items"]
        assert {task["status"] for task in listed} == set(Status)
        near = api.public.get(
            "/api/v1/officers/nearest",
            params={"lat": -0.2042, "lon": -78.4903, "limit": 5},
            headers=headers,
        )
        assert near.status_code == httpx.codes.OK
        assert len(near.json()["items"]) == 5
        assert near.json()["items"][0]["distance_m"] < 3000
