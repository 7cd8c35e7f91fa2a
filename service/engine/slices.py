"""Predictions of long data in slices, so that intermediate values are never in memory for all
rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from service.engine.formula import Formula
from service.engine.problem import Model

ROWS = 2**16
"""Rows of a formula that are evaluated at once."""
NUMBERS = 2**21
"""Intermediate values in memory, of a network's layers or of a Jacobian: 16 MiB."""


def predict(formula: Model, columns: Mapping[str, Tensor], rows: int, theta: Tensor) -> Tensor:
    """f(x; θ) at each row, (rows,); θ (params,).

    The prediction of a formula does not depend on the slices. That of a network, computed by matrix
    products, may differ in its last bit.
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
    """Rows that are evaluated at once."""
    return ROWS if isinstance(formula, Formula) else max(1, NUMBERS // sum(formula.widths))
