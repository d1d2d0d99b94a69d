"""Lists of people, who read whom, and answers that are given twice."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from bodies import Callers, Token, assert_problem, person
from stores import Stores, rows

from app.user.schemas import UserPage
from app.user.search import statement

USERS = "/api/v1/users"
PASSWORD = "ocho caballos verdes"  # pragma: allowlist secret


async def make(client: httpx.AsyncClient, token: Token, **changes: object) -> dict[str, Any]:
    made = await client.post(USERS, json=person(**changes), headers=token(3))
    assert made.status_code == 201, made.text
    user: dict[str, Any] = made.json()
    return user


async def listed(client: httpx.AsyncClient, token: Token, **query: object) -> list[dict[str, Any]]:
    answer = await client.get(USERS, params={"limit": 100, **query}, headers=token(3))  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    UserPage.model_validate(answer.json(), strict=False)
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


@pytest.fixture
async def family(client: httpx.AsyncClient, token: Token) -> tuple[str, list[dict[str, Any]]]:
    """A name that nobody else of the run has, and five people of it."""
    name = f"Zamb{secrets.token_hex(4)}"
    people = [
        await make(client, token, first_name=first, last_name=name, level=level)
        for first, level in (("Ana", 1), ("Luz María", 2), ("Eva", 1), ("Rosa", 3), ("Mónica", 2))
    ]
    return name, people


async def test_pages_follow_each_other_and_meet_everybody_once(
    client: httpx.AsyncClient, token: Token, family: tuple[str, list[dict[str, Any]]]
) -> None:
    name, people = family
    found, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        query = {"q": name, "limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await client.get(USERS, params=query, headers=token(3))).json()
        found += page["items"]
        cursor, pages = page["next_cursor"], pages + 1
    assert pages == 3
    hidden = {"dni", "phone"}
    assert found == [{key: value for key, value in each.items() if key not in hidden} for each in people]


@pytest.mark.parametrize(
    ("words", "level", "who"),
    [
        ("{name}", 1, ["Ana", "Eva"]),
        ("{name} luz", None, ["Luz María"]),
        ("MARÍA {name}", None, ["Luz María"]),
        ("luz eva {name}", None, []),
        ("{name} %", None, []),
        ("{name} _na", None, []),
        ("{name}x", None, []),
        ("{name}", 3, ["Rosa"]),
    ],
)
async def test_the_words_must_all_be_found(
    *,
    client: httpx.AsyncClient,
    token: Token,
    family: tuple[str, list[dict[str, Any]]],
    words: str,
    level: int | None,
    who: list[str],
) -> None:
    query = {"q": words.format(name=family[0].lower())} | ({"level": level} if level else {})
    assert [each["first_name"] for each in await listed(client, token, **query)] == who


async def test_people_are_found_by_their_email(client: httpx.AsyncClient, token: Token) -> None:
    name = f"correo{secrets.token_hex(4)}"
    made = await make(client, token, email=f"{name}@distrito.example")
    assert [each["uuid"] for each in await listed(client, token, q=name.upper()[2:])] == [made["uuid"]]


async def test_deleted_and_restricted_people_are_in_no_list(
    client: httpx.AsyncClient, token: Token, stores: Stores, family: tuple[str, list[dict[str, Any]]]
) -> None:
    name, people = family
    for person_, column in zip(people, ("deleted_at", "restricted_at"), strict=False):
        await asyncio.to_thread(stores.stamp, "users", column, person_["uuid"])
    assert [each["first_name"] for each in await listed(client, token, q=name)] == ["Eva", "Rosa", "Mónica"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": 0}, "query.limit"),
        ({"limit": 101}, "query.limit"),
        ({"cursor": "x"}, "query.cursor"),
        ({"q": "ab cd"}, "query.q"),
        ({"q": "a\x00b c"}, "query.q"),
        ({"level": 4}, "query.level"),
        ({"level": "jefa"}, "query.level"),
    ],
)
async def test_a_bad_query_is_named(
    client: httpx.AsyncClient, token: Token, query: dict[str, object], field: str
) -> None:
    answer = await client.get(USERS, params=query, headers=token(3))  # type: ignore[arg-type]
    assert [each["field"] for each in assert_problem(answer, 422, "invalid")["errors"]] == [field]


CROWD = """
    INSERT INTO users (email, first_name, last_name, level, password_hash, dni_enc)
    SELECT md5(n::text) || '@distrito.example', md5((n + 1)::text), md5((n + 2)::text), 1, '!', ''
    FROM generate_series(1, 20000) AS n
