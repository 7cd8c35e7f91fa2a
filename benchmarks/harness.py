"""What benchmarks share: measuring in turns, comparing, naming the machine."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Generic, Literal, TypeVar

from service.jobs.system import cores
from service.settings import Settings

PEERS = ("scipy", "lmfit", "iminuit", "litserve", "odrpack")
"""What the extra `bench` installs."""

Unit = Literal["s", "ms", "µs", "requests/s", "fits/s", "readings/s", "MiB", "%"]
Measure = Callable[[], float]
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Descent and a yardstick, measured in the same rounds."""

    what: str
    yardstick: str
    unit: Unit
    ours: Sequence[float]
    """One measurement a round."""
    theirs: Sequence[float]
    """The same; none where the yardstick is not installed."""

    @property
    def ratios(self) -> list[float]:
        """Descent : yardstick, round by round."""
        if not self.theirs:
            return []
        return [a / b for a, b in zip(self.ours, self.theirs, strict=True)]

    @property
    def ratio(self) -> float:
        """The median over the rounds."""
        return median(self.ratios)


@dataclass(frozen=True, slots=True)
class Results:
    """What a benchmark found."""

    comparisons: Sequence[Comparison]
    accuracy: str = ""
    """Markdown for its section of docs/accuracy.md."""


@dataclass(frozen=True, slots=True)
class Benchmark(Generic[S]):
    """What is measured, in words, and how. `S` holds the sizes: rounds, rows, seconds."""

    about: str
    """Markdown, of the full sizes."""
    run: Callable[[S], Results]
    full: S
    quick: S
    """So small that it takes a few seconds: to see that it works, not to measure."""


@dataclass(frozen=True, slots=True)
class Rounds:
    """The sizes of a benchmark that has no others."""

    rounds: int


def in_turns(rounds: int, *measures: Measure | None) -> list[list[float]]:
    """The measurements of each, one a round: A B A B …, after a round that does not count, except
    where a single round is wanted. Of None, which stands for a peer that is missing, there are
    none."""
    samples: list[list[float]] = [[] for _ in measures]
    for number in range(rounds + (rounds > 1)):
        for measure, taken in zip(measures, samples, strict=True):
            if measure is not None:
                value = measure()
                if number or rounds == 1:
                    taken.append(value)
    return samples


def peer(package: str, measure: Measure) -> Measure | None:
    """The measure of a peer, if it is installed."""
    return None if package in missing() else measure


def missing() -> list[str]:
    """The peers that are not installed."""
    return [name for name in PEERS if find_spec(name) is None]


def seconds(work: Callable[[], object]) -> float:
    """What it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def worker_threads() -> int:
    """Torch's threads in one of the service's workers, by default."""
    return max(1, cores() // (Settings().workers or cores()))


def machine() -> str:
    """This machine by its cores and processor, the versions that matter, and how busy it is."""
    peers = [f"{name} {version(name)}" for name in PEERS if name not in missing()]
    versions = [f"{name} {version(name)}" for name in ("torch", "numpy", "numba")]
    return (
        f"{cores()} cores of {_processor()}; "
        f"{', '.join([f'Python {platform.python_version()}', *versions, *peers])}; "
        f"torch threads, in a worker and in the plain loops: {worker_threads()}; "
        f"load average at the start: {os.getloadavg()[0]:.1f}"
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
