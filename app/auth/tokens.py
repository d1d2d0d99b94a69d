"""Access tokens: HS256 and nothing else, 15 minutes, two keys so that one can be replaced without a pause."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID, uuid4

import jwt

from app.user.models import Level

ALGORITHM = "HS256"
LIFETIME_S = 15 * 60  # product contract, section 5
LEEWAY_S = 5  # chosen: replicas on one machine share a clock; two machines keep NTP
CLAIMS = ("iss", "aud", "sub", "sid", "lvl", "jti", "iat", "nbf", "exp")


@dataclass(frozen=True)
class Principal:
    """Who is calling, as their token says; `expires` in seconds since the epoch."""

    user: UUID
    session: UUID
    level: Level
    expires: float


class TokenRefused(Exception):
    """The token proves nothing. `reason`: malformed, expired or claims."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def key_id(secret: str) -> str:
    """`kid` of a key: tells two keys apart and nothing about them."""
    return sha256(b"gad/kid/" + secret.encode()).hexdigest()[:8]


class Tokens:
    """Issues with the current key; verifies with it and, while keys change, the previous one.

    `now` is seconds since the epoch.
    """

    def __init__(
        self,
        *,
        secret: str,
        previous: str | None,
        issuer: str,
        audience: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._kid = key_id(secret)
        self._keys = {key_id(each): each for each in (previous, secret) if each is not None}
        self._issuer = issuer
        self._audience = audience
        self._now = now

    def issue(self, user: UUID, level: Level, *, session: UUID) -> str:
        """A token for one session of one person."""
        now = int(self._now())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(user),
            "sid": str(session),
            "lvl": int(level),
            "jti": uuid4().hex,
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME_S,
        }
        return jwt.encode(claims, self._keys[self._kid], ALGORITHM, headers={"kid": self._kid})

    def verify(self, token: str) -> Principal:
        """Who the token stands for, as long as their session runs. Raises TokenRefused."""
        now = self._now()
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            key = self._keys.get(kid) if isinstance(kid, str) else None
            if key is None:
                raise TokenRefused("claims")
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                # The moments are compared below, with our clock.
                options={
                    "require": list(CLAIMS),
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "strict_aud": True,
                },
            )
        except (jwt.InvalidIssuerError, jwt.InvalidAudienceError, jwt.MissingRequiredClaimError) as error:
            raise TokenRefused("claims") from error
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise TokenRefused("malformed") from error
        try:
            issued, starts, expires = (float(claims[name]) for name in ("iat", "nbf", "exp"))
            principal = Principal(UUID(claims["sub"]), UUID(claims["sid"]), Level(claims["lvl"]), expires)
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            raise TokenRefused("claims") from error
        if expires <= now - LEEWAY_S:
            raise TokenRefused("expired")
        if max(issued, starts) > now + LEEWAY_S or expires - issued > LIFETIME_S:
            raise TokenRefused("claims")
        return principal
