"""PUT /officers/{id}/availability and POST /officers/{id}/position."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from bodies import Caller, Callers, assert_problem
from on_duty import OFFICERS, audits, events, open_assignment, restrict, share_position
from stores import Stores


def path(who: Caller, part: str = "") -> str:
    return f"{OFFICERS}/{who.officer}{part}"


async def put(
    client: httpx.AsyncClient, who: Caller, value: object, by: Caller | None = None
) -> httpx.Response:
    headers = (by or who).headers
    return await client.put(path(who, "/availability"), json={"availability": value}, headers=headers)


@pytest.mark.parametrize("value", ["off_duty", "unavailable"])
async def test_people_say_whether_they_can_be_sent(
    client: httpx.AsyncClient, caller: Callers, stores: Stores, value: str
) -> None:
    me = await caller(1, is_officer=True)
    off = await put(client, me, value)
    assert off.status_code == 200, off.text
    assert (off.json()["availability"], off.headers["etag"]) == (value, '"2"')
    assert (await client.get(path(me), headers=me.headers)).json() == off.json()

    same = await put(client, me, value)
    assert (same.status_code, same.json()) == (200, off.json())
    # The second time nothing changed: nothing was left either.
    assert await audits(stores, f"officer/{me.officer}") == [
        ("officer.availability", me.user, True, {"fields": ["availability"], "availability": value})
    ]
    assert await events(stores, f"officer.{me.officer}") == [
        (
            "officer.availability",
            ["officers", f"officer.{me.officer}", f"user.{me.user}"],
            {"officer": me.officer, "version": 2, "fields": ["availability"], "availability": value},
        )
    ]
    back = await put(client, me, "available")
    assert (back.json()["availability"], back.json()["version"]) == ("available", 3)


@pytest.mark.parametrize("value", ["on_task", "busy", None, 1])
async def test_on_task_is_the_system_s_word(
    client: httpx.AsyncClient, caller: Callers, value: object
) -> None:
    me = await caller(1, is_officer=True)
    refused = assert_problem(await put(client, me, value), 422, "invalid")
    assert refused["errors"][0]["field"] == "body.availability"


async def test_supervisors_say_it_of_others_and_officers_do_not(
    client: httpx.AsyncClient, caller: Callers
) -> None:
    one, other, chief = await caller(1, is_officer=True), await caller(1, is_officer=True), await caller(2)
    assert_problem(await put(client, one, "off_duty", by=other), 403, "forbidden")
    assert (await put(client, one, "off_duty", by=chief)).json()["availability"] == "off_duty"


async def test_an_engaged_officer_stays_so(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    me = await caller(1, is_officer=True)
    await open_assignment(stores, str(me.officer), engaged=True)
    for value in ("off_duty", "available"):
        assert_problem(await put(client, me, value), 409, "officer_engaged")


async def test_a_place_in_a_later_task_engages_nobody(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    me = await caller(1, is_officer=True)
    await open_assignment(stores, str(me.officer), engaged=False)
    assert (await put(client, me, "off_duty")).status_code == 200


async def position(client: httpx.AsyncClient, who: Caller) -> Any:
    return (await client.get(path(who), headers=who.headers)).json()["position"]


async def test_a_position_is_the_last_one(client: httpx.AsyncClient, caller: Callers, stores: Stores) -> None:
    me = await caller(1, is_officer=True)
    now = datetime.now(UTC).replace(microsecond=0)
    first = await share_position(client, me, lat=-0.18, lon=-78.48, at=now - timedelta(seconds=30))
    assert (first.status_code, first.content) == (204, b"")
    assert (await share_position(client, me, lat=-0.19, lon=-78.49, at=now)).status_code == 204
    # Sent late: ignored, and no error for a device that can do nothing about it.
    late = await share_position(client, me, lat=1.0, lon=1.0, at=now - timedelta(seconds=10))
    assert late.status_code == 204

    stamp = now.isoformat().replace("+00:00", "Z")
    assert await position(client, me) == {"lat": -0.19, "lon": -78.49, "at": stamp}
    told = await events(stores, f"officer.{me.officer}")
    assert [each[0] for each in told] == ["officer.location", "officer.location"]
    assert told[1] == (
        "officer.location",
        ["officers", f"officer.{me.officer}", f"user.{me.user}"],
        {"officer": me.officer, "at": stamp},
    )
    assert await audits(stores, f"officer/{me.officer}") == []
    read = await client.get(path(me), headers=me.headers)
    assert read.headers["etag"] == '"1"'


async def test_no_position_without_consent(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    me = await caller(1, is_officer=True)
    body = {"lat": -0.18, "lon": -78.48, "at": datetime.now(UTC).isoformat()}
    refused = await client.post(path(me, "/position"), json=body, headers=me.headers)
    assert_problem(refused, 403, "no_consent")
    assert await position(client, me) is None
    assert await events(stores, f"officer.{me.officer}") == []


@pytest.mark.parametrize("level", [1, 2, 3])
async def test_nobody_says_where_another_is(client: httpx.AsyncClient, caller: Callers, level: int) -> None:
    me, other = await caller(1, is_officer=True), await caller(level)
    assert (await share_position(client, me, lat=1.0, lon=1.0)).status_code == 204
    body = {"lat": 5.0, "lon": 5.0, "at": datetime.now(UTC).isoformat()}
    refused = await client.post(path(me, "/position"), json=body, headers=other.headers)
    assert_problem(refused, 403, "forbidden")
    assert (await position(client, me))["lat"] == 1.0


async def test_a_position_of_tomorrow_is_refused(client: httpx.AsyncClient, caller: Callers) -> None:
    me = await caller(1, is_officer=True)
    ahead = await share_position(client, me, lat=1.0, lon=1.0, at=datetime.now(UTC) + timedelta(minutes=5))
    assert_problem(ahead, 422, "invalid")
    assert await position(client, me) is None


async def test_a_restricted_person_s_position_is_not_taken(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    me = await caller(1, is_officer=True)
    await restrict(stores, me.user)
    refused = await share_position(client, me, lat=1.0, lon=1.0)
    assert_problem(refused, 409, "restricted")
