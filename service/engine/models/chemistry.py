"""Chemistry against temperature and concentration."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from service.engine.models.exponentials import guess_growth
from service.engine.models.family import Family, Meaning, Report
from service.engine.models.grids import Grid, params, search, span, span_frame, thinned
from service.engine.models.powers import guess_logarithmic

GAS_CONSTANT = 8.31446261815324
"""J/(mol K), exact in the SI of 2019."""


def guess_arrhenius(x: Tensor, y: Tensor) -> Tensor:
    """A and Ea: an exponential of −1/x."""
    A, rate = guess_growth(-1 / torch.where(x == 0, torch.inf, x), y).unbind(-1)
    return params(A, rate * GAS_CONSTANT)


def guess_nernst(x: Tensor, y: Tensor) -> Tensor:
    """E0 and S: a line in log10(x)."""
    E0, S = guess_logarithmic(x, y).unbind(-1)
    return params(E0, S * math.log(10))


def guess_antoine(x: Tensor, y: Tensor) -> Tensor:
    """A, B and C over a grid of the pole x = −C, on either side of the data."""
    frame = span_frame(x, y)
    v, thin = thinned(frame)

    def pole(s: Tensor, side: Tensor) -> Tensor:
        return torch.where(side > 0, 1.0, 0.0) + side * s.exp()

    def basis(v: Tensor, s: Tensor, side: Tensor) -> list[Tensor]:
        return [torch.ones_like(v), -1 / (v - pole(s, side))]

    places, step = span(-6.0, 7.0, 40)
    at = torch.cat([torch.stack([places, torch.full_like(places, s)], -1) for s in (-1.0, 1.0)])
    grid = Grid(at, torch.tensor([step, 0.0], dtype=at.dtype).expand_as(at))
    found = search(basis, v, thin, grid)
    A, B = (frame.size.unsqueeze(-1) * found.coefficients).unbind(-1)
    C = -(frame.low + frame.width * pole(found.at[:, 0], found.at[:, 1]))
    return params(A, B * frame.width, C)


ARRHENIUS = Family(
    name="arrhenius",
    title="Arrhenius equation",
    formula=f"y = A * exp(-Ea / ({GAS_CONSTANT} * x))",
    params={
        "A": Meaning("pre-exponential factor", "[y]"),
        "Ea": Meaning("activation energy", "J/mol, with x in kelvin"),
    },
    guess=guess_arrhenius,
    when_to_use="A rate constant against the absolute temperature in kelvin.",
    reference="Arrhenius, Z. phys. Chem. 4 (1889) 226; CODATA 2018 for R",
    reports={
        "y_at_25_celsius": Report(
            f"A * exp(-Ea / ({GAS_CONSTANT} * 298.15))",
            "y at 298.15 K",
            "[y]",
        ),
    },
)

NERNST = Family(
    name="nernst",
    title="Nernst equation",
    formula="y = E0 + S * log10(x)",
    params={
        "E0": Meaning("potential at activity 1", "[y]"),
        "S": Meaning("slope a decade: log(10)·R·T/(z·F), 59.16 mV/z at 25 °C", "[y]"),
    },
    guess=guess_nernst,
    when_to_use="The potential of an electrode against activity or concentration. x > 0.",
    reference="Nernst, Z. phys. Chem. 4 (1889) 129; IUPAC, Pure Appl. Chem. 66 (1994) 2527",
)

ANTOINE = Family(
    name="antoine",
    title="Antoine equation",
    formula="log10(y) = A - B / (C + x)",
    params={
        "A": Meaning("log10 of the pressure at infinite temperature", "log10 of [y]"),
        "B": Meaning("steepness", "[x]"),
        "C": Meaning("minus the temperature of the pole", "[x]"),
    },
    guess=guess_antoine,
    when_to_use="Vapour pressure against temperature; residuals are those of its log10. y > 0.",
    reference="Antoine, Comptes rendus 107 (1888) 681; NIST Chemistry WebBook",
    reports={
        "x_at_1": Report("B / A - C", "temperature at which the pressure is 1", "[x]"),
    },
)
