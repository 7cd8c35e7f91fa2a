"""The catalogue of families, by name."""

from __future__ import annotations

from collections.abc import Mapping

from service.engine.models.chemistry import ANTOINE, ARRHENIUS, NERNST
from service.engine.models.exponentials import (
    DOUBLE_EXPONENTIAL_DECAY,
    EXPONENTIAL_DECAY,
    EXPONENTIAL_GROWTH,
)
from service.engine.models.family import Family, Meaning, Report
from service.engine.models.oscillations import DAMPED_SINE, SINE
from service.engine.models.peaks import GAUSSIAN, LORENTZIAN, PSEUDO_VOIGT
from service.engine.models.piecewise import PIECEWISE_LINEAR
from service.engine.models.polynomials import LINEAR, polynomial
from service.engine.models.populations import RICKER, VON_BERTALANFFY
from service.engine.models.powers import LOGARITHMIC, POWER_LAW
from service.engine.models.saturation import HILL, LANGMUIR, MICHAELIS_MENTEN, SATURATING_GROWTH
from service.engine.models.sigmoids import GOMPERTZ, LOGISTIC3, LOGISTIC4, LOGISTIC5, WEIBULL

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        LINEAR,
        polynomial(2),
        PIECEWISE_LINEAR,
        EXPONENTIAL_DECAY,
        DOUBLE_EXPONENTIAL_DECAY,
        EXPONENTIAL_GROWTH,
        POWER_LAW,
        LOGARITHMIC,
        MICHAELIS_MENTEN,
        HILL,
        LANGMUIR,
        SATURATING_GROWTH,
        LOGISTIC3,
        LOGISTIC4,
        LOGISTIC5,
        GOMPERTZ,
        WEIBULL,
        GAUSSIAN,
        LORENTZIAN,
        PSEUDO_VOIGT,
        SINE,
        DAMPED_SINE,
        ARRHENIUS,
        ANTOINE,
        NERNST,
        RICKER,
        VON_BERTALANFFY,
    )
}
"""Every family, by name; `polynomial` with its default degree."""

__all__ = ["FAMILIES", "Family", "Meaning", "Report", "polynomial"]
