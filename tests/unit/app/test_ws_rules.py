"""Sockets without sockets: who may hear what, what is sent to whom, how much may wait."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import orjson
import pytest

from app.auth.sessions import Revoked
from app.auth.tokens import Principal
from app.stream import Bounds, Entry, Position, entries_of
from app.user.models import Level
from app.ws.client import MESSAGES_BURST, Client
from app.ws.hub import RECENT, RENEW_S, Hub, Pace
from app.ws.messages import Auth, Subscribe, frame, read, told
from app.ws.replay import topic_for
from app.ws.topics import automatic, hangs_on_ownership, judge


@dataclass
class Wire:
    """A socket that keeps what is written to it."""

    is_paused: bool = False
    writable: asyncio.Event = field(default_factory=asyncio.Event)
    frames: list[bytes] = field(default_factory=list)
    code: int | None = None

    def write(self, data: bytes) -> None:
        self.frames.append(data)

    def end(self, code: int) -> None:
        self.code = code

    def kinds(self) -> list[str]:
        return [orjson.loads(each[each.index(b"{") :])["type"] for each in self.frames]


def who(level: int, user: UUID | None = None, *, expires_in: float = 900) -> Principal:
    return Principal(user or uuid4(), uuid4(), Level(level), time.time() + expires_in)


def entry(number: int, *topics: str, kind: str = "alert") -> Entry:
    body = orjson.dumps({"type": kind, "data": {"n": number}, "ts": "2026-01-01T00:00:00.000Z"})
    return Entry(f"{number}-0", topics, body)


def client_of(hub: Hub, principal: Principal, *topics: str) -> tuple[Client, Wire]:
    wire = Wire()
    client = Client(wire, queue=256)
    client.principal = principal
    hub.enter(client)
    hub.add(client, topics, hub.position)
    return client, wire


def hub_of(ping_s: float = 30, silence_s: float = 60) -> Hub:
    return Hub(Pace(ping_s, silence_s))


ME, OTHER, THING = (UUID(int=number, version=4) for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("topic", "one", "two"),
    [
        ("system", "yes", "yes"),
        (f"user.{ME}", "yes", "yes"),
        (f"user.{OTHER}", "no", "no"),
        ("tasks", "no", "yes"),
        ("officers", "no", "yes"),
        ("emergencies", "no", "yes"),
        ("alerts", "no", "yes"),
        (f"task.{THING}", "own", "yes"),
        (f"officer.{THING}", "own", "yes"),
        (f"task.{THING.hex}", "no", "no"),  # one spelling each, else one thing had two topics
        (f"session.{THING}", "no", "no"),
        ("task.", "no", "no"),
        ("", "no", "no"),
    ],
)
def test_who_may_hear_what(topic: str, one: str, two: str) -> None:
    def say(level: int) -> str:
        verdict = judge(who(level, ME), [topic])
        own = [*verdict.own_tasks.values(), *verdict.own_officers.values()]
        assert len(verdict.allowed) + len(verdict.denied) + len(own) == 1
        return "yes" if verdict.allowed else "own" if own else "no"

    assert (say(1), say(2), say(3)) == (one, two, two)
    assert hangs_on_ownership(who(1, ME), topic) >= (one == "own")
    assert not hangs_on_ownership(who(2, ME), topic)


def test_some_topics_come_by_themselves() -> None:
    assert automatic(who(1, ME)) == ("system", f"user.{ME}")


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_a_frame_is_what_the_rfc_says(size: int) -> None:
    from websockets.frames import Frame, Opcode  # noqa: PLC0415

    payload = b"x" * size
    assert frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)


@pytest.mark.parametrize(
    ("text", "is_read"),
    [
        ('{"type":"auth","token":"x"}', True),
        ('{"type":"auth","token":"x","last_id":"1700000000000-0"}', True),
        ('{"type":"auth","token":"x","last_id":"$"}', False),
        ('{"type":"auth","token":"x","user":"y"}', False),
        ('{"type":"auth"}', False),
        ('{"type":"subscribe","topics":["tasks"]}', True),
        ('{"type":"subscribe","topics":"tasks"}', False),
        ('{"type":"subscribe","topics":[1]}', False),
        ('{"type":"welcome"}', False),
        ('["auth"]', False),
        ("\x00", False),
        ('{"type":' * 5000, False),
    ],
)
def test_what_clients_may_say(text: str, is_read: bool) -> None:
    assert (read(text) is not None) is is_read


def test_what_is_said_is_read() -> None:
    assert read(b'{"type":"auth","token":"x"}') == Auth(type="auth", token="x")
    assert read('{"type":"subscribe","topics":["a"],"last_id":"1-2"}') == Subscribe(
        type="subscribe", topics=["a"], last_id="1-2"
    )
    assert list(orjson.loads(told("ping", {}))) == ["id", "type", "topic", "data", "ts"]


async def test_an_event_goes_once_to_each_who_hears_of_it() -> None:
    hub = hub_of()
    _, both = client_of(hub, who(2), "tasks", f"task.{THING}")
    _, one = client_of(hub, who(2), "alerts")
    client, left = client_of(hub, who(2), "tasks")
    hub.leave(client, 1000)
    await hub.take([entry(1, "tasks", f"task.{THING}"), entry(2, "alerts", "tasks"), entry(3, "officers")])
    assert [orjson.loads(each[2:])["topic"] for each in both.frames] == ["tasks", "tasks"]
    assert len(one.frames) == 1
    assert left.frames == []
    assert (hub.sent, hub.position, hub.closed) == (3, (3, 0), {"1000": 1})
    assert hub.topic_count() == 3


def test_257_waiting_messages_are_too_many() -> None:
    wire = Wire(is_paused=True)
    client = Client(wire, queue=256)
    for _ in range(256):
        client.push(b"x")
    assert (wire.code, wire.frames) == (None, [])
    wire.is_paused = False
    client.flush()
    assert len(wire.frames) == 256
    wire.is_paused = True
    for _ in range(257):
        client.push(b"x")
    assert wire.code == 4429
    wire.is_paused = False
    client.flush()
    client.push(b"x")
    assert len(wire.frames) == 256


def test_order_is_kept_while_some_wait() -> None:
    wire = Wire(is_paused=True)
    client = Client(wire, queue=256)
    client.push(b"1")
    wire.is_paused = False
    client.push(b"2")  # not before the first
    client.flush()
    client.push(b"3")
    assert wire.frames == [b"1", b"2", b"3"]


def test_a_client_may_say_only_so_much() -> None:
    client = Client(Wire(), queue=1)
    assert [client.may_speak() for _ in range(MESSAGES_BURST + 2)].count(True) == MESSAGES_BURST


async def test_silence_and_expired_tokens_end() -> None:
    hub = hub_of(ping_s=30, silence_s=60)
    fresh, fresh_wire = client_of(hub, who(1))
    silent, silent_wire = client_of(hub, who(1))
    _, expired_wire = client_of(hub, who(1, expires_in=-1))
    _, gone_wire = client_of(hub, who(1, expires_in=-1 - RENEW_S))
    silent.heard_at -= 60
    fresh.pinged_at -= 30
    hub.beat()
    assert fresh_wire.kinds() == ["ping"]
    assert silent_wire.code == 4408
    assert expired_wire.kinds() == ["auth_expired"]
    assert gone_wire.code is None  # it is told first
    hub.beat()
    assert gone_wire.code == 4401
    assert (fresh_wire.code, expired_wire.code) == (None, None)


async def test_a_revocation_closes_whom_it_covers() -> None:
    hub = hub_of()
    mine, wire = client_of(hub, who(1))
    _, other = client_of(hub, who(1))
    assert mine.principal is not None
    hub.revoke(Revoked(session=mine.principal.session))
    assert (wire.code, other.code) == (4401, None)


async def test_whoever_leaves_is_told_once_when_to_come_back() -> None:
    hub = hub_of()
    client, wire = client_of(hub, who(1))
    stranger = Wire()
    hub.enter(Client(stranger, queue=1))
    hub.send_away()
    hub.send_away()
    assert wire.kinds() == ["reconnect"]
    assert stranger.code == 1012
    assert client.is_leaving


async def test_owners_are_asked_again_before_they_hear_of_it() -> None:
    hub = hub_of()
    topic = f"task.{THING}"
    asked: list[tuple[str, list[Client], Position]] = []
    hub.on_suspended = lambda *about: asked.append(about)
    worker, worker_wire = client_of(hub, who(1), topic)
    _, boss_wire = client_of(hub, who(2), topic)
    await hub.take([entry(1, topic), entry(2, topic, kind="task.status"), entry(3, topic)])
    assert len(boss_wire.frames) == 3
    assert len(worker_wire.frames) == 1
    assert asked == [(topic, [worker], (1, 0))]


async def test_another_stream_is_a_gap_for_everybody() -> None:
    hub = hub_of()
    _, wire = client_of(hub, who(1))
    hub.begin([entry(5, "alerts")])
    assert wire.kinds() == ["replay_gap"]  # it came before anything was known
    hub.resume(Bounds((1, 0), (9, 0), trimmed=True))
    assert wire.kinds() == ["replay_gap"]
    hub.resume(Bounds((1, 0), (3, 0), trimmed=False))
    assert wire.kinds() == ["replay_gap"] * 2
    assert hub.position == (0, 0)


async def test_degraded_is_told_once() -> None:
    hub = hub_of()
    _, wire = client_of(hub, who(1))
    hub.restore()
    hub.degrade()
    hub.degrade()
    hub.restore()
    assert wire.kinds() == ["system.degraded", "system.restored"]


async def test_recent_entries_are_kept_up_to_a_number() -> None:
    hub = hub_of()
    hub.begin([])
    assert hub.recent((0, 0), 10) == []
    await hub.take([entry(n, "alerts") for n in range(1, 2 * RECENT + 1)])
    assert hub.recent((RECENT, 0), 10) is None  # entry RECENT + 1 is the first kept: what came before is not
    kept = hub.recent((RECENT + 1, 0), 3)
    assert kept is not None
    assert [each.position[0] for each in kept] == [RECENT + 2, RECENT + 3, RECENT + 4]
    assert hub.recent((2 * RECENT, 0), 3) == []


@pytest.mark.parametrize(
    ("topics", "asked", "had", "expected"),
    [
        (("tasks",), {"tasks": None}, {}, "tasks"),
        (("tasks",), {"alerts": None}, {}, None),
        (("tasks", "alerts"), {"alerts": None}, {"tasks": (3, 0)}, None),  # came by the other topic
        (("tasks", "alerts"), {"alerts": None}, {"tasks": (5, 0)}, "alerts"),  # the other topic began later
        (("tasks",), {"tasks": (5, 0)}, {"tasks": (5, 0)}, "tasks"),  # from before it was subscribed
        (("tasks",), {"tasks": (4, 0)}, {"tasks": (4, 0)}, None),
        (("a", "b"), {"a": None, "b": None}, {}, "a"),
    ],
)
def test_a_replay_sends_what_was_not_sent(
    topics: tuple[str, ...],
    asked: dict[str, Position | None],
    had: dict[str, Position],
    expected: str | None,
) -> None:
    assert topic_for(entry(5, *topics), asked, had) == expected


def test_an_entry_that_cannot_be_read_is_left_out() -> None:
    raw = [(b"1-0", {b"t": b"a b", b"b": b'{"type":"alert","data":{},"ts":""}'}), (b"2-0", {b"x": b"y"})]
    (found,) = entries_of(raw)
    assert (found.topics, found.type, found.id) == (("a", "b"), "alert", "1-0")
