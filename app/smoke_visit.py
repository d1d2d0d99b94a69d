"""What a smoke run asks of the API beside it, one method a check, over the API's own two ports."""

from __future__ import annotations

import asyncio
import secrets
from typing import NamedTuple, TypeVar
from uuid import UUID

import orjson
from pydantic import BaseModel, JsonValue, ValidationError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Origin, Subprotocol

from app.auth.schemas import TokenAnswer
from app.errors import Code, ProblemBody
from app.fields import Answer
from app.settings import Settings
from app.smoke_account import SmokeAccount
from app.user.schemas import UserRead
from app.ws.messages import PROTOCOL, RESTARTS

LOOPBACK = "127.0.0.1"
API = "/api/v1"
# Out of rotation the slot sends its sockets away every 250 ms, those that were not welcomed yet at once:
# about one in a hundred. Chosen: three in a row are something else.
TRIES = 3

Model = TypeVar("Model", bound=BaseModel)


class Failed(Exception):
    """A check that failed: why, and what to do if it is not what the check always says."""

    def __init__(self, reason: str, *, remedy: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class _Check(Answer):
    """One check of readiness, with all that any of them tells."""

    ok: bool
    ms: float | None = None
    reason: str | None = None
    code: int | None = None
    ordinal: int | None = None
    min_ordinal: int | None = None
    live: str | None = None


class _Ready(Answer):
    state: str
    slot: str | None
    version: str
    checks: dict[str, _Check]


class _Unready(ProblemBody):
    """Out of rotation, or something is wrong: the same checks in a problem."""

    state: str
    slot: str | None
    version: str
    checks: dict[str, _Check]


class _Versions(Answer):
    postgresql: str
    postgis: str | None
    recovering: bool


class _Deep(Answer):
    state: str
    version: str
    checks: dict[str, _Check]
    pool: dict[str, int]
    event_loop_lag_s: float
    versions: _Versions | None = None


class _Told(Answer):
    """What comes over a socket."""

    id: str | None
    type: str
    topic: str | None
    data: dict[str, JsonValue]
    ts: str


class _Answered(NamedTuple):
    request: str
    status: int
    content: bytes

    def read(self, model: type[Model], status: int = 200) -> Model:
        """The content as `model`. Raises Failed if it is something else, without showing it."""
        self.expect(status)
        try:
            return model.model_validate_json(self.content)
        except ValidationError:
            raise Failed(f"{self.request}: the answer is not of this version's form") from None

    def expect(self, status: int, code: Code | None = None) -> None:
        """Raises Failed, with the request's id in the log, unless it is this answer."""
        problem = self._problem()
        if self.status == status and (code is None or (problem is not None and problem.code == code)):
            return
        more = "" if problem is None else f" {problem.code}, request {problem.request_id}"
        raise Failed(f"{self.request} answers {self.status}{more}, not {code or status}")

    def _problem(self) -> ProblemBody | None:
        try:
            return ProblemBody.model_validate_json(self.content)
        except ValidationError:
            return None


class Visit:
    """A person who comes once: the checks, in the order in which each needs those before."""

    def __init__(self, settings: Settings, account: SmokeAccount) -> None:
        self._settings = settings
        self._account = account
        self._host = served_host(settings.allowed_hosts)
        self._origin = allowed_origin(settings.allowed_origins, self._host)
        # Limits count by address. Each run comes from another one of this machine, and so neither waits for
        # those before it nor takes anything from people, whom a proxy beside it may bring from 127.0.0.1.
        self._address = ".".join(["127", *(str(1 + secrets.randbelow(254)) for _ in range(3))])
        self._user: UUID | None = None
        self._token = ""

    async def live(self) -> None:
        """The process answers."""
        (await self._ask("GET", "/health/live")).expect(200)

    async def database(self) -> None:
        """PostgreSQL answers the API."""
        check = await self._readiness("database")
        if not check.ok:
            raise Failed(f"PostgreSQL does not answer the API ({check.reason})")

    async def schema(self) -> None:
        """The code fits the schema."""
        check = await self._readiness("schema")
        if check.ok:
            return
        if check.ordinal is None:
            raise Failed("the database has no schema")
        if check.min_ordinal is not None and check.code is not None and check.min_ordinal > check.code:
            raise Failed(
                f"the schema takes code from ordinal {check.min_ordinal} on, this is {check.code}",
                remedy=f"release a version whose schema ordinal is at least {check.min_ordinal}",
            )
        raise Failed(f"the schema is at ordinal {check.ordinal}, this code needs {check.code}")

    async def redis(self) -> None:
        """Redis answers the API; people would hardly notice if it did not, a release must not begin so."""
        if not (await self._readiness("redis")).ok:
            raise Failed("Redis does not answer the API")

    async def postgis(self) -> None:
        """The database has PostGIS."""
        deep = (await self._ask("GET", "/health/deep", is_private=True)).read(_Deep)
        if deep.versions is None or deep.versions.postgis is None:
            raise Failed("the database has no PostGIS")

    async def login(self) -> None:
        """A new account's password opens a session."""
        self._user = await self._account.make()
        words = orjson.dumps({"email": self._account.email, "password": self._account.password})
        answer = await self._ask("POST", f"{API}/auth/login", body=words)
        self._token = answer.read(TokenAnswer).access_token

    async def me(self) -> None:
        """The token stands for that account."""
        me = (await self._ask("GET", f"{API}/users/me")).read(UserRead)
        if (me.uuid, me.email) != (self._user, self._account.email):
            raise Failed("the token is somebody else's")

    async def websocket(self) -> None:
        """A socket welcomes it."""
        for _ in range(TRIES):
            try:
                async with self._socket() as socket:
                    return await self._welcomed(socket)
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd is not None else 1006
                if code != RESTARTS:
                    raise Failed(f"/ws closes with {code} instead of a welcome") from None
            except InvalidStatus as refused:
                raise Failed(f"/ws answers {refused.response.status_code}, not 101") from None
            except (InvalidHandshake, OSError) as error:
                raise Failed(f"/ws does not open ({type(error).__name__})") from None
        raise Failed(f"/ws closes with {RESTARTS} instead of a welcome, {TRIES} times")

    async def logout(self) -> None:
        """The session ends, and its token opens nothing more."""
        (await self._ask("POST", f"{API}/auth/logout")).expect(204)
        (await self._ask("GET", f"{API}/users/me")).expect(401, Code.SESSION_ENDED)

    async def leave(self) -> None:
        """The account is removed; no check of the API."""
        await self._account.remove()

    async def _readiness(self, name: str) -> _Check:
        answer = await self._ask("GET", "/health/ready")
        if answer.status == 503:  # of an idle slot always, as it is out of rotation
            return answer.read(_Unready, 503).checks[name]
        return answer.read(_Ready).checks[name]

    def _socket(self) -> connect:
        return connect(
            f"ws://{self._host}/ws",
            host=LOOPBACK,
            port=self._settings.port,
            local_addr=(self._address, 0),
            origin=Origin(self._origin),
            subprotocols=[Subprotocol(PROTOCOL), Subprotocol(f"bearer.{self._token}")],
            compression=None,
            proxy=None,  # whatever the environment says
            open_timeout=None,  # the run's own limit holds
            ping_interval=None,
            close_timeout=1,
        )

    async def _welcomed(self, socket: ClientConnection) -> None:
        if socket.subprotocol != PROTOCOL:
            raise Failed(f"/ws does not speak {PROTOCOL}")
        try:
            told = _Told.model_validate_json(await socket.recv())
        except ValidationError:
            raise Failed("/ws says what is not of this version's form") from None
        if (told.type, told.data.get("user")) != ("welcome", str(self._user)):
            raise Failed(f"/ws says {told.type} instead of a welcome")

    async def _ask(self, method: str, path: str, *, body: bytes = b"", is_private: bool = False) -> _Answered:
        """One request on a connection of its own. Raises Failed if nobody answers."""
        variable, port = (
            ("GAD_PRIVATE_PORT", self._settings.private_port)
            if is_private
            else ("GAD_PORT", self._settings.port)
        )
        head = [
            f"{method} {path} HTTP/1.0",  # the answer ends with the connection
            f"Host: {self._host}",
            f"Origin: {self._origin}",
            "User-Agent: gad-smoke",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *([f"Authorization: Bearer {self._token}"] if self._token else []),
        ]
        try:
            reader, writer = await asyncio.open_connection(LOOPBACK, port, local_addr=(self._address, 0))
            try:
                writer.write("\r\n".join([*head, "", ""]).encode() + body)
                answer = await reader.read()
            finally:
                writer.close()
        except OSError as error:
            raise Failed(
                f"nothing answers on {LOOPBACK}:{port} ({type(error).__name__})",
                remedy=f"look at the container's log: the API must listen on {variable}",
            ) from error
        status, _, content = answer.partition(b"\r\n\r\n")
        words = status.split(b" ", 2)
        if len(words) < 3 or not words[1].isdigit():
            raise Failed(f"what answers on {LOOPBACK}:{port} ({variable}) does not speak HTTP")
        return _Answered(f"{method} {path}", int(words[1]), content)


def served_host(allowed: tuple[str, ...]) -> str:
    """A host name that the API serves."""
    plain = next((host for host in allowed if "*" not in host), None)
    if plain is not None:
        return plain
    return "localhost" if "*" in allowed else allowed[0].replace("*", "smoke", 1)


def allowed_origin(allowed: tuple[str, ...], host: str) -> str:
    """An origin from which a browser may log in."""
    return next((origin for origin in allowed if origin != "*"), f"https://{host}")
