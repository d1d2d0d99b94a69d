"""Changing and deleting people: versions, levels, the last administrator, what is recorded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from uuid import UUID, uuid4

import httpx
import pytest
from bodies import HOST, Callers, Token, assert_problem, new_caller, person
from conftest import settings_for
from stores import Stores, rows

from app.main import Process, build

USERS = "/api/v1/users"
LOGIN = "/api/v1/auth/login"
PASSWORD = "ocho caballos verdes"  # pragma: allowlist secret
TASK = """
    INSERT INTO tasks (code, title, type, status, priority, planned_start, delegate_id, created_by)
    SELECT $2, 'Vigilar el parque', 'patrol', $3, 2, now(), id, id FROM users WHERE uuid = $1 RETURNING id
"""
ASSIGN = """
    INSERT INTO task_assignments (task_id, officer_id, period)
    SELECT $1, o.id, tstzrange(now(), now() + interval '1 hour') FROM officers o WHERE o.uuid = $2
"""


async def patch(
    client: httpx.AsyncClient, headers: dict[str, str], user: str, seen: str = "*", **change: object
) -> httpx.Response:
    return await client.patch(f"{USERS}/{user}", json=change, headers={**headers, "If-Match": seen})


async def delete(
    client: httpx.AsyncClient, headers: dict[str, str], user: str, seen: str = "*"
) -> httpx.Response:
    return await client.delete(f"{USERS}/{user}", headers={**headers, "If-Match": seen})


async def events(stores: Stores, user: str, kind: str) -> list[tuple[str, dict[str, object]]]:
    found = await rows(
        stores,
        "SELECT severity, payload FROM audit_events WHERE resource = $1 AND type = $2 ORDER BY id",
        f"user/{user}",
        kind,
    )
    return [(each["severity"], json.loads(each["payload"] or "{}")) for each in found]


async def test_a_change_raises_the_version_and_says_which_fields(
    client: httpx.AsyncClient, token: Token, stores: Stores, process: Process
) -> None:
    before = person(phone="+593991234567")
    made = (await client.post(USERS, json=before, headers=token(3))).json()
    email = f"otra.{made['uuid']}@distrito.example"
    change = {"first_name": "  Luz ", "email": email, "phone": None, "dni": f"x{made['uuid'][:8]}"}
    answer = await patch(client, token(3), made["uuid"], '"1"', **change)
    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"] == '"2"'
    changed = answer.json()
    assert changed == {
        **made,
        "first_name": "Luz",
        "email": email,
        "phone": None,
        "dni": str(change["dni"]).upper(),
        "version": 2,
        "updated_at": changed["updated_at"],
    }
    assert changed["updated_at"] > made["updated_at"]
    assert (await client.get(f"{USERS}/{made['uuid']}", headers=token(3))).json() == changed
    digest = process.api.state.vault.digest
    assert await events(stores, made["uuid"], "user.update") == [
        (
            "low",
            {
                "fields": ["dni", "email", "first_name", "phone"],
                "email": {"from": digest("email", before["email"]).hex(), "to": digest("email", email).hex()},
            },
        )
    ]


async def test_what_is_the_same_is_no_change(client: httpx.AsyncClient, token: Token, stores: Stores) -> None:
    body = person(phone="+593991234567")
    made = (await client.post(USERS, json=body, headers=token(3))).json()
    answer = await patch(client, token(3), made["uuid"], '"1"', **body, level=1, verified=True)
    assert answer.json() == made
    assert await events(stores, made["uuid"], "user.update") == []


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("seen", "status", "code"),
    [
        (None, 428, "precondition_required"),
        ('"2"', 412, "stale"),
        ("1", 412, "stale"),
        ('W/"1"', 412, "stale"),
    ],
)
async def test_nobody_changes_what_they_have_not_seen(
    *,
    client: httpx.AsyncClient,
    token: Token,
    caller: Callers,
    method: str,
    seen: str | None,
    status: int,
    code: str,
) -> None:
    user = (await caller(1)).user
    headers = token(3) | ({"If-Match": seen} if seen else {})
    body = {"content": b'{"first_name": "Luz"}'} if method == "PATCH" else {}
    headers |= {"Content-Type": "application/json"}
    answer = await client.request(method, f"{USERS}/{user}", headers=headers, **body)  # type: ignore[arg-type]
    assert_problem(answer, status, code)


async def test_of_two_changes_of_one_version_one_is_stale(
    client: httpx.AsyncClient, token: Token, caller: Callers
) -> None:
    user = (await caller(1)).user
    answers = await asyncio.gather(
        *(patch(client, token(3), user, '"1"', first_name=f"Luz {n}") for n in range(4))
    )
    assert sorted(each.status_code for each in answers) == [200, 412, 412, 412]


async def test_nobody_is_found_who_is_not_there(client: httpx.AsyncClient, token: Token) -> None:
    for answer in (
        await patch(client, token(3), str(uuid4()), first_name="Luz"),
        await delete(client, token(3), str(uuid4())),
    ):
        assert_problem(answer, 404, "not_found")


async def test_a_taken_email_or_document_is_named(client: httpx.AsyncClient, token: Token) -> None:
    first, second = person(), person()
    await client.post(USERS, json=first, headers=token(3))
    made = (await client.post(USERS, json=second, headers=token(3))).json()
    for change, code in (
        ({"email": first["email"].upper()}, "email_taken"),
        ({"dni": first["dni"]}, "dni_taken"),
    ):
        assert_problem(await patch(client, token(3), made["uuid"], **change), 409, code)


@pytest.mark.parametrize(
    ("change", "field", "kind"),
    [
        ({"email": None}, "body.email", "string_type"),
        ({"first_name": None}, "body.first_name", "string_type"),
        ({"level": None}, "body.level", "enum"),
        ({"level": 4}, "body.level", "enum"),
        ({"verified": None}, "body.verified", "bool_type"),
        ({"dni": None}, "body.dni", "string_type"),
        ({"password": "Contraseña2026!"}, "body.password", "password_weak"),
        ({"password": "chimbo-del-monte"}, "body.password", "password_personal"),
        ({"last_name": "Caballos", "password": PASSWORD}, "body.password", "password_personal"),
        ({"is_admin": True}, "body", "extra_forbidden"),
    ],
)
async def test_bad_changes_are_named_and_not_repeated(
    *,
    client: httpx.AsyncClient,
    token: Token,
    caller: Callers,
    change: dict[str, object],
    field: str,
    kind: str,
) -> None:
    answer = await patch(client, token(3), (await caller(1)).user, **change)
    body = assert_problem(answer, 422, "invalid")
    assert [(each["field"], each["code"]) for each in body["errors"]] == [(field, kind)]
    assert "chimbo" not in answer.text
    assert "Contraseña2026!" not in answer.text


async def test_an_administrator_gives_a_password_and_ends_a_lock(
    client: httpx.AsyncClient, token: Token, stores: Stores
) -> None:
    made = (await client.post(USERS, json=person(), headers=token(3))).json()
    body = {"email": made["email"], "password": PASSWORD}
    for _ in range(5):
        assert_problem(await client.post(LOGIN, json=body), 401, "credentials_refused")
    assert_problem(await client.post(LOGIN, json=body), 429, "login_locked")
    answer = await patch(client, token(3), made["uuid"], password=PASSWORD)
    assert answer.status_code == 200
    assert (await client.post(LOGIN, json=body)).status_code == 200
    assert await events(stores, made["uuid"], "user.update") == [("high", {"fields": ["password"]})]


async def test_another_level_is_recorded_with_both(
    client: httpx.AsyncClient, token: Token, caller: Callers, stores: Stores
) -> None:
    person = await caller(1)
    assert (await patch(client, token(3), person.user, level=2)).json()["level"] == 2
    assert_problem(await client.get(f"{USERS}/me", headers=person.headers), 401, "session_ended")
    assert await events(stores, person.user, "user.update") == [
        ("high", {"fields": ["level"], "level": {"from": 1, "to": 2}})
    ]


async def test_nobody_changes_their_own_level(client: httpx.AsyncClient, caller: Callers) -> None:
    admin = await caller(3)
    assert_problem(await patch(client, admin.headers, admin.user, level=2), 409, "own_level")
    same = await patch(client, admin.headers, admin.user, level=3, first_name="Rosa")
    assert same.json()["first_name"] == "Rosa"


async def test_everybody_changes_their_own_email_and_phone_and_no_more(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    me = await caller(1)
    email = f"nueva.{me.user}@distrito.example"

    async def change(seen: str, **body: object) -> httpx.Response:
        return await client.patch(f"{USERS}/me", json=body, headers={**me.headers, "If-Match": seen})

    answer = await change('"1"', email=email, phone="+593991112233")
    assert (answer.json()["email"], answer.json()["phone"]) == (email, "+593991112233")
    assert answer.headers["etag"] == '"2"'
    assert_problem(await change('"1"', phone=None), 412, "stale")
    for forbidden in ({"level": 3}, {"first_name": "Otra"}, {"verified": True}, {"dni": "123456"}):
        assert_problem(await change('"2"', **forbidden), 422, "invalid")
    assert (await change('"2"', phone=None)).json()["phone"] is None
    actors = await rows(
        stores,
        "SELECT u.uuid FROM audit_events a JOIN users u ON u.id = a.actor_id"
        " WHERE a.type = 'user.update' AND a.resource = $1",
        f"user/{me.user}",
    )
    assert [str(each["uuid"]) for each in actors] == [me.user] * 2


async def test_nothing_about_restricted_people_changes(
    client: httpx.AsyncClient, token: Token, caller: Callers, stores: Stores
) -> None:
    me = await caller(1)
    await asyncio.to_thread(stores.stamp, "users", "restricted_at", me.user)
    assert_problem(await patch(client, token(3), me.user, first_name="Luz"), 409, "restricted")
    assert_problem(await delete(client, token(3), me.user), 409, "restricted")
    own = await client.patch(f"{USERS}/me", json={"phone": None}, headers={**me.headers, "If-Match": "*"})
    assert_problem(own, 409, "restricted")


async def test_a_deleted_person_is_gone_with_sessions_and_officer(
    client: httpx.AsyncClient, token: Token, caller: Callers, stores: Stores
) -> None:
    who = await caller(1, is_officer=True)
    assert (await delete(client, token(3), who.user, '"1"')).status_code == 204
    assert_problem(await client.get(f"{USERS}/me", headers=who.headers), 401, "session_ended")
    assert_problem(await client.get(f"{USERS}/{who.user}", headers=token(3)), 404, "not_found")
    assert_problem(await client.get(f"/api/v1/officers/{who.officer}", headers=token(3)), 404, "not_found")
    [row] = await rows(
        stores,
        "SELECT u.deleted_at = o.deleted_at AS both FROM users u JOIN officers o ON o.user_id = u.id"
        " WHERE u.uuid = $1",
        UUID(who.user),
    )
    assert row["both"]
    assert [severity for severity, _ in await events(stores, who.user, "user.delete")] == ["high"]
    told = await rows(
        stores, "SELECT topics FROM event_outbox WHERE envelope->'data'->>'officer' = $1", who.officer
    )
    assert [sorted(each["topics"]) for each in told] == [
        sorted(["officers", f"officer.{who.officer}", f"user.{who.user}"])
    ]


@pytest.mark.parametrize(
    ("status", "answer"),
    [("programmed", 409), ("in_progress", 409), ("finished", 204), ("cancelled", 204)],
)
async def test_who_answers_for_an_active_task_stays(
    *, client: httpx.AsyncClient, token: Token, caller: Callers, stores: Stores, status: str, answer: int
) -> None:
    who = await caller(2)
    await rows(stores, TASK, UUID(who.user), f"T-{who.user[:8].upper()}", status)
    assert (await delete(client, token(3), who.user)).status_code == answer


async def test_who_is_assigned_stays(
    client: httpx.AsyncClient, token: Token, caller: Callers, stores: Stores
) -> None:
    who, chief = await caller(1, is_officer=True), await caller(2)
    [task] = await rows(stores, TASK, UUID(chief.user), f"T-{who.user[:8].upper()}", "in_progress")
    await rows(stores, ASSIGN, task["id"], UUID(who.officer))
    assert_problem(await delete(client, token(3), who.user), 409, "user_engaged")
    await rows(stores, "UPDATE task_assignments SET released_at = now() WHERE task_id = $1", task["id"])
    assert (await delete(client, token(3), who.user)).status_code == 204


# --- the last administrator: in a database of its own, where nobody else is one


@pytest.fixture
async def alone(
    stores: Stores, new_database: Callable[[str], str]
) -> AsyncIterator[tuple[Process, httpx.AsyncClient, str]]:
    name = await asyncio.to_thread(new_database, "gad_head")
    made = build(settings_for(stores, database_url=stores.dsn("gad_app", name)))
    transport = httpx.ASGITransport(app=made.public, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=f"https://{HOST}") as client:
        yield made, client, name
    await made.close()


async def administrators(stores: Stores, database: str) -> int:
    count = "SELECT count(*) FROM users WHERE level = 3 AND verified AND deleted_at IS NULL"
    [row] = await rows(stores, count, database=database)
    return int(row[0])


async def test_the_last_administrator_stays(
    alone: tuple[Process, httpx.AsyncClient, str], stores: Stores
) -> None:
    process, client, name = alone
    admin = await new_caller(process, 3)
    assert_problem(await delete(client, admin.headers, admin.user), 409, "last_administrator")
    assert_problem(await patch(client, admin.headers, admin.user, verified=False), 409, "last_administrator")
    second = await new_caller(process, 3)
    assert (await patch(client, admin.headers, second.user, level=1)).status_code == 200
    assert_problem(await delete(client, admin.headers, admin.user), 409, "last_administrator")
    assert await administrators(stores, name) == 1


@pytest.mark.parametrize("how", ["level", "delete", "verified", "mixed"])
async def test_of_administrators_who_remove_each_other_one_stays(
    alone: tuple[Process, httpx.AsyncClient, str], stores: Stores, how: str
) -> None:
    process, client, name = alone
    ways = {
        "level": lambda by, who: patch(client, by.headers, who.user, level=1),
        "delete": lambda by, who: delete(client, by.headers, who.user),
        "verified": lambda by, who: patch(client, by.headers, who.user, verified=False),
    }
    kinds = [*ways] if how == "mixed" else [how]
    crowd = [await new_caller(process, 3) for _ in range(5)]
    # All are let in before anybody is out: what follows is decided by the rows alone.
    await asyncio.gather(*(client.get(f"{USERS}/me", headers=each.headers) for each in crowd))
    pairs = [(crowd[n], crowd[n - 1], ways[kinds[n % len(kinds)]]) for n in range(len(crowd))]
    answers = await asyncio.gather(*(way(by, who) for by, who, way in pairs))
    statuses = [each.status_code for each in answers]
    assert set(statuses) <= {200, 204, 401, 409}, statuses
    assert await administrators(stores, name) >= 1
    assert statuses.count(200) + statuses.count(204) >= 1
