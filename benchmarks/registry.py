"""Every benchmark, by name, in the order in which they run."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks import (
    coverage,
    descent,
    fit_line,
    groups,
    hostile,
    load,
    long,
    memory,
    pixels,
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
    "descent": descent.BENCHMARK,
    "groups": groups.BENCHMARK,
    "pixels": pixels.BENCHMARK,
    "long": long.BENCHMARK,
    "strd": strd.BENCHMARK,
    "coverage": coverage.BENCHMARK,
    "hostile": hostile.BENCHMARK,
    "load": load.BENCHMARK,
    "memory": memory.BENCHMARK,
    "start": start.BENCHMARK,
}
