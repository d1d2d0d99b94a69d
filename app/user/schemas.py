"""What callers send and get about people."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, EmailStr, Field, JsonValue, model_validator

from app.auth.passwords import is_personal
from app.auth.schemas import NewPassword
from app.fields import Answer, Body, Line, refuse
from app.user.models import Level

EXAMPLE: dict[str, JsonValue] = {
    "email": "maria.quishpe@distrito.example",
    "first_name": "María",
    "last_name": "Quishpe",
    "level": 1,
    "dni": "1710034065",
    "phone": "+593991234567",
}

Dni = Annotated[
    str,
    Field(pattern=r"^[0-9A-Za-z]{6,20}$", description="Document number: letters and digits."),
    AfterValidator(str.upper),
]
Phone = Annotated[str, Field(pattern=r"^\+[1-9][0-9]{7,14}$", description="E.164.")]


class UserCreate(Body):
    """A new person. Without a password the account exists, but nobody can log in with it."""

    model_config = ConfigDict(title="UserCreate", json_schema_extra={"examples": [EXAMPLE]})

    email: Annotated[EmailStr, Field(max_length=254)]
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


class UserRead(Answer):
    """A person as administrators and the person see them."""

    model_config = ConfigDict(
        title="User",
        json_schema_extra={
            "examples": [
                {
                    **EXAMPLE,
                    "uuid": "0b0e7d6c-6d0e-4b5e-9a37-0f6b8a1a7a11",
                    "verified": True,
                    "created_at": "2026-03-01T12:00:00Z",
                    "updated_at": "2026-03-01T12:00:00Z",
                    "version": 1,
                }
            ]
        },
    )

    uuid: UUID
    email: str
    first_name: str
    last_name: str
    level: Level
    dni: str | None
    phone: str | None
    verified: bool
    created_at: datetime
    updated_at: datetime
    version: int
