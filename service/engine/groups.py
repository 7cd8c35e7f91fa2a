"""Rows that fall into groups, each to be fitted by itself, laid out as batches of like size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from service.engine.devices import at_once
from service.engine.problem import Options, Problem, Task

ENTRIES = 2**17
"""Groups × rows of one batch, about: few enough to stay in cache, enough to outweigh the calls
(docs/benchmarks.md has the measurement)."""
UNEVEN = 1.25
"""In one batch the longest group has no more than so many times the rows of the shortest."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Groups of about as many rows; all columns are (groups, rows of the longest), and beyond a
    group's own rows repeat its last one, which is not `kept`."""

    at: Tensor
    """Which groups they are, (groups,)."""
    columns: Mapping[str, Tensor]
    target: Tensor
    sigma: Tensor | None
    rows: Tensor
    """How many each has, (groups,)."""
    kept: Tensor | None
    """(groups, rows); None where all are."""
    initial: Tensor
    """(groups, params)"""

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True, eq=False)
class GroupedTask:
    """The same model fitted to each group of rows.

    `problem` is what the groups have in common, on all of their rows; `codes` (rows,) says to which
    group each row belongs, groups being counted in order of appearance.
    """

    problem: Problem
    options: Options
    codes: Tensor
    initial: Tensor
    """(groups, params)"""
    history: bool = False
    """Whether to record each group's epochs."""

    @property
    def count(self) -> int:
        return len(self.initial)

    @cached_property
    def sizes(self) -> Tensor:
        """Rows of each group, (groups,)."""
        return torch.bincount(self.codes, minlength=self.count)

    @cached_property
    def _is_sorted(self) -> bool:
        """Whether the rows lie group by group already."""
        return bool((self.codes[1:] >= self.codes[:-1]).all())

    @cached_property
    def _order(self) -> Tensor:
        """All rows, group by group."""
        if self._is_sorted:
            return torch.arange(len(self.codes), device=self.codes.device)
        return torch.argsort(self.codes, stable=True)

    @cached_property
    def _starts(self) -> Tensor:
        return torch.cumsum(self.sizes, 0) - self.sizes

    def one(self, group: int) -> Task:
        """One group by itself."""
        start, size = int(self._starts[group]), int(self.sizes[group])
        rows = self._order[start : start + size]
        return Task(self.problem.on(rows, self.initial[group]), self.options)

    def to(self, device: torch.device | str) -> GroupedTask:
        """The same on a device."""
        return replace(
            self,
            problem=self.problem.to(device),
            codes=self.codes.to(device),
            initial=self.initial.to(device),
        )

    @property
    def entries(self) -> int:
        """Groups × rows of one batch."""
        return ENTRIES * at_once(self.codes.device)

    def batches(self) -> list[Tensor]:
        """Which groups go together, the shortest first."""
        most = self.entries
        by_size = torch.argsort(self.sizes, stable=True)
        lengths = self.sizes[by_size].tolist()
        parts, begin = [], 0
        for end, length in enumerate(lengths):
            full = (end + 1 - begin) * length > most
            if end > begin and (full or length > UNEVEN * lengths[begin]):
                parts.append(by_size[begin:end])
                begin = end
        return [*parts, by_size[begin:]]

    def batch(self, at: Tensor) -> Batch:
        """The groups `at` as a batch."""
        of, rows = self.problem, self.sizes[at]
        longest, ragged = int(rows.max()), int(rows.min()) < int(rows.max())
        place = torch.arange(longest, device=rows.device)
        taken = self._taken(at, rows, place, ragged=ragged)
        return Batch(
            at=at,
            columns={name: taken(column) for name, column in of.columns.items()},
            target=taken(of.target),
            sigma=None if of.sigma is None else taken(of.sigma),
            rows=rows,
            kept=place < rows.unsqueeze(-1) if ragged else None,
            initial=self.initial[at],
        )

    def _taken(
        self, at: Tensor, rows: Tensor, place: Tensor, *, ragged: bool
    ) -> Callable[[Tensor], Tensor]:
        """How a batch takes its part of a column: as a view, where its groups lie side by side."""
        first = self._starts[at]
        beside = first[1:] == first[:-1] + len(place)
        if self._is_sorted and not ragged and bool(beside.all()):
            start, shape = int(first[0]), (len(at), len(place))
            return lambda column: column[start : start + shape[0] * shape[1]].view(shape)
        within = torch.minimum(place, rows.unsqueeze(-1) - 1) if ragged else place
        index = self._order[first.unsqueeze(-1) + within]
        return lambda column: column[index]
