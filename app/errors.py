"""What a caller is told when something cannot be done: RFC 9457 problem+json, in Spanish, always.

A problem never carries a stack trace, a value that was sent, or a name somebody chose.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import TEXTS, text
from app.logs import request_id

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2  # chosen: a restarted PostgreSQL accepts connections within about two seconds

log = logging.getLogger("gad.errors")


class StartError(Exception):
    """The process cannot start as configured: `fact` names the variable or file, `remedy` what to do."""

    def __init__(self, fact: str, *, remedy: str) -> None:
        super().__init__(fact)
        self.fact = fact
        self.remedy = remedy

    def __str__(self) -> str:
        return f"error: {self.fact}\nremedy: {self.remedy}"


class Code(StrEnum):
    """Each problem a caller can be told about; programs decide by it, people read the detail."""

    status: int

    def __new__(cls, value: str, status: int) -> Code:
        """A code and the HTTP status it always comes with."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.status = status
        return member

    BAD_REQUEST = "bad_request", 400
    HOST_REFUSED = "host_refused", 400
    UNAUTHENTICATED = "unauthenticated", 401
    CREDENTIALS_REFUSED = "credentials_refused", 401
    SESSION_ENDED = "session_ended", 401
    FORBIDDEN = "forbidden", 403
    ORIGIN_REFUSED = "origin_refused", 403
    PASSWORD_REFUSED = "password_refused", 403
    NO_CONSENT = "no_consent", 403
    NOT_FOUND = "not_found", 404
    NO_OFFICER_AVAILABLE = "no_officer_available", 404
    METHOD_NOT_ALLOWED = "method_not_allowed", 405
    EMAIL_TAKEN = "email_taken", 409
    DNI_TAKEN = "dni_taken", 409
    REFRESH_RACED = "refresh_raced", 409
    OWN_LEVEL = "own_level", 409
    LAST_ADMINISTRATOR = "last_administrator", 409
    USER_ENGAGED = "user_engaged", 409
    INTERNAL_CODE_TAKEN = "internal_code_taken", 409
    USER_IS_OFFICER = "user_is_officer", 409
    IDEMPOTENCY_IN_FLIGHT = "idempotency_in_flight", 409
    CODE_TAKEN = "code_taken", 409
    OFFICER_BUSY = "officer_busy", 409
    OFFICER_ENGAGED = "officer_engaged", 409
    ALREADY_ASSIGNED = "already_assigned", 409
    NO_OFFICERS = "no_officers", 409
    OFFICER_ASSIGNED = "officer_assigned", 409
    SHIFT_OVERLAP = "shift_overlap", 409
    OFFICERS_CONTENDED = "officers_contended", 409
    LAST_OFFICER = "last_officer", 409
    WRONG_STATUS = "wrong_status", 409
    TASK_ENGAGED = "task_engaged", 409
    TASK_CLOSED = "task_closed", 409
    RESTRICTED = "restricted", 409
    STALE = "stale", 412
    BODY_TOO_LARGE = "body_too_large", 413
    INVALID = "invalid", 422
    UNKNOWN_USER = "unknown_user", 422
    UNKNOWN_OFFICER = "unknown_officer", 422
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch", 422
    PRECONDITION_REQUIRED = "precondition_required", 428
    RATE_LIMITED = "rate_limited", 429
    LOGIN_LOCKED = "login_locked", 429
    INTERNAL = "internal", 500
    UNAVAILABLE = "unavailable", 503
    NOT_READY = "not_ready", 503


class FieldError(BaseModel):
    """One datum that was refused. `field` is a dotted path of known names, such as body.position.lat."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: str
    code: str
    detail: str


class ProblemBody(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        title="Problem",
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:gad:problem:not_found",
                    "title": "No encontrado",
                    "status": 404,
                    "detail": "No existe, o ya no existe.",
                    "code": "not_found",
                    "request_id": "5f0c7a52b3c94b0f9a3e8f6f0d7f1f11",
                }
            ]
        },
    )

    type: str = Field(description="urn:gad:problem:<code>")
    title: str
    status: int
    detail: str = Field(description="For people, in Spanish.")
    code: str = Field(description="For programs; stable.")
    request_id: str = Field(description="Also in X-Request-ID and in the log.")
    errors: list[FieldError] | None = Field(None, description="Only with code `invalid`.")


class Problem(HTTPException):
    """Raise it anywhere below a route; the caller gets it as problem+json."""

    def __init__(
        self, code: Code, *, headers: Mapping[str, str] | None = None, errors: Sequence[FieldError] = ()
    ) -> None:
        super().__init__(code.status, detail=code.value, headers=dict(headers or {}))
        self.code = code
        self.errors = tuple(errors)


class Unavailable(Problem):
    """A part we need does not answer; the caller should try again in `RETRY_AFTER_S` seconds."""

    def __init__(self) -> None:
        super().__init__(Code.UNAVAILABLE, headers={"Retry-After": str(RETRY_AFTER_S)})


class Invalid(Problem):
    """One datum breaks a rule that the schema cannot state. `kind`: a key of [invalid] in es.toml."""

    def __init__(self, field: str, kind: str) -> None:
        super().__init__(Code.INVALID, errors=[_field_error(field, kind, {})])


def problem_response(
    code: Code,
    *,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[FieldError] = (),
    **members: object,
) -> Response:
    """The answer for `code`; `members` are RFC 9457 extension members."""
    body: dict[str, object] = {
        "type": f"urn:gad:problem:{code}",
        "title": text(f"problem.{code}.title"),
        "status": code.status,
        "detail": text(f"problem.{code}.detail"),
        "code": code.value,
        "request_id": request_id(),
    }
    if errors:
        body["errors"] = [error.model_dump() for error in errors]
    body.update(members)
    return Response(orjson.dumps(body), code.status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def _field_error(field: str, kind: str, limits: Mapping[str, Any]) -> FieldError:
    key = f"invalid.{kind}"
    return FieldError(
        field=field, code=kind, detail=text(key if key in TEXTS else "invalid.default", **limits)
    )


# The schema's own bounds; everything else in a validation error may hold what was sent.
_LIMITS = ("min_length", "max_length", "gt", "ge", "lt", "le")


def field_errors(error: RequestValidationError) -> list[FieldError]:
    """What was wrong, without any name or value that came with the request."""
    found = []
    for part in error.errors():
        names = [str(name) for name in part["loc"] if isinstance(name, str)]
        if part["type"] == "extra_forbidden":
            names = names[:-1]  # the last name is the sender's
        context: Mapping[str, Any] = part.get("ctx") or {}
        limits = {name: context[name] for name in _LIMITS if name in context}
        found.append(_field_error(".".join(names), part["type"], limits))
    return found


_BY_STATUS = {
    400: Code.BAD_REQUEST,
    401: Code.UNAUTHENTICATED,
    403: Code.FORBIDDEN,
    404: Code.NOT_FOUND,
    405: Code.METHOD_NOT_ALLOWED,
    413: Code.BODY_TOO_LARGE,
    503: Code.UNAVAILABLE,
}


async def _on_http_exception(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    if isinstance(error, Problem):
        return problem_response(error.code, headers=error.headers, errors=error.errors)
    return problem_response(_BY_STATUS.get(error.status_code, Code.BAD_REQUEST), headers=error.headers)


async def _on_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it alone
    return problem_response(Code.INVALID, errors=field_errors(error))


async def _on_bug(_request: Request, _error: Exception) -> Response:
    return problem_response(Code.INTERNAL)


def install(app: FastAPI) -> None:
    """Make every failure of `app` a problem."""
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(Exception, _on_bug)
