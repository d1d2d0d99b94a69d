"""The stored answer of a request that made a person: sealed under that person's key, as all of theirs is.

Whoever reads the rows finds nothing in it, and once the key is destroyed nobody does.
"""

from __future__ import annotations

import base64
from uuid import UUID

import orjson
from starlette.responses import Response

from app.errors import Code, Problem
from app.idempotency import kept_headers
from app.user.repository import UserRepository
from app.user.vault import Vault

_FIELD = "answer"


async def seal(users: UserRepository, vault: Vault, uuid: UUID, response: Response) -> Response:
    """The same answer with its body sealed, to be stored."""
    wrapped_dek = await users.wrapped_dek(uuid)
    assert wrapped_dek is not None  # noqa: S101 - the person was made in this unit of work
    sealed = vault.subject(uuid, wrapped_dek).seal(_FIELD, bytes(response.body).decode())
    body = orjson.dumps({"user": str(uuid), "sealed": base64.b64encode(sealed).decode()})
    return Response(body, response.status_code, headers=kept_headers(response))


async def open_sealed(users: UserRepository, vault: Vault, stored: Response) -> Response:
    """The answer as it was given. Raises Problem (not_found) when the person is gone."""
    found = orjson.loads(bytes(stored.body))
    uuid = UUID(found["user"])
    wrapped_dek = await users.wrapped_dek(uuid)
    if wrapped_dek is None:
        raise Problem(Code.NOT_FOUND)
    body = vault.subject(uuid, wrapped_dek).open(_FIELD, base64.b64decode(found["sealed"]))
    return Response(body, stored.status_code, headers=kept_headers(stored), media_type="application/json")
