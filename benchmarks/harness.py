"""What benchmarks share: measuring in turns, comparing, naming the machine."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal, TypeVar

import uvloop

from service.jobs.cores import cores
from service.settings import Settings

Unit = Literal["s", "ms", "µs", "requests/s", "fits/s", "MiB"]
T = TypeVar("T")
Measure = Callable[[], Awaitable[float]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Descent and a yardstick, measured in the same rounds."""

    what: str
    yardstick: str
    unit: Unit
    ours: Sequence[float]
    """One measurement a round."""
    theirs: Sequence[float]

    @property
    def ratios(self) -> list[float]:
        """Descent : yardstick, round by round."""
        return [a / b for a, b in zip(self.ours, self.theirs, strict=True)]

    @property
    def ratio(self) -> float:
        return median(self.ratios)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What is measured, in words, and how."""

    about: str
    """Markdown."""
    run: Callable[[], list[Comparison]]


async def in_turns(rounds: int, *measures: Measure) -> list[list[float]]:
    """The measurements of each, one a round: A B A B …, after a round that does not count."""
    samples: list[list[float]] = [[] for _ in measures]
    for number in range(rounds + 1):
        for measure, taken in zip(measures, samples, strict=True):
            value = await measure()
            if number:
                taken.append(value)
    return samples


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Runs it on the event loop that costs least."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def worker_threads() -> int:
    """Torch's threads in one of the service's workers, by default."""
    return max(1, cores() // (Settings().workers or cores()))


def machine() -> str:
    """This machine by its cores and processor, the versions that matter, and how busy it is."""
    import torch

    return (
        f"{cores()} cores of {_processor()}; Python {platform.python_version()}, "
        f"torch {torch.__version__}; torch threads, in a worker and in the plain loops: "
        f"{worker_threads()}; load average at the start: {os.getloadavg()[0]:.1f}"
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
