"""What an idle service weighs, all its processes together, beside a process with torch alone."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.client import calling, post
from benchmarks.families import data_set
from benchmarks.harness import Benchmark, Comparison, Measure, Results, Rounds, in_turns
from benchmarks.servers import DESCENT, family, started
from benchmarks.thermometer import FIT

WORKERS, FITS = 2, 200
_WAIT = "; print('ready', flush=True); import signal; signal.pause()"
TORCH = ("-c", "import torch" + _WAIT)
API = ("-c", "import service.app, service.server.run" + _WAIT)

ABOUT = f"""
Proportional set size (`/proc/PID/smaps_rollup`) of the service and all its descendants, the API and
{WORKERS} workers among them; what processes share counts once. Just ready, and idle again after
{FITS} fits, of lines and of Gaussians, by as many callers as there are workers. Beside it: a Python
that has imported torch alone; and one that has imported the API, torch with it. Nothing else on the
machine should have torch loaded meanwhile: its files' pages would be shared with that.
"""


def run(sizes: Rounds) -> Results:
    fresh: list[float] = []
    requests = [FIT, _gaussian()]

    def used() -> float:
        with started(*DESCENT, DESCENT_WORKERS=WORKERS) as server:
            fresh.append(_weight(server.pid))
            callers.load(server.port, requests, WORKERS, most=FITS)
            return _weight(server.pid)

    with calling() as callers:
        idle, torch, api = in_turns(sizes.rounds, used, _alone(*TORCH), _alone(*API))
    return Results(
        [
            Comparison(what, yardstick, "MiB", ours, theirs)
            for what, ours in (
                ("just ready", fresh[-sizes.rounds :]),
                (f"idle after {FITS} fits", idle),
            )
            for yardstick, theirs in (("torch imported alone", torch), ("the API's imports", api))
        ]
    )


def _gaussian() -> bytes:
    data = data_set("Gaussian", 0)
    return post("/fit", json.dumps(data.asked(data.family.start)).encode())


def _alone(*arguments: str) -> Measure:
    def measure() -> float:
        with started(*arguments) as process:
            return _weight(process.pid)

    return measure


def _weight(pid: int) -> float:
    """MiB of a process and all below it."""
    return sum(map(_proportional, family(pid))) / 2**10


def _proportional(pid: int) -> int:
    """KiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


BENCHMARK = Benchmark(ABOUT, run, Rounds(5), Rounds(1))
