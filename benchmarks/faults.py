"""A service at saturation with faults: workers killed, callers who hang up, who send what is wrong,
who send slowly and who do not read.

`python -m benchmarks.soak --faults [--minutes 10]` prints what became of it: no accepted job may be
lost, no answer may be 5xx but 503, nothing may be left running, and the memory should stand still.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import time
import zlib
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
STORE = {"DESCENT_MAX_JOBS": 500, "DESCENT_MAX_STORE_BYTES": 32 * 2**20}
"""Full within the first quarter, so that the memory of the others can be judged."""
FLAT_MIB = 16.0
"""By which the service may have grown, over the last three quarters."""
LONG_MINUTES = 3.0
"""A shorter run says nothing of that."""
JSON, GZIP = {"Content-Type": "application/json"}, {"Content-Encoding": "gzip"}
WRONG: list[tuple[bytes, dict[str, str]]] = [
    (b"{}", JSON),
    (b'{"data": {"x": [1], "y": ["a"]}}', JSON),
    (b'{"data": {"x": [1, NaN, 3], "y": [1, 2, 3]}}', JSON),
    (b'{"data": {"x": [1, 2], "y": [1, 2]}, "model": "y = import(os)"}', JSON),
    (b'{"data": {"x": [1, 2], "y": [1, 2]}, "epochs": 1000000000000}', JSON),
    (b"[" * 100_000, JSON),
    (b"x,y\n1,2\n3\n", {"Content-Type": "text/csv"}),
    (zlib.compress(bytes(2**27), 9, zlib.MAX_WBITS | 16), {**JSON, **GZIP}),
    (b"1,2\n" * 10, {"Content-Type": "text/csv", **GZIP}),
    (b"PK\x03\x04" + bytes(500), {"Content-Type": "application/x-npz"}),
    (b"\xff\xff\xff\xff" + bytes(500), {"Content-Type": "application/vnd.apache.arrow.stream"}),
    (b"--B\r\n\r\n", {"Content-Type": "multipart/form-data; boundary=B"}),
    (b"<x/>", {"Content-Type": "application/xml"}),
]
SLOW = (
    b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-A",
    b"POST /fit HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b'Content-Length: 1000\r\n\r\n{"data"',
    b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100,
)
"""The beginning of a head, the beginning of a body, and answers that nobody reads."""


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
    slow: int = 0
    """Connections that were left half sent, or unread."""
    left: int = 0
    """Jobs that were unfinished when all had settled."""
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
            tasks.create_task(_dawdle(server.port, tally, until))
            tasks.create_task(_stare(server.port, client, tally, until))
            tasks.create_task(_watch(server.pid, tally, until))
        await _settle(client, tally)
    return tally


def grown(tally: Tally) -> float:
    """MiB by which the service grew over the last three quarters, by least squares."""
    late = tally.memory[len(tally.memory) // 4 :]
    if len(late) < 2:
        return 0.0
    times, sizes = [one[0] for one in late], [one[1] for one in late]
    at, mean = sum(times) / len(times), sum(sizes) / len(sizes)
    up = sum((x - at) * (y - mean) for x, y in zip(times, sizes, strict=True))
    return up / sum((x - at) ** 2 for x in times) * (times[-1] - times[0])


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
        ("half sent, or unread", f"{tally.slow}"),
        ("jobs accepted in the background", f"{len(tally.accepted):,}"),
        ("their ends", ", ".join(f"{end}: {n:,}" for end, n in sorted(ends.items()))),
        ("jobs lost", f"{len(tally.lost)}"),
        ("jobs left unfinished", f"{tally.left}"),
        (
            "MiB of the service, last three quarters",
            f"{min(service):.0f} to {max(service):.0f}, {grown(tally):+.1f} by least squares",
        ),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def is_well(tally: Tally, minutes: float) -> bool:
    """Whether nothing was lost or left, nothing went wrong here, and the memory stood still."""
    faults = [status for status in tally.answers if status >= 500 and status != 503]
    flat = minutes < LONG_MINUTES or grown(tally) < FLAT_MIB
    return flat and not (tally.lost or faults or tally.broken or tally.left)


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
            content, headers = draw.choice(WRONG)
            await _send(client, tally, content=content, headers=headers)


async def _post(
    client: httpx.AsyncClient, tally: Tally, path: str, body: dict[str, Any]
) -> httpx.Response | None:
    return await _send(client, tally, path, json=body)


async def _send(
    client: httpx.AsyncClient, tally: Tally, path: str = "/fit", **sent: Any
) -> httpx.Response | None:
    try:
        answer = await client.post(path, **sent)
    except httpx.HTTPError:
        tally.broken += 1
        return None
    tally.answers[answer.status_code] += 1
    if answer.status_code in {429, 503}:
        await asyncio.sleep(0.1)
    return answer


async def _follow(client: httpx.AsyncClient, tally: Tally, at: str) -> None:
    """Notes the job, and waits for its end; `_settle` looks again at what was not seen to end."""
    tally.accepted[at] = "unknown"
    for _ in range(20):
        try:
            answer = await client.get(at, params={"wait": 10})
        except httpx.HTTPError:
            tally.broken += 1
            return
        tally.answers[answer.status_code] += 1
        if answer.status_code != 200:
            return
        if answer.json()["finished_at"]:
            tally.accepted[at] = answer.json()["status"]
            return


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
    for _ in range(400):  # what was hung up on is cancelled, when its worker comes to hear it
        pages = [await client.get("/jobs", params={"status": s}) for s in ("queued", "running")]
        tally.left = sum(len(page.json()["jobs"]) for page in pages)
        if not tally.left:
            return
        await asyncio.sleep(0.25)


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


async def _dawdle(port: int, tally: Tally, until: float) -> None:
    """Sends the beginning of something, and leaves it at that for some seconds."""
    draw = random.Random(3)
    while time.monotonic() < until:
        await _held(port, draw.choice(SLOW), draw.expovariate(1 / FAULT_S))
        tally.slow += 1


async def _stare(port: int, client: httpx.AsyncClient, tally: Tally, until: float) -> None:
    """Asks for the events of a job with many rows, and does not read them."""
    draw = random.Random(4)
    while time.monotonic() < until:
        answer = await _post(
            client, tally, "/fit", {**WORK, "epochs": 10_000, "record_every": 1, "background": True}
        )
        if answer is None or answer.status_code != 202:
            continue
        at = answer.headers["location"]
        ask = f"GET {at}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        await asyncio.gather(
            _held(port, ask, draw.expovariate(1 / FAULT_S)), _follow(client, tally, at)
        )
        tally.slow += 1


async def _held(port: int, sent: bytes, seconds: float) -> None:
    """A connection that sends this, and reads nothing, for so long."""
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", port))
        await loop.sock_sendall(sock, sent)
        await asyncio.sleep(seconds)


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
