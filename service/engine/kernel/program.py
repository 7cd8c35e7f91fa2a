"""A tape as arrays of numbers, in the order in which the kernel reads it.

An entry is a row of `codes`: an operation's number and the places of its arguments. Entries that
depend on no column come first (they have one value for all rows), then those that depend on columns
alone (they need no second reading at other params), then the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from service.engine.operations import OPERATIONS
from service.engine.tape import Node, Tape

LEAVES = ("constant", "column", "param")
NUMBERS = {name: i for i, name in enumerate((*LEAVES, *OPERATIONS))}
"""The number of each kind of entry, by name: leaves, then the table of operations in its order."""
WEIGHTS = {
    **dict.fromkeys(("add", "subtract", "multiply", "chain", "divide", "negative", "square"), 1),
    **dict.fromkeys(("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"), 1),
    **dict.fromkeys(("where", "min", "max", "clip", "abs", "sign", "step", "half_step", "relu"), 1),
    **dict.fromkeys(("power", "power_by_exponent"), 50),
    **dict.fromkeys(("gamma", "lgamma", "digamma", "trigamma"), 100),
}
"""What an operation takes of a processor's time, about; 20 where it is not named."""


@dataclass(frozen=True, eq=False)
class Program:
    """A tape with its columns and params by position.

    codes (entries, 4) int32: number, and three arguments: places of entries, or for a leaf its
    position among the constants, columns or params. sections (2,) int64: where the entries begin
    that depend on columns, and those that depend on params too. outputs (1 + slopes,) int64: the
    places of f and of its slopes.
    """

    codes: Tensor
    constants: Tensor
    sections: Tensor
    outputs: Tensor
    free: Tensor
    """The positions of the params of which the outputs after the first are slopes, (slopes,)."""
    columns: tuple[str, ...]
    operations: int
    """How many operations one reading costs for each row."""
    cost: int
    """The same, each weighed by its time: 1 for a sum, 20 for a function, 100 for a special one."""

    @classmethod
    def of(
        cls, tape: Tape, params: Sequence[str], columns: Sequence[str], free: Sequence[int]
    ) -> Program:
        """The program of a tape, its params and columns numbered as in `params` and `columns`."""
        by_column, by_param = _depends(tape, "column"), _depends(tape, "param")
        section = [int(c) + int(c and p) for c, p in zip(by_column, by_param, strict=True)]
        order = sorted(range(len(tape.nodes)), key=lambda i: section[i])
        place = {old: new for new, old in enumerate(order)}
        position = {name: i for i, name in enumerate(params)}
        constants: list[float] = []
        codes = np.zeros((len(order), 4), dtype=np.int32)
        for row, old in enumerate(order):
            node = tape.nodes[old]
            if node.kind == "operation":
                codes[row, 0] = NUMBERS[node.name]
                codes[row, 1 : 1 + len(node.arguments)] = [place[a] for a in node.arguments]
            else:
                codes[row, :2] = NUMBERS[node.kind], _leaf(node, constants, columns, position)
        bounds = [sum(s < k for s in section) for k in (1, 2)]
        return cls(
            torch.from_numpy(codes),
            torch.tensor(constants or [0.0], dtype=torch.float64),
            torch.tensor(bounds),
            torch.tensor([place[o] for o in tape.outputs]),
            torch.tensor(list(free), dtype=torch.int64),
            tuple(columns),
            max(1, tape.operations),
            sum(WEIGHTS.get(node.name, 20) for node in tape.nodes if node.kind == "operation"),
        )

    @cached_property
    def _tensors(self) -> tuple[Tensor, ...]:
        return (self.codes, self.constants, torch.cat([self.sections, self.outputs, self.free]))

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """It as the operators take it: its codes, its constants, and a layout (3 + 2·slopes,) of
        sections, outputs and the positions of the free params."""
        return self._tensors

    @property
    def acts_on_columns_alone(self) -> bool:
        """Whether an operation depends on columns and on no param."""
        first, second = self.sections.tolist()
        return int(second) - int(first) > len(self.columns)

    def __len__(self) -> int:
        return len(self.codes)


def _leaf(
    node: Node, constants: list[float], columns: Sequence[str], params: dict[str, int]
) -> int:
    if node.kind == "constant":
        constants.append(node.value)
        return len(constants) - 1
    return columns.index(node.name) if node.kind == "column" else params[node.name]


def _depends(tape: Tape, kind: str) -> list[bool]:
    """For each node, whether a leaf of that kind is below it."""
    depends: list[bool] = []
    for node in tape.nodes:
        depends.append(node.kind == kind or any(depends[a] for a in node.arguments))
    return depends
