"""Officers through the API."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from bodies import Token, assert_problem, officer, person
from stores import Stores

from app.officer.schemas import Nearby, OfficerPage, OfficerRead

OFFICERS = "/api/v1/officers"


async def create(client: httpx.AsyncClient, headers: dict[str, str], **changes: object) -> dict[str, Any]:
    made = await client.post(OFFICERS, json=officer(**changes), headers=headers)
    assert made.status_code == 201, made.text
    answer: dict[str, Any] = made.json()
    return answer


async def test_a_new_officer_is_found_where_location_says(client: httpx.AsyncClient, token: Token) -> None:
    body = officer(rank="Cabo primero", unit="UPC Carcelén", specialty="Tránsito")

    made = await client.post(OFFICERS, json=body, headers=token(3))
    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"{OFFICERS}/{made.json()['uuid']}"

    read = await client.get(made.headers["location"], headers=token(2))
    assert read.status_code == 200
    assert read.json() == made.json()
    assert read.headers["etag"] == made.headers["etag"] == '"1"'
    assert read.headers["x-gad-slot"] == "blue"
    answer = OfficerRead.model_validate(read.json())
    assert (answer.internal_code, answer.rank, answer.unit) == (
        body["internal_code"],
        "Cabo primero",
        "UPC Carcelén",
    )
    assert read.json()["position"] == {"lat": -0.2, "lon": -78.5, "at": "2026-01-01T00:00:00Z"}


async def test_the_moment_of_a_position_is_answered_in_utc(client: httpx.AsyncClient, token: Token) -> None:
    at = {"lat": 1.5, "lon": 2.5, "at": "2026-01-01T07:00:00+07:00"}
    made = await create(client, token(3), position=at)
    read = await client.get(f"{OFFICERS}/{made['uuid']}", headers=token(3))
    assert (
        made["position"] == read.json()["position"] == {"lat": 1.5, "lon": 2.5, "at": "2026-01-01T00:00:00Z"}
    )


async def test_an_officer_of_a_known_person_and_without_position(
    client: httpx.AsyncClient, token: Token
) -> None:
    user = (await client.post("/api/v1/users", json=person(), headers=token(3))).json()
    body = officer(user_id=user["uuid"])
    del body["person"], body["position"]

    made = await client.post(OFFICERS, json=body, headers=token(3))
    assert made.status_code == 201
    assert made.json()["user_id"] == user["uuid"]
    assert made.json()["position"] is None

    again = officer(user_id=user["uuid"])
    del again["person"]
    assert_problem(await client.post(OFFICERS, json=again, headers=token(3)), 409, "user_is_officer")


@pytest.mark.parametrize(
    ("taken", "code"),
    [
        ("internal_code", "internal_code_taken"),
        ("email", "email_taken"),
        ("dni", "dni_taken"),
    ],
)
async def test_what_is_taken_is_a_conflict_and_leaves_nothing(
    client: httpx.AsyncClient, token: Token, taken: str, code: str
) -> None:
    first, second = officer(), officer()
    assert (await client.post(OFFICERS, json=first, headers=token(3))).status_code == 201
    (second if taken == "internal_code" else second["person"])[taken] = (
        first if taken == "internal_code" else first["person"]
    )[taken]

    assert_problem(await client.post(OFFICERS, json=second, headers=token(3)), 409, code)
    # Officer and person are one unit of work: the e-mail of the refused one is still free.
    untouched = person(email=second["person"]["email"] if taken != "email" else person()["email"])
    assert (await client.post("/api/v1/users", json=untouched, headers=token(3))).status_code == 201


async def test_ten_at_once_with_one_code_make_one_officer(client: httpx.AsyncClient, token: Token) -> None:
    code = officer()["internal_code"]
    bodies = [officer(internal_code=code) for _ in range(10)]
    answers = await asyncio.gather(*(client.post(OFFICERS, json=body, headers=token(3)) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 9]


@pytest.mark.parametrize("user", [None, str(uuid4())], ids=["neither", "unknown"])
async def test_an_officer_needs_a_person(client: httpx.AsyncClient, token: Token, user: str | None) -> None:
    body = officer(user_id=user)
    del body["person"]
    code = "invalid" if user is None else "unknown_user"
    assert_problem(await client.post(OFFICERS, json=body, headers=token(3)), 422, code)


async def test_level_1_reads_their_own_entry_only(client: httpx.AsyncClient, token: Token) -> None:
    mine = await create(client, token(3))
    other = await create(client, token(3))
    headers = token(1, mine["user_id"])

    assert (await client.get(f"{OFFICERS}/{mine['uuid']}", headers=headers)).status_code == 200
    assert_problem(await client.get(f"{OFFICERS}/{other['uuid']}", headers=headers), 403, "forbidden")
    assert_problem(await client.get(f"{OFFICERS}/{uuid4()}", headers=headers), 404, "not_found")


async def test_pages_hold_every_officer_once_and_in_order(client: httpx.AsyncClient, token: Token) -> None:
    made = [(await create(client, token(3)))["uuid"] for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(10_000):
        query = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = OfficerPage.model_validate(
            (await client.get(OFFICERS, params=query, headers=token(2))).json(), strict=False
        )
        assert len(page.items) <= 2
        seen += [str(item.uuid) for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert cursor is None
    assert len(seen) == len(set(seen))
    assert seen[-5:] == made


@pytest.mark.parametrize("cursor", ["x", "!!", "AAAA", "a" * 22 + "é", "a" * 65])
async def test_a_cursor_we_never_gave_is_refused(
    client: httpx.AsyncClient, token: Token, cursor: str
) -> None:
    response = await client.get(OFFICERS, params={"cursor": cursor}, headers=token(2))
    assert assert_problem(response, 422, "invalid")["errors"][0]["field"] == "query.cursor"


async def test_restricted_and_deleted_people_are_in_no_list(
    client: httpx.AsyncClient, token: Token, stores: Stores
) -> None:
    here = {"lat": 60.0, "lon": 100.0, "at": "2026-01-01T00:00:00Z"}
    shown, restricted, gone, left = [await create(client, token(3), position=here) for _ in range(4)]
    await asyncio.to_thread(stores.stamp, "users", "restricted_at", restricted["user_id"])
    await asyncio.to_thread(stores.stamp, "users", "deleted_at", gone["user_id"])
    await asyncio.to_thread(stores.stamp, "officers", "deleted_at", left["uuid"])

    near = await client.get(
        f"{OFFICERS}/nearest", params={"lat": 60, "lon": 100, "max_m": 10, "limit": 100}, headers=token(2)
    )
    assert [str(item.uuid) for item in Nearby.model_validate(near.json()).items] == [shown["uuid"]]
    listed: list[str] = []
    query = {"limit": "100"}
    while True:
        page = (await client.get(OFFICERS, params=query, headers=token(2))).json()
        listed += [item["uuid"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert {shown["uuid"], restricted["uuid"], gone["uuid"], left["uuid"]} & set(listed) == {shown["uuid"]}
    for hidden in (gone, left):
        assert_problem(await client.get(f"{OFFICERS}/{hidden['uuid']}", headers=token(3)), 404, "not_found")


async def test_a_code_is_free_again_when_its_officer_is_deleted(
    client: httpx.AsyncClient, token: Token, stores: Stores
) -> None:
    first = await create(client, token(3))
    await asyncio.to_thread(stores.stamp, "officers", "deleted_at", first["uuid"])
    assert (await create(client, token(3), internal_code=first["internal_code"]))["uuid"] != first["uuid"]
