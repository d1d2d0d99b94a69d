"""What can be done with people: making, reading and listing them. Changes are in `app.user.change`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID, uuid4

import asyncpg
from sqlalchemy.exc import IntegrityError

from app import page
from app.audit.models import Channel, Severity
from app.audit.recorder import Audit, note, record
from app.auth.attempts import hash_slowly
from app.db import Database, violated
from app.errors import Code, Problem
from app.user import repository, search
from app.user.models import NO_PASSWORD, Level, User
from app.user.repository import UserRepository
from app.user.schemas import UserCreate, UserFilter, UserRead
from app.user.vault import Vault

_CONFLICTS = {"users_email_key": Code.EMAIL_TAKEN, "users_dni_hmac_key": Code.DNI_TAKEN}
_ENTRY = (
    *("uuid", "email", "first_name", "last_name", "level"),
    *("verified", "created_at", "updated_at", "version"),
)


class Row(Protocol):
    """Columns by name: the driver's record, or made here."""

    def __getitem__(self, name: str, /) -> Any:
        """The column's value."""


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
        password_hash=NO_PASSWORD if secret is None else await hash_slowly(secret),
    )


async def create_user(
    users: UserRepository,
    vault: Vault,
    new: NewUser,
    *,
    actor: UUID | None = None,
    channel: Channel = Channel.API,
) -> User:
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
        raise conflict(error) from None
    is_powerful = new.level is Level.ADMINISTRATOR
    record(
        users.session,
        Audit(
            type="user.create",
            resource=f"user/{uuid}",
            actor=actor,
            severity=Severity.HIGH if is_powerful else Severity.MEDIUM,
            channel=channel,
            payload={"level": int(new.level), "email": email_digest(vault, new.email)},
        ),
    )
    return user


def conflict(error: IntegrityError) -> Exception:
    """The problem behind a refused row, or the error itself if it is none of ours."""
    code = _CONFLICTS.get(violated(error))
    return error if code is None else Problem(code)


def email_digest(vault: Vault, email: str) -> str:
    """How the audit trail names an e-mail; the same in any case."""
    return vault.digest("email", email.casefold()).hex()


async def read_user(database: Database, vault: Vault, uuid: UUID, *, reader: UUID | None = None) -> UserRead:
    """A live person; who reads somebody else is noted. Raises Problem (not_found), Unavailable."""
    row = await repository.find(database, uuid)
    if row is None:
        raise Problem(Code.NOT_FOUND)
    if reader is not None and reader != uuid:
        await note(database, Audit(type="user.read", resource=f"user/{uuid}", actor=reader))
    return readable(vault, row)


async def list_users(database: Database, query: UserFilter, *, reader: UUID) -> dict[str, object]:
    """A page and the cursor of the next; who was shown to whom is noted.

    Raises Invalid for a cursor that we never gave; Unavailable.
    """
    after = page.decode(query.cursor, UUID)[0] if query.cursor is not None else None
    wanted = search.Filter(level=query.level, words=tuple((query.q or "").split()))
    rows = await search.page(database, wanted, after=after, rows=query.limit + 1)
    shown = [str(row["uuid"]) for row in rows[: query.limit]]
    await note(database, Audit(type="user.list", resource="users", actor=reader, payload={"users": shown}))
    return page.page(rows, query.limit, item=_entry, key=lambda row: (row["uuid"],))


def _entry(row: asyncpg.Record) -> Mapping[str, object]:
    return {name: row[name] for name in _ENTRY}


def readable(vault: Vault, row: Row) -> UserRead:
    """A row with its sealed fields opened; null for ever once the key is destroyed."""
    dni = phone = None
    if row["wrapped_dek"] is not None:
        cipher = vault.subject(row["uuid"], row["wrapped_dek"])
        dni = cipher.open("dni", row["dni_enc"]) or None
        phone = cipher.open("phone", row["phone_enc"]) if row["phone_enc"] is not None else None
    return UserRead(**{name: row[name] for name in _ENTRY}, dni=dni, phone=phone)


def readable_user(vault: Vault, user: User, wrapped_dek: bytes | None) -> UserRead:
    """The same of a person in a unit of work, flushed and fresh."""
    names = (*_ENTRY, "dni_enc", "phone_enc")
    return readable(vault, {name: getattr(user, name) for name in names} | {"wrapped_dek": wrapped_dek})
