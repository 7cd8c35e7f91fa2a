"""A model bound to its inputs, for predictions, Jacobians and gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from service.engine.kernel import composite, operators
from service.engine.kernel.program import Program
from service.engine.losses import Loss


class Bound(Protocol):
    """A model on given inputs."""

    def predict(self, theta: Tensor) -> Tensor:
        """f(x; θ): θ (params,) -> (rows,), or (points, params) -> (points, rows)."""
        ...

    def jacobian(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """f and ∂f/∂θ: (rows,) and (rows, params), or both with a first dimension of points; with
        0·∞ = 0 in the chain rule."""
        ...

    def gradient(
        self, theta: Tensor, target: Tensor, sigma: Tensor | None, loss: Loss
    ) -> tuple[Tensor, Tensor]:
        """The loss of a target (rows,) and ∂loss/∂θ (params,)."""
        ...

    def on(self, rows: Tensor | slice) -> Bound:
        """The bound model on some of the rows."""
        ...


class BoundFormula:
    """A formula on inputs (inputs, rows): `forward` is the program of f, `full` that of f and
    ∂f/∂θ."""

    def __init__(self, forward: Program, full: Program, inputs: Tensor) -> None:
        self._forward, self._full, self._inputs = forward, full, inputs

    def predict(self, theta: Tensor) -> Tensor:
        points = theta if theta.dim() > 1 else theta.unsqueeze(0)
        if theta.requires_grad:
            program = self._forward
            found = composite.read(program.tensors, self._inputs, points)[0]
        else:
            found = operators.read(self._forward.tensors, self._inputs, points)[0]
        return found if theta.dim() > 1 else found[0]

    def jacobian(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        points = theta if theta.dim() > 1 else theta.unsqueeze(0)
        found = operators.read(self._full.tensors, self._inputs, points)
        prediction, slopes = found[0], found[1:].movedim(0, -1)
        return (prediction, slopes) if theta.dim() > 1 else (prediction[0], slopes[0])

    def gradient(
        self, theta: Tensor, target: Tensor, sigma: Tensor | None, loss: Loss
    ) -> tuple[Tensor, Tensor]:
        spread = target[:0] if sigma is None else sigma
        data = (self._inputs, target, spread, torch.tensor([[0], [len(target)]]))
        losses, slopes = operators.gradient(
            self._full.tensors, loss.number, loss.delta, data, theta.unsqueeze(0)
        )
        return losses[0], slopes[0]

    def on(self, rows: Tensor | slice) -> BoundFormula:
        return BoundFormula(self._forward, self._full, self._inputs[:, rows])


def stacked(names: Sequence[str], columns: Mapping[str, Tensor], rows: int, like: Tensor) -> Tensor:
    """Columns in the kernel's layout, (inputs, rows): a view of one column, a copy of several."""
    if len(names) == 1:
        column = columns[names[0]]
        return column.unsqueeze(0) if column.is_contiguous() else column.contiguous().unsqueeze(0)
    if not names:
        return like.new_empty((0, rows))
    return torch.stack([columns[name] for name in names])
