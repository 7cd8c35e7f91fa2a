"""How long a hostile formula takes to be refused, beside the 10 ms that are its limit."""

from __future__ import annotations

from contextlib import suppress

from benchmarks.harness import Benchmark, Comparison, Results, Rounds, in_turns, seconds
from service.engine.formula import read_formula
from service.errors import InvalidFormula
from tests.engine.hostile import TEXTS

LIMIT_MS = 10.0

ABOUT = """
The texts that no formula may be (`tests/engine/hostile.py`), read in-process: the slowest of them,
beside the 10 ms in which each must be refused.
"""


def run(sizes: Rounds) -> Results:
    taken = in_turns(sizes.rounds, lambda: max(map(_milliseconds, TEXTS)), lambda: LIMIT_MS)
    return Results([Comparison("slowest refusal", "its limit", "ms", *taken)])


def _milliseconds(text: str) -> float:
    def read() -> None:
        with suppress(InvalidFormula):
            read_formula(text, frozenset({"x", "y"}))

    return 1e3 * seconds(read)


BENCHMARK = Benchmark(ABOUT, run, Rounds(5), Rounds(1))
