"""Rows in which a formula is not finite whatever its params: log(x) at x = −1, 1/x at x = 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from service.engine.operations import OPERATIONS
from service.engine.tape import Builder, Node, Tape
from service.engine.writing import write_text


def fault(
    tape: Tape, columns: Mapping[str, Tensor], like: Tensor, rows: Tensor
) -> tuple[str, int] | None:
    """The first operation without params that is not finite in one of the rows, and that row."""
    values: list[Tensor | None] = []
    for i, node in enumerate(tape.nodes):
        value = _value(node, values, columns, like)
        values.append(value)
        if (
            node.kind != "operation"
            or value is None
            or value.dtype == torch.bool
            or not value.dim()
        ):
            continue
        bad = rows[~torch.isfinite(value[rows])]
        if len(bad):
            return write_text(Builder.of(tape), i), int(bad[0])
    return None


def _value(
    node: Node, values: Sequence[Tensor | None], columns: Mapping[str, Tensor], like: Tensor
) -> Tensor | None:
    if node.kind == "constant":
        return torch.tensor(node.value, dtype=like.dtype, device=like.device)
    if node.kind == "column":
        return columns[node.name]
    known = [values[a] for a in node.arguments]
    if node.kind == "param" or any(value is None for value in known):
        return None
    return OPERATIONS[node.name].evaluate_safe(*known)
