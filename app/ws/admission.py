"""Who may hear what, asked of the stores: at subscription, and again whenever it may have changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from app.db import Database
from app.errors import Problem
from app.stream import Position
from app.ws import repository
from app.ws.client import Client
from app.ws.hub import Hub
from app.ws.messages import NO_AUTH
from app.ws.replay import Replay
from app.ws.topics import judge, one_of

SWEEP_S = 4.0  # under the product contract's 5 s (section 5), for a revocation that nobody told of

log = logging.getLogger("gad.ws")


class Admission:
    """Decides for one process."""

    def __init__(self, database: Database, hub: Hub, replay: Replay) -> None:
        self._database = database
        self._hub = hub
        self._replay = replay
        self._asking: set[asyncio.Task[None]] = set()
        hub.on_suspended = self.ask_again

    async def judge(self, client: Client, topics: Sequence[str]) -> tuple[list[str], list[str]]:
        """(allowed, denied). Raises Unavailable."""
        if client.principal is None:
            return [], list(topics)
        user = client.principal.user
        verdict = judge(client.principal, topics)
        allowed, denied = [*verdict.allowed], [*verdict.denied]
        for noun, asked in (("task", verdict.own_tasks), ("officer", verdict.own_officers)):
            own = await repository.owned(self._database, noun, asked, [user])
            for thing, topic in asked.items():
                (allowed if (thing, user) in own else denied).append(topic)
        return allowed, denied

    def ask_again(self, topic: str, clients: Sequence[Client], before: Position) -> None:
        """Find out who of `clients` still owns the thing; they go on after `before`, the others are told."""
        task = asyncio.create_task(self._ask_again(topic, clients, before))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask_again(self, topic: str, clients: Sequence[Client], before: Position) -> None:
        single = one_of(topic)
        users = {client.principal.user for client in clients if client.principal is not None}
        try:
            own = set()
            if single is not None:
                own = await repository.owned(self._database, single[0], [single[1]], users)
        except Problem:
            log.warning("ownership could not be asked", extra={"fields": {"clients": len(clients)}})
        stay = []
        for client in clients:
            if topic not in client.suspended or client.principal is None:
                continue  # it does not want to hear of it any more
            client.suspended.discard(topic)
            if single is not None and (single[1], client.principal.user) in own:
                stay.append(client)
            else:
                client.tell("denied", topics=[topic])
        await asyncio.gather(*(self._go_on(client, topic, before) for client in stay))

    async def _go_on(self, client: Client, topic: str, before: Position) -> None:
        async with client.replaying:
            await self._replay.follow(client, [topic], before)

    async def watch_sessions(self) -> None:
        """Close, within `SWEEP_S`, whoever's session ended unheard. Cancel to stop."""
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                await self._sweep()
            except Problem:
                continue  # without a database nothing changes, and no event comes
            except Exception:
                log.exception("looking at sessions failed")

    async def _sweep(self) -> None:
        present = [(client, client.principal) for client in self._hub.clients if client.principal is not None]
        if not present:
            return
        running = await repository.running(self._database, {who.session for _, who in present})
        for client, who in present:
            # By now it may have said anew who it is.
            if client.principal is who and running.get(who.session) != who.level:
                client.close(NO_AUTH)
