"""The model families, by subject. To add one, write its record and put it into the table."""

from __future__ import annotations

from collections.abc import Mapping

from service.catalogue.families.chemistry import ANTOINE, ARRHENIUS, NERNST
from service.catalogue.families.exponentials import (
    DOUBLE_EXPONENTIAL_DECAY,
    EXPONENTIAL_DECAY,
    EXPONENTIAL_GROWTH,
)
from service.catalogue.families.oscillations import DAMPED_SINE, SINE
from service.catalogue.families.peaks import GAUSSIAN, LORENTZIAN, PSEUDO_VOIGT
from service.catalogue.families.piecewise import PIECEWISE_LINEAR
from service.catalogue.families.polynomials import LINEAR, POLYNOMIAL
from service.catalogue.families.populations import RICKER, VON_BERTALANFFY
from service.catalogue.families.powers import LOGARITHMIC, POWER_LAW
from service.catalogue.families.record import Family, Meaning
from service.catalogue.families.saturation import (
    HILL,
    LANGMUIR,
    MICHAELIS_MENTEN,
    SATURATING_GROWTH,
)
from service.catalogue.families.sigmoids import GOMPERTZ, LOGISTIC3, LOGISTIC4, LOGISTIC5, WEIBULL
from service.catalogue.options import table

FAMILIES: Mapping[str, Family] = table(
    (
        LINEAR,
        POLYNOMIAL,
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
)
"""Every family, by name; `polynomial` with its default degree."""

__all__ = ["FAMILIES", "Family", "Meaning"]
