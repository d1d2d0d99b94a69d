"""Requests a minute: shared by replicas, never over, by address or by person, and without Redis too."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import httpx
import pytest
from bodies import HOST, Callers, assert_problem
from conftest import settings_for
from stores import Stores

from app import metrics
from app.cache import Cache
from app.errors import Problem
from app.limits import RETRY_S, SUBJECTS, WINDOW_S, Limits, RateClass, address_of
from app.main import Process, build
from app.policy import RULES, rate_of
from tests.ports import free_port

ME = "/api/v1/users/me"
LOGIN = "/api/v1/auth/login"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


Replicas = Callable[..., Limits]


@pytest.fixture
async def replica(stores: Stores) -> AsyncIterator[Replicas]:
    """Makes the limits of one more process of the stack."""
    caches: list[Cache] = []

    def make(limit: int, *, url: str = stores.redis_url, now: Callable[[], float] | None = None) -> Limits:
        caches.append(Cache(url, timeout_ms=2000, name="test-limits"))
        return Limits(caches[-1], dict.fromkeys(RateClass, limit), **({"now": now} if now else {}))

    yield make
    for cache in caches:
        await cache.close()


async def let_through(limits: Limits, subject: object, times: int) -> int:
    """How many of so many requests passed."""
    refusals: list[Problem] = []
    for _ in range(times):
        try:
            await limits.spend(RateClass.READ, subject)
        except Problem as problem:
            refusals.append(problem)
    waits = [int((problem.headers or {})["Retry-After"]) for problem in refusals]
    assert [wait for wait in waits if not 1 <= wait <= WINDOW_S] == []
    assert {problem.code for problem in refusals} <= {"rate_limited"}
    return times - len(refusals)


@pytest.mark.parametrize("limit", [1, 10, 99, 100, 101, 600])
async def test_one_process_lets_through_exactly_the_limit(replica: Replicas, limit: int) -> None:
    assert await let_through(replica(limit), uuid4(), limit + 50) == limit


@pytest.mark.parametrize("limit", [10, 300])
async def test_replicas_share_one_total(replica: Replicas, limit: int) -> None:
    first, second, subject = replica(limit), replica(limit), uuid4()
    passed = 0
    for _ in range(limit):  # in turns
        passed += await let_through(first, subject, 1)
        passed += await let_through(second, subject, 1)
    assert passed == limit


async def test_a_released_block_never_makes_it_more(replica: Replicas) -> None:
    first, second, subject = replica(100), replica(100), uuid4()
    assert await let_through(first, subject, 1) == 1  # holds nine more
    assert await let_through(second, subject, 200) == 90
    assert await let_through(first, subject, 200) == 9


async def test_many_at_once_take_one_block_and_never_more_than_the_limit(replica: Replicas) -> None:
    first, second, subject = replica(100), replica(100), uuid4()

    async def one(limits: Limits) -> int:
        return await let_through(limits, subject, 1)

    assert sum(await asyncio.gather(*(one(each) for each in [first, second] * 200))) == 100
    other = uuid4()
    assert sum(await asyncio.gather(*(one(first) for _ in range(5)))) == 0
    assert sum(await asyncio.gather(*(let_through(first, other, 1) for _ in range(5)))) == 5
    assert await let_through(second, other, 200) == 90  # the five shared one block of ten


async def test_subjects_and_classes_are_counted_apart(replica: Replicas) -> None:
    limits = replica(1)
    for subject in ("10.0.0.1", "10.0.0.2"):
        assert await let_through(limits, subject, 3) == 1
        await limits.spend(RateClass.WRITE, subject)


async def test_a_window_ends_after_a_minute_and_is_gone(stores: Stores, replica: Replicas) -> None:
    clock, subject = Clock(), uuid4()
    limits = replica(100, now=clock)
    assert await let_through(limits, subject, 101) == 100
    cache = Cache(stores.redis_url, timeout_ms=200, name="test-limits")
    key = f"gad:v1:limit:read:{subject}"
    left = await cache.script("return redis.call('PTTL', KEYS[1])")(keys=[key])
    assert 55_000 < left <= 60_000
    await cache.script("return redis.call('DEL', KEYS[1])")(keys=[key])
    await cache.close()
    clock.now += WINDOW_S - 1
    assert await let_through(limits, subject, 1) == 0  # what Redis said is kept until its end
    clock.now += 1
    assert await let_through(limits, subject, 101) == 100


async def test_without_redis_each_process_counts_and_asks_again_later(replica: Replicas) -> None:
    clock = Clock()
    away = f"redis://127.0.0.1:{free_port()}/0"
    limits = replica(5, url=away, now=clock)
    asked = 0
    grant = limits._grant

    async def counted(**question: list[object]) -> object:
        nonlocal asked
        asked += 1
        return await grant(**question)

    limits._grant = counted  # type: ignore[assignment]
    assert await let_through(limits, "a", 9) == 5
    assert await let_through(limits, "b", 9) == 5
    assert asked == 1  # not once a request: each question would cost its timeout
    clock.now += RETRY_S
    assert await let_through(limits, "c", 1) == 1
    assert await let_through(limits, "d", 1) == 1
    assert asked == 2


async def test_redis_back_again_is_used_again(stores: Stores, replica: Replicas) -> None:
    clock, subject = Clock(), uuid4()
    limits, other = replica(10, now=clock), replica(10)
    shared = limits._grant
    limits._grant = Cache(f"redis://127.0.0.1:{free_port()}/0", timeout_ms=200, name="x").script("return 1")
    assert await let_through(limits, subject, 1) == 1
    limits._grant = shared
    clock.now += WINDOW_S
    assert await let_through(limits, subject, 6) == 6
    assert await let_through(other, subject, 10) == 4


async def test_a_flood_of_addresses_does_not_fill_the_memory(replica: Replicas) -> None:
    limits = replica(300, url=f"redis://127.0.0.1:{free_port()}/0")
    for number in range(SUBJECTS + 50):
        await limits.spend(RateClass.ANONYMOUS, number)
    assert len(limits._windows) == SUBJECTS


@pytest.mark.parametrize(
    ("client", "subject"),
    [
        (("192.0.2.7", 50000), "192.0.2.7"),
        (("::ffff:192.0.2.7", 1), "192.0.2.7"),
        (("2001:db8:1:2:3::4", 1), "20010db800010002/64"),
        (("2001:db8:1:2::9", 1), "20010db800010002/64"),
        (("2001:db8:1:3::9", 1), "20010db800010003/64"),
        (("x'; DROP", 1), "unknown"),
        (None, "unknown"),
    ],
)
def test_address_of(client: object, subject: str) -> None:
    assert address_of({"type": "http", "client": client}) == subject


def test_what_each_route_counts_as() -> None:
    found = {key: rate_of(*key, rule) for key, rule in RULES.items()}
    assert {key for key, rate in found.items() if rate is None} == {
        ("GET", f"/health/{each}") for each in ("live", "ready", "deep")
    }
    assert found["GET", "/api/v1/officers"] is RateClass.READ
    assert found["POST", "/api/v1/officers"] is RateClass.ADMIN
    assert found["POST", LOGIN] is RateClass.AUTH
    assert found["GET", "/openapi.json"] is RateClass.ANONYMOUS
    others = {RateClass.AUTH, RateClass.EMERGENCY, RateClass.EXPORT}
    assert {key: rate for key, rate in found.items() if rate in others} == {
        ("POST", LOGIN): RateClass.AUTH,
        ("POST", "/api/v1/auth/refresh"): RateClass.AUTH,
        ("POST", "/api/v1/tasks/emergency"): RateClass.EMERGENCY,
        ("GET", "/api/v1/audit/events.csv"): RateClass.EXPORT,
    }
    by_address = {key for key, rate in found.items() if rate in {RateClass.ANONYMOUS, RateClass.AUTH}}
    assert by_address == {key for key, rule in RULES.items() if rule.level is None and found[key] is not None}


@asynccontextmanager
async def site(process: Process, address: str) -> AsyncIterator[httpx.AsyncClient]:
    """The application, called from an address."""
    transport = httpx.ASGITransport(app=process.public, client=(address, 50000))
    async with httpx.AsyncClient(transport=transport, base_url=f"https://{HOST}") as made:
        yield made


def an_address() -> str:
    """One that no other test calls from."""
    return f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"


@pytest.fixture
async def limited(stores: Stores, process: Process) -> AsyncIterator[Process]:
    """A second replica of `process`, with the contract's own limits."""
    keys = {
        name: getattr(process.api.state.settings, name)
        for name in ("jwt_secret", "jwt_previous", "hmac_key", "kek")
    }
    rates = {f"rate_{rate}": limit for rate, limit in {"read": 120, "write": 1, "auth": 10}.items()}
    made = build(settings_for(stores, **keys, **rates, rate_anonymous=300, rate_admin=100))
    yield made
    await made.close()


