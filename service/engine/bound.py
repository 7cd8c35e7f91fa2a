"""A model bound to its data: what predictions, Jacobians and gradients are read from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor

from service.engine.tape import Tape

Pullback = Callable[[Tensor], Tensor]
"""∂loss/∂prediction (rows,) -> ∂loss/∂θ (params,)."""


class Bound(Protocol):
    """A model on given inputs; what depends on the data alone is reckoned once."""

    def predict(self, theta: Tensor) -> Tensor:
        """f(x; θ): θ (params,) -> (rows,), or (points, params) -> (points, rows)."""
        ...

    def jacobian(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """f and ∂f/∂θ: (rows,) and (rows, params), or both with points in front; exact zeros in the
        chain rule outweigh infinities."""
        ...

    def pullback(self, theta: Tensor, *, safe: bool = False) -> tuple[Tensor, Pullback]:
        """f (rows,), and what carries ∂loss/∂f back to the params; `safe` as for the Jacobian."""
        ...

    def on(self, rows: Tensor | slice) -> Bound:
        """The same on some of the rows."""
        ...


class BoundFormula:
    """A formula's tapes on given columns of so many rows."""

    def __init__(
        self,
        prediction: Tape,
        with_slopes: Tape,
        params: tuple[str, ...],
        columns: Mapping[str, Tensor],
        rows: int,
        like: Tensor,
    ) -> None:
        self._rows = rows
        self._prediction = prediction.bind(columns, params, like)
        self._with_slopes = with_slopes.bind(columns, params, like)

    def predict(self, theta: Tensor) -> Tensor:
        prediction = self._prediction(_spread(theta))[0]
        return prediction.expand(*theta.shape[:-1], self._rows)

    def jacobian(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        shape = (*theta.shape[:-1], self._rows)
        outputs = self._with_slopes(_spread(theta))
        if not all(bool(torch.isfinite(slope.sum())) for slope in outputs[1:]):
            outputs = self._with_slopes(_spread(theta), safe=True)
        if len(outputs) == 1:
            return outputs[0].expand(shape), theta.new_empty((*shape, 0))
        slopes = torch.stack([slope.expand(shape) for slope in outputs[1:]], dim=-1)
        return outputs[0].expand(shape), slopes

    def pullback(self, theta: Tensor, *, safe: bool = False) -> tuple[Tensor, Pullback]:
        prediction, *slopes = self._with_slopes(theta.unbind(), safe=safe)

        def back(slope: Tensor) -> Tensor:
            total = slope.sum()
            return torch.stack([torch.dot(slope, s) if s.dim() else total * s for s in slopes])

        return prediction.expand(self._rows), back

    def on(self, rows: Tensor | slice) -> BoundFormula:
        part = object.__new__(BoundFormula)
        part._rows = len(range(self._rows)[rows]) if isinstance(rows, slice) else len(rows)
        part._prediction = self._prediction.on(rows)
        part._with_slopes = self._with_slopes.on(rows)
        return part


def _spread(theta: Tensor) -> tuple[Tensor, ...]:
    """One tensor a param: 0-dimensional, or (points, 1) to broadcast against rows."""
    return theta.unbind(-1) if theta.dim() == 1 else theta.unsqueeze(-2).unbind(-1)
