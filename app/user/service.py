"""What can be done with people."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID, uuid4

import asyncpg
from sqlalchemy.exc import IntegrityError

from app.auth.passwords import hash_password
from app.db import Database, violated
from app.errors import Code, Problem
from app.user import repository
from app.user.models import NO_PASSWORD, Level, User
from app.user.repository import UserRepository
from app.user.schemas import UserCreate, UserRead
from app.user.vault import Vault

_CONFLICTS = {"users_email_key": Code.EMAIL_TAKEN, "users_dni_hmac_key": Code.DNI_TAKEN}


@dataclass(frozen=True)
class NewUser:
    """A person about to be stored; `dni` is None only for the first administrator."""

    email: str
    first_name: str
    last_name: str
    level: Level
    dni: str | None
    phone: str | None
    verified: bool
    password_hash: str


async def prepare(body: UserCreate) -> NewUser:
    """Everything slow about a new person, done before a transaction is open."""
    secret = body.password.get_secret_value() if body.password is not None else None
    return NewUser(
        email=body.email,
        first_name=body.first_name,
        last_name=body.last_name,
        level=body.level,
        dni=body.dni,
        phone=body.phone,
        verified=body.verified,
        password_hash=NO_PASSWORD if secret is None else await asyncio.to_thread(hash_password, secret),
    )


async def create_user(users: UserRepository, vault: Vault, new: NewUser) -> User:
    """Insert a person. Raises Problem (email_taken, dni_taken); does not commit."""
    uuid = uuid4()
    cipher, wrapped_dek = vault.new_subject(uuid)
    user = User(
        uuid=uuid,
        email=new.email,
        first_name=new.first_name,
        last_name=new.last_name,
        level=int(new.level),
        password_hash=new.password_hash,
        verified=new.verified,
        dni_enc=cipher.seal("dni", new.dni or ""),
        dni_hmac=vault.digest("dni", new.dni) if new.dni else None,
        phone_enc=cipher.seal("phone", new.phone) if new.phone else None,
    )
    try:
        await users.add(user, wrapped_dek)
    except IntegrityError as error:
        code = _CONFLICTS.get(violated(error))
        if code is None:
            raise
        raise Problem(code) from None
    return user


async def read_user(database: Database, vault: Vault, uuid: UUID) -> UserRead:
    """A live person. Raises Problem (not_found), Unavailable."""
    row = await repository.find(database, uuid)
    if row is None:
        raise Problem(Code.NOT_FOUND)
    return _readable(vault, row)


def _readable(vault: Vault, row: asyncpg.Record) -> UserRead:
    dni = phone = None
    if row["wrapped_dek"] is not None:  # else erased: unreadable for ever
        cipher = vault.subject(row["uuid"], row["wrapped_dek"])
        dni = cipher.open("dni", row["dni_enc"]) or None
        phone = cipher.open("phone", row["phone_enc"]) if row["phone_enc"] is not None else None
    return UserRead(
        uuid=row["uuid"],
        email=row["email"],
        first_name=row["first_name"],
        last_name=row["last_name"],
        level=Level(row["level"]),
        dni=dni,
        phone=phone,
        verified=row["verified"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        version=row["version"],
    )
