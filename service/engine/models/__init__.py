"""The start of each model family, guessed from the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from service.catalogue.families import Family
from service.engine.models import (
    chemistry,
    exponentials,
    oscillations,
    peaks,
    piecewise,
    polynomials,
    populations,
    powers,
    saturation,
    sigmoids,
)

GUESSES: Mapping[str, Callable[..., Tensor]] = {
    "linear": polynomials.guess_line,
    "polynomial": polynomials.guess_polynomial,
    "piecewise_linear": piecewise.guess_piecewise_linear,
    "exponential_decay": exponentials.guess_decay,
    "double_exponential_decay": exponentials.guess_double_decay,
    "exponential_growth": exponentials.guess_growth,
    "power_law": powers.guess_power_law,
    "logarithmic": powers.guess_logarithmic,
    "michaelis_menten": saturation.guess_michaelis_menten,
    "hill": saturation.guess_hill,
    "langmuir": saturation.guess_langmuir,
    "saturating_growth": saturation.guess_saturating_growth,
    "logistic3": sigmoids.guess_logistic3,
    "logistic4": sigmoids.guess_logistic4,
    "logistic5": sigmoids.guess_logistic5,
    "gompertz": sigmoids.guess_gompertz,
    "weibull": sigmoids.guess_weibull,
    "gaussian": peaks.guess_gaussian,
    "lorentzian": peaks.guess_lorentzian,
    "pseudo_voigt": peaks.guess_pseudo_voigt,
    "sine": oscillations.guess_sine,
    "damped_sine": oscillations.guess_damped_sine,
    "arrhenius": chemistry.guess_arrhenius,
    "antoine": chemistry.guess_antoine,
    "nernst": chemistry.guess_nernst,
    "ricker": populations.guess_ricker,
    "von_bertalanffy": populations.guess_von_bertalanffy,
}
"""Input x (groups, rows) and target y (groups, rows) -> θ (groups, params), by the family's name.
The family's options are given as keywords."""


def has_guess(family: Family) -> bool:
    """Whether the start of a family can be guessed; that of any other is searched for."""
    return family.name in GUESSES


def guess(family: Family, x: Tensor, y: Tensor) -> Tensor:
    """The guessed params of a family, (groups, params), of data (groups, rows)."""
    return GUESSES[family.name](x, y, **family.values)
