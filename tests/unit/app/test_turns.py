from __future__ import annotations

import asyncio

import pytest

from app.errors import Unavailable
from app.task.turns import Turns


async def test_no_more_than_the_places_at_once_and_everybody_in_the_end() -> None:
    turns, there, most, done = Turns(at_once=2, wait_s=5), 0, 0, []

    async def one(number: int) -> None:
        nonlocal there, most
        async with turns.turn():
            there += 1
            most = max(most, there)
            await asyncio.sleep(0)
            there -= 1
            done.append(number)

    await asyncio.gather(*(one(number) for number in range(20)))
    assert most == 2
    assert done == [*range(20)]


async def test_who_waits_too_long_is_told_and_a_failure_gives_the_place_back() -> None:
    turns = Turns(at_once=1, wait_s=0.02)
    async with turns.turn():
        with pytest.raises(Unavailable):
            async with turns.turn():
                raise AssertionError
    with pytest.raises(ZeroDivisionError):
        async with turns.turn():
            raise ZeroDivisionError
    async with turns.turn():
        pass
