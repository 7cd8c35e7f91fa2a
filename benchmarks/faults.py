"""A service at saturation with faults: workers killed, callers who hang up, bodies that are wrong.

`python -m benchmarks.soak --faults [--minutes 10]` prints what became of it: no accepted job may be
lost, no answer may be 5xx but 503, and the memory should stand still.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import httpx

from benchmarks.servers import Started, children

CALLERS = 24
FAULT_S = 1.0
"""Seconds between two faults of each kind, on average."""
SAMPLE_S = 5.0
LINE: dict[str, Any] = {"data": {"x": [1, 2, 3, 4], "y": [2.1, 3.9, 6.2, 7.8]}}
WORK: dict[str, Any] = {
    "model": "y = a * exp(-b * x) + c",
    "data": {"x": [0, 1, 2, 3, 4, 5], "y": [5.1, 3.4, 2.4, 1.8, 1.4, 1.3]},
    "params": {"a": 3.0, "b": 0.3, "c": 0.5},
    "optimizer": "adam",
    "epochs": 40_000,
    "record_every": 1000,
}
WRONG: list[dict[str, Any]] = [
    {},
    {"data": {"x": [1], "y": ["a"]}},
    {**LINE, "model": "y = import(os)"},
    {**LINE, "epochs": 10**12},
]


@dataclass
class Tally:
    """What became of it all."""

    answers: Counter[int] = field(default_factory=Counter)
    accepted: dict[str, str] = field(default_factory=dict)
    """Jobs that were answered with 202, and their end."""
    lost: list[str] = field(default_factory=list)
    broken: int = 0
    """Connections that broke, though nobody on our side hung up."""
    hung_up: int = 0
    killed: int = 0
    memory: list[tuple[float, float, float]] = field(default_factory=list)
    """Seconds, and MiB of the service and of its workers."""


async def run(server: Started, minutes: float) -> Tally:
    """Callers at saturation, and faults, for so long; then whether every job came to its end."""
    tally, until = Tally(), time.monotonic() + 60 * minutes
    limits = httpx.Limits(max_connections=4 * CALLERS)
    at = f"http://127.0.0.1:{server.port}"
    async with httpx.AsyncClient(
        base_url=at, limits=limits, timeout=120, trust_env=False
    ) as client:
        async with asyncio.TaskGroup() as tasks:
            for number in range(CALLERS):
                tasks.create_task(_call(client, tally, until, number))
            tasks.create_task(_kill(server.pid, tally, until))
            tasks.create_task(_hang_up(client, tally, until))
            tasks.create_task(_watch(server.pid, tally, until))
        await _settle(client, tally)
    return tally


def table(tally: Tally) -> str:
    """The tally as Markdown."""
    faults = sum(n for status, n in tally.answers.items() if status >= 500 and status != 503)
    ends = Counter(tally.accepted.values())
    late = tally.memory[len(tally.memory) // 4 :] or [(0.0, 0.0, 0.0)]
    service = [one[1] for one in late]
    rows = [
        ("answers", f"{sum(tally.answers.values()):,}"),
        ("by status", ", ".join(f"{s}: {n:,}" for s, n in sorted(tally.answers.items()))),
        ("5xx but 503", f"{faults}"),
        ("connections broken by the service", f"{tally.broken}"),
        ("workers killed", f"{tally.killed}"),
        ("callers who hung up", f"{tally.hung_up}"),
        ("jobs accepted in the background", f"{len(tally.accepted):,}"),
        ("their ends", ", ".join(f"{end}: {n:,}" for end, n in sorted(ends.items()))),
        ("jobs lost", f"{len(tally.lost)}"),
        (
            "MiB of the service, last three quarters",
            f"{min(service):.0f} to {max(service):.0f}, {service[-1] - service[0]:+.1f}",
        ),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def is_well(tally: Tally) -> bool:
    """Whether nothing was lost, and nothing went wrong here."""
    faults = [status for status in tally.answers if status >= 500 and status != 503]
    return not tally.lost and not faults and not tally.broken


async def _call(client: httpx.AsyncClient, tally: Tally, until: float, number: int) -> None:
    draw = random.Random(number)
    while time.monotonic() < until:
        kind = draw.random()
        if kind < 0.5:
            await _post(client, tally, "/fit", LINE)
        elif kind < 0.7:
            await _post(client, tally, "/fit", {**WORK, "epochs": draw.randrange(100, 40_000)})
        elif kind < 0.9:
            answer = await _post(client, tally, "/fit", {**WORK, "background": True})
            if answer is not None and answer.status_code == 202:
                await _follow(client, tally, answer.headers["location"])
        else:
            await _post(client, tally, "/fit", draw.choice(WRONG))


async def _post(
    client: httpx.AsyncClient, tally: Tally, path: str, body: dict[str, Any]
) -> httpx.Response | None:
    try:
        answer = await client.post(path, json=body)
    except httpx.HTTPError:
        tally.broken += 1
        return None
    tally.answers[answer.status_code] += 1
    if answer.status_code in {429, 503}:
        await asyncio.sleep(0.1)
    return answer


async def _follow(client: httpx.AsyncClient, tally: Tally, at: str) -> None:
    """Notes the job, and looks once; `_settle` looks to the end."""
    tally.accepted[at] = "unknown"
    try:
        answer = await client.get(at, params={"wait": 5})
    except httpx.HTTPError:
        tally.broken += 1
        return
    tally.answers[answer.status_code] += 1
    if answer.status_code == 200 and answer.json()["finished_at"]:
        tally.accepted[at] = answer.json()["status"]


async def _settle(client: httpx.AsyncClient, tally: Tally) -> None:
    for at, end in list(tally.accepted.items()):
        for _ in range(20):
            if end != "unknown":
                break
            answer = await client.get(at, params={"wait": 30})
            if answer.status_code != 200:
                break
            if answer.json()["finished_at"]:
                end = answer.json()["status"]
        tally.accepted[at] = end
        if end == "unknown":
            tally.lost.append(at)


async def _kill(pid: int, tally: Tally, until: float) -> None:
    draw = random.Random(1)
    while time.monotonic() < until:
        await asyncio.sleep(draw.expovariate(1 / FAULT_S))
        if workers := [*chain.from_iterable(map(children, children(pid)))]:
            try:
                os.kill(draw.choice(workers), signal.SIGKILL)
                tally.killed += 1
            except ProcessLookupError:
                continue


async def _hang_up(client: httpx.AsyncClient, tally: Tally, until: float) -> None:
    draw = random.Random(2)
    while time.monotonic() < until:
        call = asyncio.create_task(client.post("/fit", json={**WORK, "epochs": 10**7}))
        await asyncio.wait({call}, timeout=draw.expovariate(1 / FAULT_S))
        if call.cancel():
            tally.hung_up += 1
        await asyncio.gather(call, return_exceptions=True)


async def _watch(pid: int, tally: Tally, until: float) -> None:
    began = time.monotonic()
    while time.monotonic() < until:
        workers = sum(map(_resident, chain.from_iterable(map(children, children(pid)))))
        tally.memory.append((time.monotonic() - began, _resident(pid), workers))
        await asyncio.sleep(SAMPLE_S)


def _resident(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
