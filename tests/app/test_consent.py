"""GET, POST, DELETE /privacy/consents."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import asyncpg
import httpx
import pytest
from bodies import Caller, Callers, assert_problem
from on_duty import CONSENTS, OFFICERS, audits, events, share_position
from stores import Stores

from app.privacy.schemas import NOTICE_VERSION, Consents

LOCATION = {"purpose": "location_sharing", "granted": True}


async def standing(client: httpx.AsyncClient, who: Caller) -> dict[str, bool]:
    answer = Consents.model_validate((await client.get(CONSENTS, headers=who.headers)).json(), strict=False)
    return {item.purpose.value: item.granted for item in answer.items}


async def test_nobody_agrees_by_silence(client: httpx.AsyncClient, caller: Callers) -> None:
    me = await caller(1)
    assert (await client.get(CONSENTS, headers=me.headers)).json() == {
        "items": [
            {"purpose": purpose, "granted": False, "notice_version": None, "at": None}
            for purpose in ("location_sharing", "telegram_notices")
        ]
    }


async def test_the_latest_answer_rules_and_each_is_kept(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    me = await caller(1)
    given = await client.post(CONSENTS, json=LOCATION, headers=me.headers)
    assert given.status_code == 201, given.text
    assert given.headers["location"] == f"{CONSENTS}/location_sharing"
    assert given.json() == {**LOCATION, "notice_version": NOTICE_VERSION, "at": given.json()["at"]}
    assert await standing(client, me) == {"location_sharing": True, "telegram_notices": False}

    for _ in range(2):  # the second time there is nothing to withdraw
        gone = await client.delete(f"{CONSENTS}/location_sharing", headers=me.headers)
        assert (gone.status_code, gone.content) == (204, b"")
    assert await standing(client, me) == {"location_sharing": False, "telegram_notices": False}

    anew = {**LOCATION, "notice_version": "2"}
    assert (await client.post(CONSENTS, json=anew, headers=me.headers)).json()["notice_version"] == "2"
    rows = await stores.fetch(
        "SELECT c.granted, c.notice_version FROM consents c JOIN users u ON u.id = c.user_id"
        " WHERE u.uuid = $1 ORDER BY c.id",
        me.user,
    )
    assert rows == [(True, NOTICE_VERSION), (False, NOTICE_VERSION), (True, "2")]
    assert [(each[0], each[1]) for each in await audits(stores, f"user/{me.user}")] == [
        ("consent.grant", me.user),
        ("consent.withdraw", me.user),
        ("consent.grant", me.user),
    ]


async def test_an_answer_cannot_be_changed_afterwards(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    me = await caller(1)
    await client.post(CONSENTS, json=LOCATION, headers=me.headers)
    for statement in (
        "UPDATE consents SET granted = false WHERE user_id = (SELECT id FROM users WHERE uuid = $1)",
        "DELETE FROM consents WHERE user_id = (SELECT id FROM users WHERE uuid = $1)",
    ):
        with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
            await stores.fetch(statement, me.user)


async def test_one_key_is_one_answer(client: httpx.AsyncClient, caller: Callers, stores: Stores) -> None:
    me = await caller(1)
    headers = {**me.headers, "Idempotency-Key": f"k-{uuid4()}"}
    answers = [await client.post(CONSENTS, json=LOCATION, headers=headers) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len(await audits(stores, f"user/{me.user}")) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"purpose": "location_sharing", "granted": False},
        {"purpose": "marketing", "granted": True},
        {"purpose": "location_sharing"},
        {**LOCATION, "notice_version": ""},
    ],
)
async def test_only_a_clear_yes_is_taken(
    client: httpx.AsyncClient, caller: Callers, body: dict[str, object]
) -> None:
    me = await caller(1)
    assert_problem(await client.post(CONSENTS, json=body, headers=me.headers), 422, "invalid")
    assert_problem(await client.delete(f"{CONSENTS}/marketing", headers=me.headers), 422, "invalid")
    assert await standing(client, me) == {"location_sharing": False, "telegram_notices": False}


async def test_withdrawing_deletes_the_last_position(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    me, other = await caller(1, is_officer=True), await caller(1, is_officer=True)
    for who in (me, other):
        assert (await share_position(client, who, lat=1.0, lon=1.0)).status_code == 204
    # Another purpose is another matter.
    await client.delete(f"{CONSENTS}/telegram_notices", headers=me.headers)
    assert await places(stores, me, other) == [True, True]

    assert (await client.delete(f"{CONSENTS}/location_sharing", headers=me.headers)).status_code == 204
    assert await places(stores, me, other) == [False, True]
    told = await events(stores, f"officer.{me.officer}")
    assert told[-1][0] == "officer.location"
    assert told[-1][2] == {"officer": me.officer, "at": None}
    body = {"lat": 1.0, "lon": 1.0, "at": "2026-01-01T00:00:00Z"}
    refused = await client.post(f"{OFFICERS}/{me.officer}/position", json=body, headers=me.headers)
    assert_problem(refused, 403, "no_consent")


async def test_no_position_survives_a_withdrawal_that_it_races(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    for _ in range(8):
        me = await caller(1, is_officer=True)
        await share_position(client, me, lat=1.0, lon=1.0)
        ping = {"lat": 2.0, "lon": 2.0, "at": "2100-01-01T00:00:00Z"}
        moment = await stores.fetch("SELECT to_json(clock_timestamp())")
        ping["at"] = moment[0][0].strip('"')
        path = f"{OFFICERS}/{me.officer}/position"
        raced = await asyncio.gather(
            client.post(path, json=ping, headers=me.headers),
            client.delete(f"{CONSENTS}/location_sharing", headers=me.headers),
            client.post(path, json=ping, headers=me.headers),
        )
        assert raced[1].status_code == 204
        assert {raced[0].status_code, raced[2].status_code} <= {204, 403}
        assert await places(stores, me) == [False]


async def places(stores: Stores, *officers: Caller) -> list[bool]:
    """Of each whether a position is stored."""
    rows = await stores.fetch(
        "SELECT CAST(uuid AS text), last_position IS NOT NULL FROM officers WHERE uuid = ANY ($1::uuid[])",
        [each.officer for each in officers],
    )
    stored = dict(rows)
    return [stored[each.officer] for each in officers]
