"""The parts that serve sockets, put together, and what runs beside requests for their sake."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from app.audit.denials import Denials
from app.auth.sessions import Sessions
from app.db import Database
from app.limits import Limits
from app.rotation import Rotation
from app.settings import Settings
from app.stream import Stream
from app.ws.admission import Admission
from app.ws.endpoint import Endpoint
from app.ws.hub import Hub, Pace
from app.ws.reader import Reader
from app.ws.replay import Replay

WATCH_S = 0.25  # chosen: as often as the proxy asks; clients leave within 10 s of a change
BEAT_S = 1.0

log = logging.getLogger("gad.ws")


@dataclass(frozen=True)
class Sockets:
    """What one process has of them."""

    hub: Hub
    endpoint: Endpoint
    _reader: Reader
    _admission: Admission
    _rotation: Rotation

    def loops(self, is_stopping: Callable[[], bool]) -> tuple[Coroutine[Any, Any, None], ...]:
        """To be run for as long as the process serves."""
        return self._reader.run(), self._admission.watch_sessions(), self._watch(is_stopping)

    async def _watch(self, is_stopping: Callable[[], bool]) -> None:
        beaten_at = time.monotonic()
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                if is_stopping() or not self._rotation.is_in():
                    self.hub.send_away()
                if time.monotonic() - beaten_at >= BEAT_S:
                    beaten_at = time.monotonic()
                    self.hub.beat()
            except Exception:
                log.exception("watching sockets failed")


def assemble(
    settings: Settings,
    *,
    stream: Stream,
    database: Database,
    sessions: Sessions,
    limits: Limits,
    denials: Denials,
    rotation: Rotation,
) -> Sockets:
    """Connects to nothing yet."""
    hub = Hub(Pace(settings.ws_ping_s, settings.ws_silence_s))
    replay = Replay(hub, stream)
    admission = Admission(database, hub, replay)
    sessions.on_revoked(hub.revoke)
    endpoint = Endpoint(
        hub=hub,
        admission=admission,
        replay=replay,
        sessions=sessions,
        limits=limits,
        denials=denials,
        origins=settings.allowed_origins,
        max_clients=settings.ws_max_clients,
        queue=settings.ws_queue,
        auth_s=settings.ws_auth_s,
    )
    return Sockets(hub, endpoint, Reader(stream, hub), admission, rotation)
