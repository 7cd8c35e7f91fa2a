"""Every benchmark, by the name of its module, in the order in which they run."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from benchmarks.harness import Benchmark, Results

NAMES = (
    "curves",
    "load",
    "scale",
    "engine",
    "groups",
    "shared",
    "counts",
    "catalogue",
    "epochs",
    "tutorial",
    "long",
    "fit_line",
    "strd",
    "start",
    "memory",
    "predict",
    "bodies",
    "pixels",
    "coverage",
    "distances",
    "resampling",
    "unknowns",
    "verdicts",
    "hostile",
)


def benchmark(name: str) -> Benchmark[Any]:
    """The benchmark of that name. Its module is imported only now: most of them import torch."""
    found: Benchmark[Any] = import_module(f"benchmarks.{name}").BENCHMARK
    return found


def measure(name: str, *, quick: bool) -> tuple[str, Results]:
    """What it says of itself, and what it finds."""
    one = benchmark(name)
    return one.about, one.run(one.quick if quick else one.full)
