"""Calls as one person: signs in, renews the token, waits while the server is busy, repeats what is safe."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from uuid import uuid4

import httpx
from pydantic import ValidationError

from infra.client.failures import NotServed, Refused, Unexpected
from infra.client.operation import Answer, Body, Expected, Operation

ATTEMPTS = 8  # chosen: rides out a restart of the database or a release
FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 30.0  # a server that asks for more is not busy but down
REQUEST_S = 15.0  # longer than the API's own waits (2 s for a connection, 5 s for a statement) together
PAGE = 100  # the API's largest
BUSY = frozenset({429, 502, 503, 504})
IN_FLIGHT = "idempotency_in_flight"  # our own earlier attempt is still at work


class Problem(Answer):
    """A refusal in the API's form."""

    code: str
    detail: str
    request_id: str = ""


class Credentials(Body):
    """For signing in."""

    email: str
    password: str


class Token(Answer):
    """An access token; the refresh token is a cookie that the client keeps and never reads."""

    access_token: str


LOGIN = Operation(method="POST", path="/api/v1/auth/login", answer=Token, body=Credentials)
REFRESH = Operation(method="POST", path="/api/v1/auth/refresh", answer=Token)


@dataclass
class Session:
    """One person's session. `password` is asked at each sign-in; safe for many tasks at once."""

    client: httpx.AsyncClient
    email: str
    password: Callable[[], str]
    attempts: int = ATTEMPTS
    _token: str = ""
    _renewal: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def call(
        self,
        operation: Operation[Expected],
        body: Body | None = None,
        *,
        seen: int | None = None,
        key: str | None = None,
        query: Mapping[str, object] | None = None,
        path: Mapping[str, str] | None = None,
    ) -> Expected:
        """The answer. `seen`: the version that is changed; `key`: of idempotency, a new one if not given.

        Raises Refused, NotServed, Unexpected.
        """
        headers: dict[str, str] = {}
        if operation.is_once:
            headers["Idempotency-Key"] = key or uuid4().hex
        if operation.is_versioned:
            headers["If-Match"] = "*" if seen is None else f'"{seen}"'
        url = operation.path.format(**(path or {}))
        if query:
            url = str(httpx.URL(url, params={k: str(v) for k, v in query.items() if v is not None}))
        content = body.model_dump_json(exclude_none=True).encode() if body is not None else None
        token = self._token or await self._renew("")
        response = await self._send(operation, url, content, headers, token)
        if response.status_code == httpx.codes.UNAUTHORIZED:  # tokens last 15 minutes
            token = await self._renew(token)
            response = await self._send(operation, url, content, headers, token)
        return _answer(operation, response)

    async def every(
        self,
        operation: Operation[Expected],
        query: Mapping[str, object] | None = None,
        path: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Expected]:
        """Page after page of a list, to its end. Raises what `call` raises."""
        cursor: str | None = None
        while True:
            asked = {"limit": PAGE, **(query or {}), "cursor": cursor}
            page = await self.call(operation, query=asked, path=path)
            yield page
            cursor = getattr(page, "next_cursor", None)
            if cursor is None:
                return

    async def sign_in(self) -> str:
        """A token, renewed if it is none yet. Raises what `call` raises."""
        return self._token or await self._renew("")

    async def renew(self) -> str:
        """A fresh token, for who uses it longer than its 15 minutes. Raises what `call` raises."""
        return await self._renew(self._token)

    async def _renew(self, stale: str) -> str:
        async with self._renewal:
            if self._token == stale:  # else another task was quicker
                self._token = await self._refresh() or await self._log_in()
            return self._token

    async def _refresh(self) -> str:
        """Empty if there is no cookie, or it is not valid any more."""
        if not self.client.cookies:
            return ""
        response = await self._send(REFRESH, REFRESH.path, None, {}, "")
        if response.status_code in {401, 403, 404, 409, 422}:
            return ""
        return _answer(REFRESH, response).access_token

    async def _log_in(self) -> str:
        body = Credentials(email=self.email, password=self.password()).model_dump_json().encode()
        return _answer(LOGIN, await self._send(LOGIN, LOGIN.path, body, {}, "")).access_token

    async def _send(
        self,
        operation: Operation[Expected],
        url: str,
        content: bytes | None,
        headers: Mapping[str, str],
        token: str,
    ) -> httpx.Response:
        sent = dict(headers)
        if content is not None:
            sent["Content-Type"] = "application/json"
        if token:
            sent["Authorization"] = f"Bearer {token}"
        failure = "no answer"
        for attempt in range(self.attempts):
            wait = FIRST_WAIT_S * 2**attempt
            try:
                response = await self.client.request(operation.method, url, content=content, headers=sent)
            except httpx.TransportError as error:
                failure = f"{type(error).__name__}: {error}"
            else:
                if not _is_busy(response):
                    return response
                failure = f"{response.status_code} {response.reason_phrase}"
                asked = response.headers.get("retry-after", "")
                wait = max(wait, float(asked)) if asked.isdigit() else wait
            if attempt + 1 < self.attempts:
                await asyncio.sleep(min(wait, LONGEST_WAIT_S))
        raise NotServed(
            f"{self.client.base_url} did not serve {operation.method} {url} "
            f"in {self.attempts} attempts ({failure})"
        )


def _is_busy(response: httpx.Response) -> bool:
    if response.status_code == httpx.codes.CONFLICT:
        return IN_FLIGHT in response.text
    return response.status_code in BUSY


def _answer(operation: Operation[Expected], response: httpx.Response) -> Expected:
    try:
        if response.status_code == operation.status:
            return operation.answer.model_validate_json(response.content or b"{}")
        problem = Problem.model_validate_json(response.content)
    except ValidationError as error:
        raise Unexpected(f"{response.request.url} answered something else than expected") from error
    raise Refused(
        str(operation),
        status=response.status_code,
        code=problem.code,
        detail=problem.detail,
        request_id=problem.request_id,
    )