"""


async def test_a_search_walks_the_trigram_indexes(stores: Stores, new_database: Callable[[str], str]) -> None:
    name = await asyncio.to_thread(new_database, "gad_head")
    await asyncio.to_thread(stores.execute, CROWD, "VACUUM ANALYZE users", database=name)
    read = statement(frozenset({"q"}), 21)
    values = read.arguments({"longest": "%quishpe%", "words": ["%quishpe%"]})
    connection = await asyncpg.connect(stores.dsn("gad_app", name))
    try:
        plan = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {read.sql}", *values)
    finally:
        await connection.close()
    for index in ("users_first_name_trgm_idx", "users_last_name_trgm_idx", "users_email_trgm_idx"):
        assert index in plan


async def test_who_read_whom_is_recorded_and_oneself_is_not(
    client: httpx.AsyncClient, token: Token, caller: Callers, stores: Stores
) -> None:
    admin = await caller(3)
    made = await make(client, token)
    await client.get(f"{USERS}/{made['uuid']}", headers=admin.headers)
    await client.get(f"{USERS}/me", headers=admin.headers)
    await client.get(f"{USERS}/{admin.user}", headers=admin.headers)
    page = await client.get(USERS, params={"q": made["email"]}, headers=admin.headers)
    assert [each["uuid"] for each in page.json()["items"]] == [made["uuid"]]
    found = await rows(
        stores,
        "SELECT a.type, a.resource, a.payload FROM audit_events a JOIN users u ON u.id = a.actor_id"
        " WHERE u.uuid = $1 ORDER BY a.id",
        UUID(admin.user),
    )
    assert [(each["type"], each["resource"]) for each in found] == [
        ("user.read", f"user/{made['uuid']}"),
        ("user.list", "users"),
    ]
    assert json.loads(found[1]["payload"]) == {"users": [made["uuid"]]}


async def test_a_new_person_is_recorded_without_their_data(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    admin, body = await caller(3), person(level=3, phone="+593994711471")
    made = (await client.post(USERS, json=body, headers=admin.headers)).json()
    [event] = await rows(
        stores,
        "SELECT a.severity, a.payload, u.uuid AS actor FROM audit_events a JOIN users u ON u.id = a.actor_id"
        " WHERE a.type = 'user.create' AND a.resource = $1",
        f"user/{made['uuid']}",
    )
    assert (event["severity"], str(event["actor"])) == ("high", admin.user)
    for value in (body["email"], body["dni"], "4711471", body["last_name"]):
        assert value not in event["payload"]


async def test_the_same_key_makes_one_person_and_gives_the_same_answer(
    client: httpx.AsyncClient, token: Token, stores: Stores
) -> None:
    key, body = secrets.token_hex(8), person(phone="+593994711471", dni="CANARY4711", password=PASSWORD)
    headers = token(3) | {"Idempotency-Key": key}
    first = await client.post(USERS, json=body, headers=headers)
    again = await client.post(USERS, json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    for name in ("location", "etag", "content-type"):
        assert again.headers[name] == first.headers[name]
    assert again.json()["dni"] == "CANARY4711"
    assert_problem(await client.post(USERS, json=person(), headers=headers), 422, "idempotency_mismatch")

    [row] = await rows(stores, "SELECT k::text AS text FROM idempotency_keys k WHERE key = $1", key)
    for value in ("CANARY4711", "4711471", body["email"], body["last_name"]):
        assert value not in row["text"]
    gone = "UPDATE subject_keys SET wrapped_dek = NULL WHERE user_id = (SELECT id FROM users WHERE uuid = $1)"
    await rows(stores, gone, UUID(first.json()["uuid"]))
    assert_problem(await client.post(USERS, json=body, headers=headers), 404, "not_found")


async def test_at_once_the_same_key_makes_one_person(client: httpx.AsyncClient, token: Token) -> None:
    body, headers = person(), token(3) | {"Idempotency-Key": secrets.token_hex(8)}
    answers = await asyncio.gather(*(client.post(USERS, json=body, headers=headers) for _ in range(5)))
    assert {each.status_code for each in answers} <= {201, 409}
    made = [each for each in answers if each.status_code == 201]
    assert len({each.json()["uuid"] for each in made}) == 1
    for each in answers:
        code = each.json().get("code", "idempotency_in_flight")
        assert code == "idempotency_in_flight"


async def test_a_read_has_the_version_to_send_back(client: httpx.AsyncClient, token: Token) -> None:
    made = await make(client, token)
    read = await client.get(f"{USERS}/{made['uuid']}", headers=token(3))
    headers = token(3) | {"If-Match": read.headers["etag"]}
    changed = await client.patch(f"{USERS}/{made['uuid']}", json={"first_name": "Luz"}, headers=headers)
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert_problem(await client.get(f"{USERS}/{uuid4()}", headers=token(3)), 404, "not_found")
