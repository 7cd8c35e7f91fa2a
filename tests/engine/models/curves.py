"""The curves of the catalogue's families, for its tests."""

from __future__ import annotations

from torch import Tensor

from service.catalogue.families import FAMILIES
from service.engine.formula import Formula, read_formula
from service.engine.kernel.composite import outputs_of


def formula_of(name: str) -> Formula:
    return read_formula(FAMILIES[name].formula, frozenset({"x", "y"}))


def curve(name: str, x: Tensor, theta: Tensor) -> Tensor:
    """The predictions at x (groups, rows) of θ (groups, params): (groups, rows)."""
    return outputs_of(formula_of(name).forward.tensors, [x], theta)[0].expand(x.shape)
