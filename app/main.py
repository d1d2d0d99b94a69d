"""`python -m app.main`: one process, one loop, a public and a private port."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import uvloop
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.types import ASGIApp

from app import __version__, ending, errors, guard, logs, metrics, openapi, policy, reference
from app.audit.denials import Denials
from app.audit.routes import router as audit_router
from app.audit.service import Verifier
from app.auth.revocation import Revocations
from app.auth.routes import router as auth_router
from app.auth.service import Gate
from app.auth.sessions import Sessions
from app.auth.tokens import Tokens
from app.cache import Cache
from app.cache_routes import router as cache_router
from app.cached import Content, ContentCache
from app.catalogue import router as catalogue_router
from app.db import Database, Db
from app.duties import leaders
from app.errors import StartError
from app.health.checks import DatabaseProbe, Health
from app.health.routes import router as health_router
from app.leader import Leader
from app.limits import Limits, RateClass
from app.map.routes import router as map_router
from app.officer.routes import router as officer_router
from app.officer.shift_routes import router as shift_router
from app.privacy.routes import router as privacy_router
from app.private import application as private_application
from app.request import Edge
from app.rotation import Rotation
from app.routing import Shortcut
from app.server import listen, server_of
from app.settings import Environment, Settings, load
from app.stats.routes import router as stats_router
from app.stream import Stream
from app.task.emergency_routes import router as emergency_router
from app.task.routes import router as task_router
from app.task.turns import Turns
from app.user.routes import router as user_router
from app.user.vault import Vault
from app.ws.routes import router as socket_router
from app.ws.sockets import Sockets, assemble

log = logging.getLogger("gad.main")


@dataclass(frozen=True)
class Process:
    """The two applications and what they share."""

    public: ASGIApp
    private: ASGIApp
    api: FastAPI
    health: Health
    database: Database
    cache: Cache
    revocations: Revocations
    stream: Stream
    leaders: tuple[Leader, ...]
    sockets: Sockets

    async def close(self) -> None:
        """Give every connection back, within `ending.CLOSE_S`."""
        parts = (self.health, self.database, self.cache, self.revocations, self.stream)
        await ending.close(*(part.close() for part in parts))


def routes_of(api: FastAPI) -> Iterator[tuple[str, str, bool]]:
    """(method, path, is guarded) of every route."""
    for context in iter_route_contexts(api.routes):
        for method in sorted(context.methods or {"*"}):
            if method != "HEAD":
                guarded = isinstance(context.original_route, guard.GuardedRoute)
                yield method, context.path or "", guarded


def build(settings: Settings) -> Process:
    """Assemble the process; connects to nothing yet. Raises StartError if a route has no rule."""
    name = f"gad-api-{settings.slot or 'none'}"
    url = settings.database_url.get_secret_value()
    database = Database(
        url,
        pool=settings.db_pool,
        wait_s=settings.db_pool_s,
        statement_ms=settings.db_statement_ms,
        name=name,
    )
    cache = Cache(settings.redis_url.get_secret_value(), timeout_ms=settings.redis_ms, name=name)
    stream = Stream(settings.redis_url.get_secret_value(), name=f"{name}-stream")
    probe = DatabaseProbe(url, name=f"{name}-probe")
    rotation = Rotation(settings.live_slot_file, settings.slot)
    health = Health(
        probe=probe,
        database=database,
        cache=cache,
        rotation=rotation,
    )
    is_open = settings.env is not Environment.PRODUCTION
    api = FastAPI(
        title="GRUPO_GAD",
        version=__version__,
        description="Efectivos, tareas y emergencias de un distrito.",
        openapi_url="/openapi.json" if is_open else None,
        docs_url=None,  # app.reference, where there is one
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,  # a redirect would repeat the request's Host
        max_body_size=None,  # app.request limits it, after the caller was let in
    )
    errors.install(api)
    for router in (
        *(health_router, auth_router, user_router),
        *(officer_router, shift_router),
        *(privacy_router, emergency_router),
        *(audit_router, stats_router, map_router),
        *(catalogue_router, cache_router),
        *(task_router, socket_router),
        *([reference.router] if is_open else []),
    ):
        api.include_router(router)
    api.state.settings = settings
    api.state.database = database
    api.state.cache = cache
    api.state.content = ContentCache(cache)
    api.state.verifier = Verifier(database)
    api.state.health = health
    api.state.turns = Turns()
    api.state.vault = Vault(
        kek=settings.kek.get_secret_value(), hmac_key=settings.hmac_key.get_secret_value()
    )
    api.state.tokens = Tokens(
        secret=settings.jwt_secret.get_secret_value(),
        previous=settings.jwt_previous.get_secret_value() if settings.jwt_previous else None,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
    )
    api.state.sessions = Sessions(api.state.tokens, database)
    api.state.revocations = Revocations(
        settings.redis_url.get_secret_value(),
        cache,
        api.state.sessions,
        timeout_ms=settings.redis_ms,
        name=f"{name}-revocations",
    )
    api.state.gate = Gate(
        database=database,
        vault=api.state.vault,
        tokens=api.state.tokens,
        revocations=api.state.revocations,
    )
    api.state.limits = Limits(cache, {rate: getattr(settings, f"rate_{rate}") for rate in RateClass})
    denials = Denials(database)
    api.state.guard = guard.Guard(api.state.sessions, api.state.limits, denials)
    api.state.stream = stream
    api.state.leaders = leaders(url, stream=stream, name=name, rotation=rotation)
    api.state.sockets = assemble(
        settings,
        stream=stream,
        database=database,
        sessions=api.state.sessions,
        limits=api.state.limits,
        denials=denials,
        rotation=rotation,
    )
    policy.verify(routes_of(api))
    _install_openapi(api)
    metrics.prime_routes(_usual_answers(api))
    metrics.build_info.labels(__version__, settings.slot or "none").set(1)
    return Process(
        public=Edge(
            Shortcut(api, guard=api.state.guard, stores=((Db, database), (Content, api.state.content))),
            sockets=api.state.sockets.endpoint,
            slot=settings.slot,
            allowed_hosts=settings.allowed_hosts,
        ),
        private=private_application(health, probe),
        api=api,
        health=health,
        database=database,
        cache=cache,
        revocations=api.state.revocations,
        stream=stream,
        leaders=api.state.leaders,
        sockets=api.state.sockets,
    )


def _install_openapi(api: FastAPI) -> None:
    described: list[dict[str, Any]] = []

    def document() -> dict[str, Any]:
        if not described:
            described.append(openapi.describe(api))
        return described[0]

    api.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way


def _usual_answers(api: FastAPI) -> Iterator[tuple[str, str, int]]:
    for route in iter_route_contexts(api.routes):
        if isinstance(route.original_route, APIRoute):
            for method in route.methods or ():
                yield method, route.path or "", route.original_route.status_code or 200


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain; the process is gone within `ending.END_S`.

    Raises StartError if a port is taken.
    """
    process = build(settings)
    if process.api.openapi_url:
        process.api.openapi()  # a third of a second of work: no first reader may make all others wait for it
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    deadline = ending.Deadline(loop)

    def ask(*_: object) -> None:
        deadline.within(ending.END_S)  # here, not in the loop, which may not come to it
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, ask)
    listeners = (
        listen("GAD_PORT", settings.port),
        listen("GAD_PRIVATE_PORT", settings.private_port),
    )
    servers = (
        server_of(process.public, trusted=settings.trusted_proxies, has_sockets=True),
        server_of(process.private),
    )
    metrics.REGISTRY.register(metrics.PoolConnections(process.database.connections))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(process.close)  # after whatever still uses its connections
        await stack.enter_async_context(
            ending.background(
                metrics.watch_event_loop(),
                process.revocations.run(),
                process.api.state.content.run(),
                *(leader.run() for leader in process.leaders),
                *process.sockets.loops(lambda: process.health.stopping),
            )
        )
        tasks = [
            asyncio.create_task(server.serve(sockets=[listener]))
            for server, listener in zip(servers, listeners, strict=True)
        ]
        # What was built lives as long as the process: no collection looks at it again, which else holds every
        # request up for tens of milliseconds.
        gc.collect()
        gc.freeze()
        log.info("started", extra={"fields": {"version": __version__, "port": settings.port}})
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
        deadline.within(ending.END_S)
        process.health.stopping = True
        log.info("stopping")
        if (await process.health.ready()).checks["rotation"]["ok"]:
            await asyncio.sleep(ending.LAME_DUCK_S)
        for server in servers:
            server.should_exit = True
        stopped.cancel()
        await asyncio.gather(*tasks)
        deadline.within(ending.CANCEL_S + ending.CLOSE_S + ending.LAST_S)
    log.info("stopped")


def main() -> int:
    """Exit code 0 stopped as asked, 2 wrong settings."""
    try:
        settings = load(Settings)
        logs.configure(settings.log_level, settings.slot)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings))
    except StartError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
