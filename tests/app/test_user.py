"""People through the API, and what of them is readable in the rows."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import httpx
import pytest
from bodies import Token, assert_problem, person
from stores import Stores, rows

from app.user.schemas import UserRead

USERS = "/api/v1/users"


async def test_a_new_person_is_read_back_by_level_3_and_by_themselves(
    client: httpx.AsyncClient, token: Token
) -> None:
    body = person(phone="+593991234567", level=2, first_name="  María  ", dni="ab123456")
    made = await client.post(USERS, json=body, headers=token(3))
    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"{USERS}/{made.json()['uuid']}"

    answer = UserRead.model_validate(made.json())
    assert (answer.first_name, answer.dni, answer.phone, answer.level) == (
        "María",
        "AB123456",
        "+593991234567",
        2,
    )
    assert (answer.verified, answer.version) == (True, 1)
    assert "password" not in made.text

    by_id = await client.get(made.headers["location"], headers=token(3))
    by_self = await client.get(f"{USERS}/me", headers=token(2, answer.uuid))
    assert by_id.json() == by_self.json() == made.json()
    assert by_id.headers["etag"] == '"1"'


async def test_a_token_of_nobody_opens_nothing(client: httpx.AsyncClient, token: Token) -> None:
    assert_problem(await client.get(f"{USERS}/me", headers=token(1, uuid4())), 401, "session_ended")


async def test_emails_are_one_in_any_case_and_free_after_deletion(
    client: httpx.AsyncClient, token: Token, stores: Stores
) -> None:
    first = person(email="Una.Persona@distrito.example")
    made = await client.post(USERS, json=first, headers=token(3))
    assert made.status_code == 201
    again = person(email="una.persona@distrito.example")
    assert_problem(await client.post(USERS, json=again, headers=token(3)), 409, "email_taken")
    await asyncio.to_thread(stores.stamp, "users", "deleted_at", made.json()["uuid"])
    assert (await client.post(USERS, json=again, headers=token(3))).status_code == 201
    assert_problem(await client.get(made.headers["location"], headers=token(3)), 404, "not_found")


async def test_document_and_phone_are_unreadable_in_the_rows(
    client: httpx.AsyncClient, token: Token, stores: Stores
) -> None:
    body = person(phone="+593987654321", dni="1790099887")
    made = (await client.post(USERS, json=body, headers=token(3))).json()
    [row] = await rows(
        stores,
        "SELECT u.*, k.wrapped_dek FROM users u JOIN subject_keys k ON k.user_id = u.id WHERE u.uuid = $1",
        UUID(made["uuid"]),
    )
    stored = repr(dict(row)).encode()
    for secret in (b"1790099887", b"987654321"):
        assert secret not in stored
    assert len(row["dni_hmac"]) == 32
    assert len(row["wrapped_dek"]) == 12 + 32 + 16
    assert row["password_hash"] == "!"


async def test_without_its_key_a_person_stays_and_the_document_is_gone(
    client: httpx.AsyncClient, token: Token, stores: Stores
) -> None:
    made = (await client.post(USERS, json=person(phone="+593987654321"), headers=token(3))).json()
    await rows(
        stores,
        "UPDATE subject_keys SET wrapped_dek = NULL WHERE user_id = (SELECT id FROM users WHERE uuid = $1)",
        UUID(made["uuid"]),
    )
    read = await client.get(f"{USERS}/{made['uuid']}", headers=token(3))
    assert (read.json()["dni"], read.json()["phone"]) == (None, None)


@pytest.mark.parametrize(
    ("change", "field", "kind"),
    [
        ({"email": "nobody"}, "body.email", "value_error"),
        ({"email": None}, "body.email", "string_type"),
        ({"first_name": ""}, "body.first_name", "string_too_short"),
        ({"first_name": "a" * 81}, "body.first_name", "string_too_long"),
        ({"first_name": "a\x00b"}, "body.first_name", "control_character"),
        ({"last_name": "a\r\nX-Evil: 1"}, "body.last_name", "control_character"),
        ({"level": 4}, "body.level", "enum"),
        ({"level": "jefa"}, "body.level", "enum"),
        ({"dni": "12"}, "body.dni", "string_pattern_mismatch"),
        ({"phone": "0991234567"}, "body.phone", "string_pattern_mismatch"),
        ({"password": "short"}, "body.password", "too_short"),
        ({"password": "Contraseña2026!"}, "body.password", "password_weak"),
        ({"password": "guamán-de-la-sierra"}, "body", "password_personal"),
        ({"is_admin": True}, "body", "extra_forbidden"),
    ],
)
async def test_bad_data_is_named_and_not_repeated(
    client: httpx.AsyncClient, token: Token, change: dict[str, object], field: str, kind: str
) -> None:
    response = await client.post(USERS, json=person(**change), headers=token(3))
    body = assert_problem(response, 422, "invalid")
    assert [(error["field"], error["code"]) for error in body["errors"]] == [(field, kind)]
    assert body["errors"][0]["detail"]
    assert "is_admin" not in response.text
    assert "guamán" not in response.text.lower()


async def test_sql_is_only_a_name(client: httpx.AsyncClient, token: Token) -> None:
    name = "Robert'); DROP TABLE users;--"
    made = await client.post(USERS, json=person(first_name=name), headers=token(3))
    assert made.json()["first_name"] == name
    assert (await client.get(made.headers["location"], headers=token(3))).status_code == 200
