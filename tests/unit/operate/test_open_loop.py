"""The load generator: nothing is lost, and a wait is counted from when a request was due."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count, islice

import pytest
import uvloop

from infra.operate import open_loop
from infra.operate.bench_figure import Figure
from infra.operate.bench_load import MIX, Mix, figures
from infra.operate.open_loop import Answered, Request, Target

Handler = Callable[[bytes], Awaitable[bytes]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def server(handle: Handler) -> AsyncIterator[Target]:
    """Answers each head it reads with what `handle` makes of it; an empty answer closes the line."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                answer = await handle(head)
                writer.write(answer)
                await writer.drain()
                if not answer:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield Target("127.0.0.1", listening.sockets[0].getsockname()[1])
    finally:
        listening.close()
        await asyncio.sleep(0)


def gets() -> Iterator[Request]:
    return (Request("get", "GET", f"/{number}") for number in count())


async def test_every_request_is_answered_once_and_on_time() -> None:
    seen: list[bytes] = []

    async def handle(head: bytes) -> bytes:
        seen.append(head.split()[1])
        return OK

    async with server(handle) as target:
        answers = await open_loop.run(target, gets(), per_second=200, seconds=0.5)
    assert sorted(seen) == sorted(f"/{number}".encode() for number in range(100))
    assert [(a.status, a.body) for a in answers] == [(200, b"ok")] * 100


async def test_a_stall_is_counted_for_everybody_who_waited() -> None:
    """A closed loop would have measured one slow request; twenty were due meanwhile."""
    numbers = count()

    async def handle(head: bytes) -> bytes:
        await asyncio.sleep(0.2 if next(numbers) == 10 else 0)
        return OK

    async with server(handle) as target:
        answers = await open_loop.run(target, gets(), per_second=100, seconds=0.5, connections=1)
    assert len(answers) == 50
    assert sum(answer.seconds > 0.05 for answer in answers) >= 10


async def test_failures_have_a_reason_and_the_next_request_a_new_line() -> None:
    numbers = count()

    async def handle(head: bytes) -> bytes:
        return {0: b"", 2: b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"}.get(next(numbers), OK)

    async with server(handle) as target:
        answers = await open_loop.run(target, gets(), per_second=50, seconds=0.1, connections=1)
    assert [answer.status for answer in answers] == [0, 200, 503, 200, 200]
    assert "IncompleteReadError" in answers[0].failure
    assert open_loop.failures(answers) == [answers[0], answers[2]]


async def test_a_line_that_the_server_closed_while_it_was_idle_fails_nobody() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        target = Target("127.0.0.1", listening.sockets[0].getsockname()[1])
        answers = await open_loop.run(target, gets(), per_second=20, seconds=0.25, connections=1)
    assert [answer.status for answer in answers] == [200] * 5


def test_a_body_that_nobody_wants_to_the_end_is_a_failure_not_an_exception() -> None:
    async def send() -> list[Answered]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.abort()

        listening = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with listening:
            target = Target("127.0.0.1", listening.sockets[0].getsockname()[1])
            slow = Request("slow", "POST", "/", b"x" * 100, trickle_s=0.2)
            return await open_loop.run(target, iter([slow]), per_second=1, seconds=1)

    # As the prober runs: this loop refuses what the other only warns of.
    answers = uvloop.run(send())
    assert [(answer.status, answer.failure.split(":")[0]) for answer in answers] == [
        (0, "ConnectionResetError")
    ]


async def test_what_belongs_to_a_request_comes_back_with_its_answer() -> None:
    async def handle(head: bytes) -> bytes:
        return OK.replace(b"\r\n", b"\r\nX-Gad-Slot: Blue\r\n", 1)

    sent = [Request("get", "GET", "/", mark=f"m{number}", is_alone=number == 1) for number in range(3)]
    began = asyncio.get_running_loop().time()
    async with server(handle) as target:
        answers = await open_loop.run(target, iter(sent), per_second=50, seconds=0.06, connections=1)
    assert [(answer.mark, answer.slot) for answer in answers] == [(f"m{n}", "blue") for n in range(3)]
    assert [round((answer.due - began) * 50) for answer in answers] == [0, 1, 2]


async def test_nobody_listening_is_a_failure_not_an_exception() -> None:
    async def handle(head: bytes) -> bytes:
        return head

    async with server(handle) as target:
        pass
    answers = await open_loop.run(target, gets(), per_second=50, seconds=0.1)
    assert {answer.status for answer in answers} == {0}


@pytest.mark.parametrize("url", ["https://gad.example", "http://10.0.0.7:8080"])
def test_only_this_machine_gets_load(url: str) -> None:
    with pytest.raises(ValueError, match="is not this machine"):
        Target.parse(url, None)


def test_a_request_goes_over_the_wire_as_it_should() -> None:
    sent = Request("x", "POST", "/a", b"{}", (("X-Y", "z"),)).encoded("h:1")
    assert sent == (
        b"POST /a HTTP/1.1\r\nHost: h:1\r\nX-Y: z\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )


def test_the_mix_is_as_specified_and_no_request_is_sent_twice() -> None:
    sent = [*islice(iter(Mix("t")), 4000)]
    for kind, share in MIX.items():
        assert sum(request.kind == kind for request in sent) / 40 == pytest.approx(share, abs=2)
    made = [request for request in sent if request.kind == "create"]
    assert len({request.body for request in made}) == len({request.headers for request in made}) == len(made)
    assert {request.kind for request in sent if not request.headers} == {"health"}


def test_figures_name_what_failed_and_count_its_wait() -> None:
    answers = [Answered("list", 200, 0.01)] * 97 + [Answered("create", 503, 0.2)] * 3
    found = {figure.what.split(", ")[1]: figure for figure in figures(answers, generator_cpu_s=0.01)}
    assert (found["failed"].measured, found["failed"].is_met) == (3, False)
    assert found["failed"].detail == "n=100, 3 × 503"
    assert (found["p95"].measured, found["p95"].is_met) == (10.0, True)
    assert (found["p99"].measured, found["p99"].is_met) == (200.0, False)
    assert isinstance(found["the generator's own CPU"], Figure)
