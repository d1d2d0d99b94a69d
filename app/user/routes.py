"""/api/v1/users."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from app.auth.attempts import hash_slowly
from app.auth.revocation import Announcer
from app.db import Db
from app.guard import Authorized, GuardedRoute
from app.idempotency import Idempotent
from app.openapi import CREATED, problems
from app.page import json_response
from app.policy import API
from app.precondition import Seen, etag
from app.user import change, replay, service
from app.user.repository import UserRepository
from app.user.schemas import OwnPatch, UserCreate, UserFilter, UserPage, UserPatch, UserRead
from app.user.vault import Keys

PREFIX = f"{API}/users"
router = APIRouter(prefix=PREFIX, tags=["users"], route_class=GuardedRoute)


@router.get("", response_model=UserPage)
async def list_page(caller: Authorized, database: Db, query: Annotated[UserFilter, Query()]) -> Response:
    """People in the order they joined, without document and phone."""
    return json_response(await service.list_users(database, query, reader=caller.principal.user))


@router.get("/me", response_model=UserRead, responses=problems(404))
async def read_me(caller: Authorized, database: Db, vault: Keys) -> Response:
    """The caller's own account."""
    return _versioned(await service.read_user(database, vault, caller.principal.user))


@router.patch("/me", response_model=UserRead, responses=problems(404, 409))
async def change_me(body: OwnPatch, caller: Authorized, database: Db, vault: Keys, seen: Seen) -> Response:
    """Change the own e-mail or phone; what is not sent stays."""
    me = caller.principal.user
    async with database.transaction() as session:
        changed = await change.change_user(UserRepository(session), vault, me, body, seen=seen, actor=me)
    return _versioned(changed.user)


@router.get("/{user_id}", response_model=UserRead)
async def read_one(user_id: UUID, caller: Authorized, database: Db, vault: Keys) -> Response:
    """One account."""
    return _versioned(await service.read_user(database, vault, user_id, reader=caller.principal.user))


@router.post("", status_code=201, response_model=UserRead, responses={**problems(409), **CREATED})
async def create(
    body: UserCreate, caller: Authorized, database: Db, vault: Keys, once: Idempotent
) -> Response:
    """A new account; without a password nobody can log in with it yet."""
    new = await service.prepare(body)
    async with database.transaction() as session:
        users = UserRepository(session)
        if (done := await once.replay(session)) is not None:
            return await replay.open_sealed(users, vault, done)
        user = await service.create_user(users, vault, new, actor=caller.principal.user)
        answer = service.readable_user(vault, user, await users.wrapped_dek(user.uuid))
        response = _versioned(answer, 201, Location=f"{PREFIX}/{user.uuid}")
        if once.key is not None:
            once.store(session, await replay.seal(users, vault, user.uuid, response))
    return response


@router.patch("/{user_id}", response_model=UserRead, responses=problems(409))
async def change_one(
    *,
    user_id: UUID,
    body: UserPatch,
    caller: Authorized,
    database: Db,
    vault: Keys,
    seen: Seen,
    announcer: Announcer,
) -> Response:
    """Change a person; what is not sent stays. Another level or password ends the person's sessions."""
    is_sent = "password" in body.model_fields_set
    password_hash = await hash_slowly(body.password.get_secret_value()) if is_sent else None
    async with database.transaction() as session:
        changed = await change.change_user(
            UserRepository(session),
            vault,
            user_id,
            body,
            seen=seen,
            actor=caller.principal.user,
            password_hash=password_hash,
        )
    await announcer.announce(*changed.ended)
    return _versioned(changed.user)


@router.delete("/{user_id}", status_code=204, responses=problems(409))
async def delete(user_id: UUID, caller: Authorized, database: Db, seen: Seen, announcer: Announcer) -> None:
    """Delete a person: not the last administrator, nor one with an active task or an open assignment."""
    async with database.transaction() as session:
        ended = await change.delete_user(
            UserRepository(session), user_id, seen=seen, actor=caller.principal.user
        )
    await announcer.announce(ended)


def _versioned(user: UserRead, status: int = 200, **headers: str) -> Response:
    return json_response(user.model_dump(mode="json"), status, ETag=etag(user.version), **headers)
