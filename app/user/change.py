"""Changing and deleting people: what may change, what ends their sessions, who must stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from app import precondition
from app.audit.models import Channel, Severity
from app.audit.recorder import Audit, record
from app.auth import repository as auth
from app.auth.passwords import is_personal
from app.auth.sessions import Revoked
from app.errors import Code, Invalid, Problem
from app.officer.record import OfficerChange
from app.officer.record import write as record_officer
from app.officer.repository import OfficerRepository
from app.user.models import Level, User
from app.user.repository import UserRepository
from app.user.schemas import OwnPatch, UserPatch, UserRead
from app.user.service import conflict, email_digest, readable_user
from app.user.vault import SubjectCipher, Vault

_PLAIN = ("email", "first_name", "last_name", "level", "verified")
_ENDING = frozenset({"level", "password"})  # product contract, section 5


@dataclass(frozen=True)
class Changed:
    """The person as they are now, and whose sessions to announce as ended after the commit."""

    user: UserRead
    ended: tuple[Revoked, ...]


async def change_user(
    users: UserRepository,
    vault: Vault,
    uuid: UUID,
    body: UserPatch | OwnPatch,
    *,
    seen: int | None,
    actor: UUID,
    password_hash: str | None = None,
) -> Changed:
    """Write what differs; does not commit. `password_hash` is the hash of `body.password`.

    Raises Problem: not_found, restricted, stale, own_level, last_administrator, email_taken, dni_taken;
    Invalid for a password with the person's name or e-mail.
    """
    if {"level", "verified"} & body.model_fields_set:
        await users.hold_administrators()
    user, wrapped_dek = await _locked(users, uuid, seen)
    before = {name: getattr(user, name) for name in _PLAIN}
    cipher = vault.subject(user.uuid, wrapped_dek) if wrapped_dek is not None else None
    changes = _differences(user, body, vault, cipher)
    if password_hash is not None and isinstance(body, UserPatch):
        _check_password(user, body, changes)
        changes |= {"password_hash": password_hash, "failed_attempts": 0, "locked_until": None}
    if not changes:
        return Changed(readable_user(vault, user, wrapped_dek), ())
    await _check_level(users, user, changes, actor)
    for name, value in changes.items():
        setattr(user, name, value)
    user.version += 1
    fields = sorted(_named(changes))
    ends = bool(_ENDING & set(fields)) or changes.get("verified") is False
    try:
        await users.session.flush()
    except IntegrityError as error:
        raise conflict(error) from None
    if ends:
        await auth.revoke_all(users.session, user.id, datetime.now(UTC))
    record(users.session, _event(vault, user, fields, before, actor))
    await users.session.refresh(user, ["updated_at"])
    return Changed(readable_user(vault, user, wrapped_dek), (Revoked(user=uuid),) if ends else ())


async def delete_user(
    users: UserRepository, uuid: UUID, *, seen: int | None, actor: UUID, channel: Channel = Channel.API
) -> Revoked:
    """Take a person, their officer entry and their sessions out; does not commit.

    Raises Problem: not_found, restricted, stale, last_administrator; user_engaged while they answer for an
    active task or an assignment of theirs is open.
    """
    officers = OfficerRepository(users.session)
    await users.hold_administrators()
    # The officer is locked before the person, as whoever writes tasks does.
    entry = await users.officer_of(uuid)
    officer = await officers.lock(entry) if entry is not None else None
    user, _ = await _locked(users, uuid, seen, for_deletion=True)
    await _check_level(users, user, {"deleted_at": True}, actor)
    # The locks keep new tasks and assignments out: their foreign keys wait for them.
    is_assigned = officer is not None and await officers.is_assigned(officer["id"])
    if is_assigned or await users.is_delegate(user.id):
        raise Problem(Code.USER_ENGAGED)
    now = datetime.now(UTC)
    if officer is not None:
        gone = {"deleted_at": now, "last_position": None, "position_at": None}
        changed = await officers.change(officer["id"], gone)
        record_officer(
            users.session,
            OfficerChange(
                verb="delete", officer=officer["uuid"], user=uuid, actor=actor, version=changed["version"]
            ),
        )
    user.deleted_at = now
    user.version += 1
    await auth.revoke_all(users.session, user.id, now)
    record(
        users.session,
        Audit(
            type="user.delete", resource=f"user/{uuid}", actor=actor, severity=Severity.HIGH, channel=channel
        ),
    )
    return Revoked(user=uuid)


async def _locked(
    users: UserRepository, uuid: UUID, seen: int | None, *, for_deletion: bool = False
) -> tuple[User, bytes | None]:
    found = await users.lock(uuid=uuid, for_deletion=for_deletion)
    if found is None or found[0].erased_at is not None:
        raise Problem(Code.NOT_FOUND)
    if found[0].restricted_at is not None:  # nothing about them changes until it is lifted (section 9)
        raise Problem(Code.RESTRICTED)
    precondition.check(seen, found[0].version)
    return found


def _differences(user: User, body: OwnPatch, vault: Vault, cipher: SubjectCipher | None) -> dict[str, Any]:
    """Columns that change; sealed fields are compared opened."""
    sent = body.model_dump(include=body.model_fields_set - {"password"})
    changes = {name: sent[name] for name in _PLAIN if name in sent and sent[name] != getattr(user, name)}
    if cipher is not None:
        phone = cipher.open("phone", user.phone_enc) if user.phone_enc is not None else None
        if "phone" in sent and sent["phone"] != phone:
            changes["phone_enc"] = cipher.seal("phone", sent["phone"]) if sent["phone"] is not None else None
        if "dni" in sent and sent["dni"] != cipher.open("dni", user.dni_enc):
            changes |= {
                "dni_enc": cipher.seal("dni", sent["dni"]),
                "dni_hmac": vault.digest("dni", sent["dni"]),
            }
    if "level" in changes:
        changes["level"] = int(changes["level"])
    return changes


def _check_password(user: User, body: UserPatch, changes: Mapping[str, Any]) -> None:
    email, *names = (changes.get(name, getattr(user, name)) for name in ("email", "first_name", "last_name"))
    if is_personal(body.password.get_secret_value(), email, *names):
        raise Invalid("body.password", "password_personal")


async def _check_level(users: UserRepository, user: User, changes: Mapping[str, Any], actor: UUID) -> None:
    """Nobody changes their own level; an administrator who can log in stays."""
    if "level" in changes and user.uuid == actor:
        raise Problem(Code.OWN_LEVEL)
    is_one = user.level == Level.ADMINISTRATOR and user.verified
    stays = (
        changes.get("level", user.level) == Level.ADMINISTRATOR
        and changes.get("verified", True)
        and "deleted_at" not in changes
    )
    if is_one and not stays and not await users.has_other_administrator(user.id):
        raise Problem(Code.LAST_ADMINISTRATOR)


def _named(columns: Mapping[str, Any]) -> set[str]:
    """Fields as callers know them."""
    stored = {"phone_enc": "phone", "dni_enc": "dni", "password_hash": "password"}
    hidden = {"dni_hmac", "failed_attempts", "locked_until"}
    return {stored.get(name, name) for name in columns} - hidden


def _event(vault: Vault, user: User, fields: list[str], before: Mapping[str, Any], actor: UUID) -> Audit:
    payload: dict[str, object] = {"fields": fields}
    if "level" in fields:
        payload["level"] = {"from": before["level"], "to": user.level}
    if "email" in fields:
        payload["email"] = {
            "from": email_digest(vault, before["email"]),
            "to": email_digest(vault, user.email),
        }
    severity = Severity.HIGH if {"level", "password"} & set(fields) else Severity.LOW
    return Audit(
        type="user.update", resource=f"user/{user.uuid}", actor=actor, severity=severity, payload=payload
    )
