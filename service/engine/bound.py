"""A model bound to its data: what predictions, Jacobians and gradients are read from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from service.engine.small import ROWS, Program
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


class Readable(Protocol):
    """A formula that numpy can read, and torch too."""

    @property
    def program(self) -> Program: ...

    def bind_long(self, columns: Mapping[str, Tensor], rows: int, like: Tensor) -> BoundFormula: ...


def is_small(like: Tensor, rows: int) -> bool:
    """Whether numpy is the faster reader, and as precise."""
    return rows <= ROWS and like.dtype == torch.float64 and like.device.type == "cpu"


def is_readable(formula: Readable, rows: int) -> bool:
    """Whether numpy reads a formula on so many rows, in float64, faster than torch."""
    return rows <= ROWS and formula.program.is_readable


class SmallBound:
    """A formula's tape on few rows, read by numpy; by torch where autograd follows."""

    def __init__(
        self, formula: Readable, columns: Mapping[str, Tensor], rows: int, like: Tensor
    ) -> None:
        self._formula, self._columns, self._rows, self._like = formula, columns, rows, like
        with np.errstate(all="ignore"):
            self._reader = formula.program.bind(
                {name: column.numpy() for name, column in columns.items()}, rows
            )

    @cached_property
    def _long(self) -> BoundFormula:
        return self._formula.bind_long(self._columns, self._rows, self._like)

    def predict(self, theta: Tensor) -> Tensor:
        if theta.requires_grad:
            return self._long.predict(theta)
        values = theta.numpy()
        with np.errstate(all="ignore"):
            if theta.dim() > 1:
                return torch.from_numpy(self._reader.spread(values))
            return self._whole(self._reader.predict(values))

    def jacobian(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        if theta.dim() > 1:
            return self._long.jacobian(theta)
        reader, values = self._reader, theta.numpy()
        with np.errstate(all="ignore"):
            prediction = reader.read(values)
            if not math.isfinite(reader.slopes.sum()):
                prediction = reader.read(values, safe=True)
        return self._whole(prediction), torch.from_numpy(reader.slopes.T.copy())

    def pullback(self, theta: Tensor, *, safe: bool = False) -> tuple[Tensor, Pullback]:
        reader = self._reader
        with np.errstate(all="ignore"):
            prediction = reader.read(theta.numpy(), safe=safe)
        slopes = reader.slopes.copy()

        def back(slope: Tensor) -> Tensor:
            with np.errstate(all="ignore"):
                return torch.from_numpy(slopes.dot(slope.numpy()))

        return self._whole(prediction), back

    def on(self, rows: Tensor | slice) -> BoundFormula:
        return self._long.on(rows)

    def _whole(self, prediction: np.typing.NDArray[np.float64]) -> Tensor:
        """The prediction in room of its own, one number a row."""
        whole = np.empty(self._rows)
        whole[:] = prediction
        return torch.from_numpy(whole)
