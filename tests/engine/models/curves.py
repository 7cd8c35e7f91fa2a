"""The curves of the catalogue's families, for its tests."""

from __future__ import annotations

from torch import Tensor

from service.engine.formula import Formula, read_formula
from service.engine.models import FAMILIES


def formula_of(name: str) -> Formula:
    return read_formula(FAMILIES[name].formula, frozenset({"x", "y"}))


def curve(name: str, x: Tensor, theta: Tensor) -> Tensor:
    """The predictions at x (groups, rows) of θ (groups, params): (groups, rows)."""
    formula = formula_of(name)
    columns = [theta[:, i : i + 1] for i in range(theta.shape[1])]
    read = formula.prediction.bind({"x": x}, formula.params, x[:1, :1])
    return read(columns)[0].expand(x.shape)
