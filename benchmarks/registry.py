"""Every benchmark, by name, in the order in which they run."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks import (
    coverage,
    fit_line,
    groups,
    hostile,
    load,
    long,
    memory,
    predict,
    start,
    strd,
    tutorial,
)
from benchmarks.harness import Benchmark

BENCHMARKS: Mapping[str, Benchmark] = {
    "tutorial": tutorial.BENCHMARK,
    "predict": predict.BENCHMARK,
    "fit_line": fit_line.BENCHMARK,
    "groups": groups.BENCHMARK,
    "long": long.BENCHMARK,
    "strd": strd.BENCHMARK,
    "coverage": coverage.BENCHMARK,
    "hostile": hostile.BENCHMARK,
    "load": load.BENCHMARK,
    "memory": memory.BENCHMARK,
    "start": start.BENCHMARK,
}
