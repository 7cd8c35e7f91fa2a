"""Predictions of long data, slice by slice: what a model needs in between is never had for all rows
at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from service.engine.formula import Formula
from service.engine.problem import Model

ROWS = 2**16
"""Rows of a formula that are read at once."""
NUMBERS = 2**21
"""Numbers in between that are had at once, of a network's layers or of a Jacobian: 16 MiB."""


def predict(formula: Model, columns: Mapping[str, Tensor], rows: int, theta: Tensor) -> Tensor:
    """f(x; θ) at each row, (rows,); θ (params,).

    A row of a formula is the same in whatever slice. A network's, whose sums are taken by products
    of matrices, may differ in its last bit.
    """
    step = at_once(formula)
    if rows <= step:
        return formula.bind(columns, rows, theta).predict(theta)
    prediction = theta.new_empty(rows)
    for part in slices(rows, step):
        own = {name: column[part] for name, column in columns.items()}
        prediction[part] = formula.bind(own, part.stop - part.start, theta).predict(theta)
    return prediction


def slices(rows: int, step: int) -> Iterator[slice]:
    """All rows, `step` at a time."""
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def at_once(formula: Model) -> int:
    """Rows that are read at once."""
    return ROWS if isinstance(formula, Formula) else max(1, NUMBERS // sum(formula.widths))
