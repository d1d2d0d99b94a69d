"""Officers through the API."""

from __future__ import annotations

from collections.abc import Callable

import httpx
from bodies import officer

from app.officer.schemas import OfficerRead

Token = Callable[..., dict[str, str]]


async def test_a_new_officer_is_found_where_location_says(client: httpx.AsyncClient, token: Token) -> None:
    body = officer(rank="Cabo primero", unit="UPC Carcelén", specialty="Tránsito")

    made = await client.post("/api/v1/officers", json=body, headers=token(3))
    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"/api/v1/officers/{made.json()['uuid']}"

    read = await client.get(made.headers["location"], headers=token(2))
    assert read.status_code == 200
    assert read.json() == made.json()
    assert read.headers["etag"] == '"1"'
    answer = OfficerRead.model_validate(read.json())
    assert (answer.internal_code, answer.rank, answer.availability) == (
        body["internal_code"],
        "Cabo primero",
        "available",
    )
    assert read.json()["position"] == {"lat": -0.2, "lon": -78.5, "at": "2026-01-01T00:00:00Z"}
