"""How long a hostile formula takes to be refused, beside the 10 ms that are its limit."""

from __future__ import annotations

import time
from contextlib import suppress

from benchmarks.harness import Benchmark, Comparison
from service.engine.formula import read_formula
from service.errors import InvalidFormula
from tests.engine.hostile import TEXTS

ROUNDS = 5
LIMIT_MS = 10.0

ABOUT = """
The texts that no formula may be (`tests/engine/hostile.py`), read in-process: the slowest of them,
beside the 10 ms in which each must be refused.
"""


def run() -> list[Comparison]:
    slowest = [max(_milliseconds(text) for text in TEXTS) for _ in range(ROUNDS)]
    limit = [LIMIT_MS] * ROUNDS
    return [Comparison("slowest refusal", "its limit", "ms", slowest, limit)]


def _milliseconds(text: str) -> float:
    began = time.perf_counter()
    with suppress(InvalidFormula):
        read_formula(text, frozenset({"x", "y"}))
    return 1e3 * (time.perf_counter() - began)


BENCHMARK = Benchmark(ABOUT, run)