async def test_too_many_requests_of_a_person(limited: Process, caller: Callers) -> None:
    known, other = await caller(1), await caller(1)
    before = metrics.rate_limited.labels("read")._value.get()
    async with site(limited, an_address()) as client:
        answers = [(await client.get(ME, headers=known.headers)).status_code for _ in range(125)]
        assert answers == [200] * 120 + [429] * 5
        refused = await client.get(ME, headers=known.headers)
        assert_problem(refused, 429, "rate_limited")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert (await client.get(ME, headers=other.headers)).status_code == 200
        assert (await client.get("/health/live")).status_code == 200
    assert metrics.rate_limited.labels("read")._value.get() - before == 6
    # From anywhere: it is the person who counts.
    async with site(limited, an_address()) as elsewhere:
        assert_problem(await elsewhere.get(ME, headers=known.headers), 429, "rate_limited")


async def test_bad_tokens_count_against_their_address_and_nobody_else(
    limited: Process, caller: Callers
) -> None:
    known = await caller(1)
    address = an_address()
    async with site(limited, address) as client:
        bad = {"Authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x"}  # pragma: allowlist secret
        answers = [(await client.get(ME, headers=bad)).status_code for _ in range(150)]
        answers += [(await client.get(ME)).status_code for _ in range(152)]
        assert answers == [401] * 300 + [429] * 2
        assert (await client.get(ME, headers=known.headers)).status_code == 200  # behind the same address


