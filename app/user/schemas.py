"""What callers send and get about people."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    EmailStr,
    Field,
    JsonValue,
    SecretStr,
    model_validator,
)

from app.auth.passwords import is_personal
from app.auth.schemas import NewPassword
from app.fields import Answer, Body, Line, Words, refuse
from app.page import MAX_LIMIT
from app.user.models import Level

EXAMPLE: dict[str, JsonValue] = {
    "email": "maria.quishpe@distrito.example",
    "first_name": "María",
    "last_name": "Quishpe",
    "level": 1,
    "dni": "1710034065",
    "phone": "+593991234567",
}

_ENTRY: dict[str, JsonValue] = {
    **{name: EXAMPLE[name] for name in ("email", "first_name", "last_name", "level")},
    "uuid": "0b0e7d6c-6d0e-4b5e-9a37-0f6b8a1a7a11",
    "verified": True,
    "created_at": "2026-03-01T12:00:00Z",
    "updated_at": "2026-03-01T12:00:00Z",
    "version": 1,
}

Dni = Annotated[
    str,
    Field(pattern=r"^[0-9A-Za-z]{6,20}$", description="Document number: letters and digits."),
    AfterValidator(str.upper),
]
Email = Annotated[EmailStr, Field(max_length=254)]
Phone = Annotated[str, Field(pattern=r"^\+[1-9][0-9]{7,14}$", description="E.164.")]


def _number(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class UserCreate(Body):
    """A new person. Without a password the account exists, but nobody can log in with it."""

    model_config = ConfigDict(title="UserCreate", json_schema_extra={"examples": [EXAMPLE]})

    email: Email
    first_name: Line
    last_name: Line
    level: Level = Level.OFFICER
    dni: Dni
    phone: Phone | None = None
    password: NewPassword | None = None
    verified: bool = Field(default=True, description="The administrator vouches for the person.")

    @model_validator(mode="after")
    def _check_password(self) -> Self:
        if self.password is not None:
            password = self.password.get_secret_value()
            if is_personal(password, self.email, self.first_name, self.last_name):
                raise refuse("password_personal")
        return self


class OwnPatch(Body):
    """What people change about themselves; null empties the phone."""

    model_config = ConfigDict(title="OwnPatch", json_schema_extra={"examples": [{"phone": "+593991234567"}]})

    email: Email = Field(default_factory=str)  # unset unless sent
    phone: Phone | None = None


class UserPatch(OwnPatch):
    """What administrators change about a person. Another level or password, or no longer being verified, ends
    the person's sessions."""

    model_config = ConfigDict(title="UserPatch", json_schema_extra={"examples": [{"level": 2}]})

    # Unset unless sent; only the phone can be emptied.
    first_name: Line = Field(default_factory=str)
    last_name: Line = Field(default_factory=str)
    level: Level = Field(default_factory=lambda: Level.OFFICER)
    dni: Dni = Field(default_factory=str)
    password: NewPassword = Field(default_factory=lambda: SecretStr(""))
    verified: bool = Field(default_factory=bool)


class UserFilter(Body):
    """The query of the list."""

    model_config = ConfigDict(extra="ignore")  # as with every other query

    limit: int = Field(50, ge=1, le=MAX_LIMIT)
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before.")
    q: Words | None = Field(None, description="Parts of names or e-mail; one of 3 characters or more.")
    level: Annotated[Level, BeforeValidator(_number)] | None = None


class UserEntry(Answer):
    """A person in a list: without document and phone, which are read one person at a time."""

    model_config = ConfigDict(title="UserEntry", json_schema_extra={"examples": [_ENTRY]})

    uuid: UUID
    email: str
    first_name: str
    last_name: str
    level: Level
    verified: bool
    created_at: datetime
    updated_at: datetime
    version: int


class UserRead(UserEntry):
    """A person as administrators and the person see them."""

    model_config = ConfigDict(title="User", json_schema_extra={"examples": [{**EXAMPLE, **_ENTRY}]})

    dni: str | None
    phone: str | None


class UserPage(Answer):
    """People in the order they joined; `next_cursor` is null on the last page."""

    model_config = ConfigDict(
        title="UserPage", json_schema_extra={"examples": [{"items": [_ENTRY], "next_cursor": None}]}
    )

    items: list[UserEntry]
    next_cursor: str | None
