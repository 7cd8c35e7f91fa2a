"""Curves that start at 0 and saturate: binding, enzymes, adsorption, charging."""

from __future__ import annotations

import torch
from torch import Tensor

from service.engine.models.exponentials import rate
from service.engine.models.family import Family, Meaning, Report
from service.engine.models.grids import (
    both_ways,
    bounded_exp,
    centres,
    log_frame,
    params,
    product,
    ratio_frame,
    search,
    span,
    thinned,
)


def guess_michaelis_menten(x: Tensor, y: Tensor) -> Tensor:
    """Vmax and Km over a grid of log(Km)."""
    frame = ratio_frame(x, y)
    v, thin = thinned(frame)

    def basis(v: Tensor, t: Tensor) -> list[Tensor]:
        return [v / (t.exp() + v)]

    found = search(basis, v, thin, product(span(-12.0, 10.0, 60)))
    return params(frame.size * found.coefficients[:, 0], frame.width * found.at[:, 0].exp())


def guess_langmuir(x: Tensor, y: Tensor) -> Tensor:
    """qmax and K = 1/Km."""
    qmax, km = guess_michaelis_menten(x, y).unbind(-1)
    return params(qmax, 1 / km)


def guess_hill(x: Tensor, y: Tensor) -> Tensor:
    """Vmax, K and n over a grid of log(K) and n, of either sign."""
    frame = log_frame(x, y)
    v, thin = thinned(frame)

    def basis(v: Tensor, m: Tensor, s: Tensor, sign: Tensor) -> list[Tensor]:
        return [torch.sigmoid(sign * (v - m) * bounded_exp(-s))]

    grid = both_ways(centres(span(-5.0, 1.5, 12), -0.5, 2.0, reach=5.0))
    found = search(basis, v, thin, grid)
    m, s, sign = found.at.unbind(-1)
    middle = (frame.low + frame.width * m).exp()
    return params(frame.size * found.coefficients[:, 0], middle, sign / (s.exp() * frame.width))


def guess_saturating_growth(x: Tensor, y: Tensor) -> Tensor:
    """a and k over a grid of k, of either sign."""
    frame = ratio_frame(x, y)
    v, thin = thinned(frame)

    def basis(v: Tensor, t: Tensor) -> list[Tensor]:
        return [-torch.expm1((-rate(t) * v).clamp(max=350.0))]

    found = search(basis, v, thin, product(span(-6.0, 12.0, 70)))
    return params(frame.size * found.coefficients[:, 0], rate(found.at[:, 0]) / frame.width)


MICHAELIS_MENTEN = Family(
    name="michaelis_menten",
    title="Michaelis-Menten",
    formula="y = Vmax * x / (Km + x)",
    params={
        "Vmax": Meaning("rate at saturation", "[y]"),
        "Km": Meaning("x at half of Vmax", "[x]"),
    },
    guess=guess_michaelis_menten,
    when_to_use="The rate of an enzyme against its substrate; binding to one kind of site.",
    reference="Michaelis and Menten, Biochemische Zeitschrift 49 (1913) 333",
    reports={
        "efficiency": Report("Vmax / Km", "slope at x = 0", "[y]/[x]"),
        "x90": Report("9 * Km", "x at 90 % of Vmax", "[x]"),
    },
)

LANGMUIR = Family(
    name="langmuir",
    title="Langmuir isotherm",
    formula="y = qmax * K * x / (1 + K * x)",
    params={
        "qmax": Meaning("capacity of the full surface", "[y]"),
        "K": Meaning("equilibrium constant of adsorption", "1/[x]"),
    },
    guess=guess_langmuir,
    when_to_use="Adsorption in one layer against pressure or concentration.",
    reference="Langmuir, J. Am. Chem. Soc. 40 (1918) 1361",
    reports={
        "x_half": Report("1 / K", "x at half of the capacity", "[x]"),
        "initial_slope": Report("qmax * K", "slope at x = 0", "[y]/[x]"),
    },
)

HILL = Family(
    name="hill",
    title="Hill equation",
    formula="y = Vmax / (1 + (K / x)**n)",
    params={
        "Vmax": Meaning("y at saturation", "[y]"),
        "K": Meaning("x at half of Vmax", "[x]"),
        "n": Meaning("Hill coefficient: above 1 cooperative, below 0 falling", "1"),
    },
    guess=guess_hill,
    when_to_use="Saturation that sets in steeply: cooperative binding, a response from 0. x ≥ 0.",
    reference="Hill, J. Physiol. 40 (1910) iv",
    reports={
        "ec10": Report("K * 9**(-1 / abs(n))", "x at 10 % of the effect", "[x]"),
        "ec50": Report("K", "x at half of the effect", "[x]"),
        "ec90": Report("K * 9**(1 / abs(n))", "x at 90 % of the effect", "[x]"),
    },
)

SATURATING_GROWTH = Family(
    name="saturating_growth",
    title="Saturating growth",
    formula="y = a * (1 - exp(-k * x))",
    params={
        "a": Meaning("plateau at large x", "[y]"),
        "k": Meaning("rate; 1/k is the time constant", "1/[x]"),
    },
    guess=guess_saturating_growth,
    when_to_use="y rises from 0 to a plateau at a speed proportional to what is left.",
    reference="NIST StRD, Misra1a; Mitscherlich, Landwirtschaftliche Jahrbücher 38 (1909) 537",
    reports={
        "half_time": Report("log(2) / k", "x at half of the plateau", "[x]"),
        "time_constant": Report("1 / k", "x at 63 % of the plateau", "[x]"),
        "initial_slope": Report("a * k", "slope at x = 0", "[y]/[x]"),
    },
)
