"""Each of the five curves beside SciPy's `curve_fit`, then the median and the worst of the five."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

from benchmarks.families import FAMILIES, DataSet, Floats, data_set
from benchmarks.harness import Comparison, missing

SCIPY = "SciPy's curve_fit"

Fits = list[tuple[float, Floats]]
"""The seconds and the params of each data set."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rounds: int
    sets: int
    """Data sets of a family in a round; every round has others."""


@dataclass(frozen=True, slots=True)
class BesideScipy:
    """Fits of all five by Descent and by SciPy. Both must come to the same params."""

    what: str
    unit: Literal["ms", "µs"]
    sizes: Sizes
    fit: Callable[[Sequence[DataSet]], Fits]
    """Descent's."""
    start: Callable[[DataSet], Sequence[float]]
    """Where SciPy begins."""

    def in_turns(self) -> list[Comparison]:
        """They take turns on each data set, as in a program that fits now and then."""
        five = [self._family(name, together=1) for name in FAMILIES]
        return [*five, *_summary(five, self.what)]

    def back_to_back(self) -> list[Comparison]:
        """Each does all data sets of a round without a pause, so that its caches are warm."""
        five = [self._family(name, together=self.sizes.sets) for name in FAMILIES]
        return _summary(five, f"{self.what}, back to back")

    def _family(self, name: str, together: int) -> Comparison:
        """The medians of the rounds, after one that does not count."""
        ours: list[float] = []
        theirs: list[float] = []
        first = self.sizes.rounds > 1
        for number in range(self.sizes.rounds + first):
            mine, others = self._round(name, number, together)
            if number >= first:
                ours.append(median(mine))
                theirs += [median(others)] if others else []
        return Comparison(f"{self.what}: {name}", SCIPY, self.unit, ours, theirs)

    def _round(self, name: str, number: int, together: int) -> tuple[list[float], list[float]]:
        """What each data set took Descent, and SciPy if it is installed; so many at a time."""
        has_scipy = "scipy" not in missing()
        scale = {"ms": 1e3, "µs": 1e6}[self.unit]
        seeds = range(number * self.sizes.sets, (number + 1) * self.sizes.sets)
        ours: list[float] = []
        theirs: list[float] = []
        for i in range(0, self.sizes.sets, together):
            sets = [data_set(name, seed) for seed in seeds[i : i + together]]
            fits = self.fit(sets)
            ours += (scale * seconds for seconds, _ in fits)
            if has_scipy:
                taken = self._by_scipy(sets, [params for _, params in fits])
                theirs += (scale * seconds for seconds in taken)
        return ours, theirs

    def _by_scipy(self, sets: Sequence[DataSet], found: Sequence[Floats]) -> list[float]:
        """Its seconds. RuntimeError where it came to another curve than what was found."""
        starts = [self.start(data) for data in sets]
        taken, fits = [], []
        for data, start in zip(sets, starts, strict=True):
            began = time.perf_counter()
            fits.append(data.by_scipy(start))
            taken.append(time.perf_counter() - began)
        for data, params, fit in zip(sets, found, fits, strict=True):
            data.check(params, fit)
        return taken


def given(data: DataSet) -> list[float]:
    """The start that is given with the request."""
    return list(data.family.start.values())


def good(data: DataSet) -> list[float]:
    """The truth: no start is better."""
    return [float(value) for value in data.truth]


def _summary(five: Sequence[Comparison], what: str) -> list[Comparison]:
    """The rows with the median and the largest ratio."""
    if not all(one.theirs for one in five):
        return []
    ranked = sorted(five, key=lambda one: one.ratio)
    places = {"median": ranked[len(ranked) // 2], "worst": ranked[-1]}
    return [
        replace(one, what=f"{what}: the {place} of the five ({one.what.rpartition(': ')[2]})")
        for place, one in places.items()
    ]
