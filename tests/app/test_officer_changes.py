"""Officers change and go: versions, conflicts, and what each change leaves behind."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from bodies import Callers, assert_problem, officer
from on_duty import OFFICERS, audits, events, open_assignment, restrict
from stores import Stores


async def create(client: httpx.AsyncClient, headers: dict[str, str], **changes: object) -> dict[str, Any]:
    made = await client.post(OFFICERS, json=officer(**changes), headers=headers)
    assert made.status_code == 201, made.text
    answer: dict[str, Any] = made.json()
    return answer


async def test_what_is_sent_changes_and_the_rest_stays(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    admin = await caller(3)
    made = await create(client, admin.headers, rank="Cabo", unit="UPC Norte", specialty="Canes")
    path = f"{OFFICERS}/{made['uuid']}"

    changed = await client.patch(
        path, json={"rank": "Sargento", "unit": None}, headers={**admin.headers, "If-Match": '"1"'}
    )
    assert changed.status_code == 200, changed.text
    assert changed.headers["etag"] == '"2"'
    assert (await client.get(path, headers=admin.headers)).json() == changed.json()
    assert changed.json() == {
        **made,
        "rank": "Sargento",
        "unit": None,
        "version": 2,
        "updated_at": changed.json()["updated_at"],
    }

    assert await audits(stores, f"officer/{made['uuid']}") == [
        ("officer.create", admin.user, True, {"fields": []}),
        ("officer.update", admin.user, True, {"fields": ["rank", "unit"]}),
    ]
    topics = ["officers", f"officer.{made['uuid']}", f"user.{made['user_id']}"]
    assert await events(stores, f"officer.{made['uuid']}") == [
        ("officer.created", topics, {"officer": made["uuid"], "version": 1, "fields": []}),
        ("officer.updated", topics, {"officer": made["uuid"], "version": 2, "fields": ["rank", "unit"]}),
    ]


@pytest.mark.parametrize("body", [{}, {"rank": "Cabo"}], ids=["empty", "same"])
async def test_a_change_of_nothing_leaves_nothing(
    client: httpx.AsyncClient, caller: Callers, stores: Stores, body: dict[str, str]
) -> None:
    admin = await caller(3)
    made = await create(client, admin.headers, rank="Cabo")
    headers = {**admin.headers, "If-Match": "*"}
    same = await client.patch(f"{OFFICERS}/{made['uuid']}", json=body, headers=headers)
    assert (same.status_code, same.json()) == (200, made)
    assert len(await audits(stores, f"officer/{made['uuid']}")) == 1


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_who_changes_says_which_version_they_saw(
    client: httpx.AsyncClient, caller: Callers, method: str
) -> None:
    admin = await caller(3)
    path = f"{OFFICERS}/{(await create(client, admin.headers))['uuid']}"
    body = {"json": {"rank": "Cabo"}} if method == "PATCH" else {}

    without = await client.request(method, path, headers=admin.headers, **body)
    assert_problem(without, 428, "precondition_required")
    for tag in ('"2"', '"x"', 'W/"1"'):
        stale = await client.request(method, path, headers={**admin.headers, "If-Match": tag}, **body)
        assert_problem(stale, 412, "stale")
    assert (await client.get(path, headers=admin.headers)).headers["etag"] == '"1"'


async def test_a_taken_code_is_a_conflict_and_null_is_no_code(
    client: httpx.AsyncClient, caller: Callers
) -> None:
    admin = await caller(3)
    first, second = await create(client, admin.headers), await create(client, admin.headers)
    path, headers = f"{OFFICERS}/{second['uuid']}", {**admin.headers, "If-Match": '"1"'}
    taken = await client.patch(path, json={"internal_code": first["internal_code"]}, headers=headers)
    assert_problem(taken, 409, "internal_code_taken")
    for wrong in (None, "", "a b"):
        refused = await client.patch(path, json={"internal_code": wrong}, headers=headers)
        assert_problem(refused, 422, "invalid")
    assert (await client.get(path, headers=admin.headers)).json() == second


async def test_of_two_changes_at_once_one_is_stale(client: httpx.AsyncClient, caller: Callers) -> None:
    admin = await caller(3)
    path = f"{OFFICERS}/{(await create(client, admin.headers))['uuid']}"
    headers = {**admin.headers, "If-Match": '"1"'}
    answers = await asyncio.gather(
        *(client.patch(path, json={"rank": f"Cabo {n}"}, headers=headers) for n in range(5))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412]


async def test_a_deleted_officer_is_gone_with_their_position(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    admin = await caller(3)
    made = await create(client, admin.headers)
    path = f"{OFFICERS}/{made['uuid']}"
    gone = await client.delete(path, headers={**admin.headers, "If-Match": '"1"'})
    assert (gone.status_code, gone.content) == (204, b"")

    assert_problem(await client.get(path, headers=admin.headers), 404, "not_found")
    again = await client.delete(path, headers={**admin.headers, "If-Match": "*"})
    assert_problem(again, 404, "not_found")
    rows = await stores.fetch(
        "SELECT deleted_at IS NOT NULL, last_position IS NULL, version FROM officers WHERE uuid = $1",
        made["uuid"],
    )
    assert rows == [(True, True, 2)]
    assert [each[0] for each in await audits(stores, f"officer/{made['uuid']}")] == [
        "officer.create",
        "officer.delete",
    ]
    assert [each[0] for each in await events(stores, f"officer.{made['uuid']}")] == [
        "officer.created",
        "officer.deleted",
    ]


async def test_an_assigned_officer_cannot_be_deleted(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    admin = await caller(3)
    made = await create(client, admin.headers)
    assignment = await open_assignment(stores, made["uuid"], engaged=False)
    headers = {**admin.headers, "If-Match": "*"}
    path = f"{OFFICERS}/{made['uuid']}"
    assert_problem(await client.delete(path, headers=headers), 409, "officer_assigned")
    await stores.fetch("UPDATE task_assignments SET released_at = now() WHERE id = $1", assignment)
    assert (await client.delete(path, headers=headers)).status_code == 204


async def test_one_key_makes_one_officer(client: httpx.AsyncClient, caller: Callers, stores: Stores) -> None:
    admin = await caller(3)
    body, headers = officer(), {**admin.headers, "Idempotency-Key": f"k-{uuid4()}"}
    first = await client.post(OFFICERS, json=body, headers=headers)
    again = await client.post(OFFICERS, json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert (again.json(), again.headers["location"]) == (first.json(), first.headers["location"])
    assert len(await audits(stores, f"officer/{first.json()['uuid']}")) == 1
    other = await client.post(OFFICERS, json=officer(), headers=headers)
    assert_problem(other, 422, "idempotency_mismatch")


async def test_nothing_about_a_restricted_person_changes(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    admin = await caller(3)
    made = await create(client, admin.headers)
    await restrict(stores, made["user_id"])
    path, headers = f"{OFFICERS}/{made['uuid']}", {**admin.headers, "If-Match": "*"}
    shift = {"starts_at": "2026-03-01T12:00:00Z", "ends_at": "2026-03-01T20:00:00Z"}
    for refused in (
        await client.patch(path, json={"rank": "Cabo"}, headers=headers),
        await client.delete(path, headers=headers),
        await client.put(f"{path}/availability", json={"availability": "off_duty"}, headers=headers),
        await client.post(f"{path}/shifts", json=shift, headers=headers),
    ):
        assert_problem(refused, 409, "restricted")


@pytest.mark.parametrize(("level", "method"), [(2, "PATCH"), (2, "DELETE"), (1, "PATCH"), (1, "DELETE")])
async def test_only_administrators_change_officers(
    client: httpx.AsyncClient, caller: Callers, level: int, method: str
) -> None:
    mine = await caller(level, is_officer=True)
    refused = await client.request(
        method, f"{OFFICERS}/{mine.officer}", headers={**mine.headers, "If-Match": "*"}, json={"rank": "X"}
    )
    assert_problem(refused, 403, "forbidden")
