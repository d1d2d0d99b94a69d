"""What callers send and get to log in and to stay."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, SecretStr

from app.auth.passwords import is_weak
from app.auth.tokens import LIFETIME_S
from app.fields import Answer, Body, refuse


def _strong(password: SecretStr) -> SecretStr:
    if is_weak(password.get_secret_value()):
        raise refuse("password_weak")
    return password


# 1-128: an old password may be shorter than the rule for new ones.
Password = Annotated[SecretStr, Field(min_length=1, max_length=128)]
NewPassword = Annotated[SecretStr, Field(min_length=12, max_length=128), AfterValidator(_strong)]


class LoginRequest(Body):
    """E-mail and password."""

    model_config = ConfigDict(
        title="LoginRequest",
        str_strip_whitespace=False,
        json_schema_extra={
            "examples": [{"email": "jefa@distrito.example", "password": "ocho caballos verdes"}]
        },
    )

    email: Annotated[str, Field(min_length=3, max_length=254, pattern=r"^[^\x00-\x20]+$")]
    password: Password


class PasswordChange(Body):
    """The password that is, and the one that shall be."""

    model_config = ConfigDict(
        title="PasswordChange",
        str_strip_whitespace=False,
        json_schema_extra={
            "examples": [{"old_password": "ocho caballos verdes", "new_password": "nueve mulas grises"}]
        },
    )

    old_password: Password
    new_password: NewPassword


class PasswordProof(Body):
    """The caller's password once more."""

    model_config = ConfigDict(
        title="PasswordProof",
        str_strip_whitespace=False,
        json_schema_extra={"examples": [{"password": "ocho caballos verdes"}]},
    )

    password: Password


class TokenAnswer(Answer):
    """An access token. The refresh token travels only as the HttpOnly cookie `gad_refresh`, never in a body;
    a program that wants to renew its session keeps that cookie as a browser does."""

    model_config = ConfigDict(
        title="Token",
        json_schema_extra={
            "examples": [{"access_token": "eyJ…", "token_type": "Bearer", "expires_in": LIFETIME_S}]
        },
    )

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - RFC 6750's word
    expires_in: int = Field(description="Seconds.")
