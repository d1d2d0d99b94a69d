"""What callers send and get to log in."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, SecretStr

from app.auth.tokens import LIFETIME_S
from app.fields import Answer, Body


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
    # 1-128: an old password may be shorter than the rule for new ones.
    password: Annotated[SecretStr, Field(min_length=1, max_length=128)]


class TokenAnswer(Answer):
    """An access token. The refresh token travels only as an HttpOnly cookie, never in a body."""

    model_config = ConfigDict(
        title="Token",
        json_schema_extra={
            "examples": [{"access_token": "eyJ…", "token_type": "Bearer", "expires_in": LIFETIME_S}]
        },
    )

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - RFC 6750's word
    expires_in: int = Field(description="Seconds.")
