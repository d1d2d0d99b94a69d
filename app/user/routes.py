"""/api/v1/users."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from app.db import Db
from app.openapi import CREATED, problems
from app.policy import API, Authorized, GuardedRoute
from app.user import service
from app.user.repository import UserRepository
from app.user.schemas import UserCreate, UserRead
from app.user.vault import Keys

PREFIX = f"{API}/users"
router = APIRouter(prefix=PREFIX, tags=["users"], route_class=GuardedRoute)


@router.get("/me", responses=problems(401, 404, 503))
async def read_me(caller: Authorized, database: Db, vault: Keys, response: Response) -> UserRead:
    """The caller's own account."""
    return await _read(database, vault, caller.principal.user, response)


@router.get("/{user_id}", responses=problems(401, 403, 404, 422, 503))
async def read_one(user_id: UUID, database: Db, vault: Keys, response: Response) -> UserRead:
    """One account."""
    return await _read(database, vault, user_id, response)


@router.post("", status_code=201, responses={**problems(401, 403, 409, 413, 422, 503), **CREATED})
async def create(body: UserCreate, database: Db, vault: Keys, response: Response) -> UserRead:
    """A new account; without a password nobody can log in with it yet."""
    new = await service.prepare(body)
    async with database.transaction() as session:
        user = await service.create_user(UserRepository(session), vault, new)
    response.headers["Location"] = f"{PREFIX}/{user.uuid}"
    return await _read(database, vault, user.uuid, response)


async def _read(database: Db, vault: Keys, uuid: UUID, response: Response) -> UserRead:
    user = await service.read_user(database, vault, uuid)
    response.headers["ETag"] = f'"{user.version}"'
    return user