async def test_logins_count_by_address(limited: Process) -> None:
    async with site(limited, an_address()) as client:
        answers = [await client.post(LOGIN, content=b"{") for _ in range(12)]
        assert [answer.status_code for answer in answers] == [422] * 10 + [429] * 2
        assert_problem(answers[-1], 429, "rate_limited")


async def test_a_search_for_doors_ends(limited: Process) -> None:
    """What no route answers has no guard either."""
    async with site(limited, an_address()) as client:
        paths = ["/admin.php", "/openapi.json", "/api/v1/officers/x/y/z"] * 100
        answers = [(await client.get(path)).status_code for path in [*paths, "/wp-login.php"]]
        assert {*answers[:300]} == {404, 200}
        assert answers[300] == 429
        assert (await client.get("/health/ready")).status_code == 200


async def test_401_then_403_then_the_limit_then_the_body(limited: Process, caller: Callers) -> None:
    known, admin = await caller(1), await caller(3)
    async with site(limited, an_address()) as client:
        post = {"url": "/api/v1/users", "content": b"{"}
        assert_problem(await client.post(**post), 401, "unauthenticated")
        for _ in range(3):
            assert_problem(await client.post(**post, headers=known.headers), 403, "forbidden")
        answers = [(await client.post(**post, headers=admin.headers)).status_code for _ in range(101)]
        assert answers == [422] * 100 + [429]
