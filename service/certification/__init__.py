"""Certified cases: NIST's reference datasets, the worked example and published figures of
laboratories, as the requests that they are, and how many of their digits the answers have."""

from functools import cache

from service.certification.case import Case, Figure, Source
from service.certification.certify import certification, certified
from service.certification.laboratory import laboratory_cases
from service.certification.strd import nonlinear_cases
from service.certification.strd_linear import linear_cases
from service.certification.worked_example import worked_cases

__all__ = ["Case", "Figure", "Source", "cases", "certification", "certified"]


@cache
def cases() -> tuple[Case, ...]:
    """Every case, in the order of the answer."""
    return (*nonlinear_cases(), *linear_cases(), *worked_cases(), *laboratory_cases())
