"""FairLimiter: who waits is served by caller, and who leaves takes nobody's turn along."""

from __future__ import annotations

import asyncio

from service.api.concurrency import FairLimiter


async def waiting(turns: FairLimiter, caller: str, said: list[str], done: asyncio.Event) -> None:
    async with turns.turn(caller):
        said.append(caller)
        await done.wait()


async def test_a_flood_by_one_caller_costs_another_one_turn() -> None:
    turns, said, done = FairLimiter(), list[str](), asyncio.Event()
    flood = [asyncio.create_task(waiting(turns, "a", said, done)) for _ in range(12)]
    await asyncio.sleep(0)
    other = asyncio.create_task(waiting(turns, "b", said, done))
    await asyncio.sleep(0)
    done.set()
    await asyncio.gather(*flood, other)
    assert said.index("b") <= 2
    assert len(said) == 13


async def test_so_many_at_once() -> None:
    turns, said, done = FairLimiter(2), list[str](), asyncio.Event()
    all_of_them = [asyncio.create_task(waiting(turns, name, said, done)) for name in "abc"]
    await asyncio.sleep(0)
    assert said == ["a", "b"]
    done.set()
    await asyncio.gather(*all_of_them)
    assert said == ["a", "b", "c"]


async def test_who_leaves_while_waiting_or_when_called_leaves_the_turn_to_the_next() -> None:
    turns, said, done = FairLimiter(), list[str](), asyncio.Event()
    first = asyncio.create_task(waiting(turns, "a", said, done))
    await asyncio.sleep(0)
    others = [asyncio.create_task(waiting(turns, name, said, done)) for name in "bcd"]
    await asyncio.sleep(0)
    others[0].cancel()
    await asyncio.sleep(0)
    done.set()
    first.cancel()  # passes its turn on to c, who leaves before hearing of it
    await asyncio.sleep(0)
    others[1].cancel()
    await asyncio.gather(first, *others, return_exceptions=True)
    assert said == ["a", "d"]
    async with turns.turn("e"):
        pass
