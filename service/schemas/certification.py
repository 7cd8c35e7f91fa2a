"""Answer of GET /certify: how many digits of certified figures this service reaches."""

from __future__ import annotations

from service.schemas.base import Answer


class CertifiedSource(Answer):
    """Where the figures of a case were published."""

    citation: str
    """The publication."""
    url: str | None
    """Where it can be read; null if nowhere."""


class CertifiedFigure(Answer):
    """A figure of a case's answer."""

    at: str
    """Its JSON pointer in the answer."""
    found: int | float | str | None
    """What this service computes."""
    certified: str
    """As it is printed."""
    digits: float | None
    """Digits that agree; null for words and counts, which are compared as they are."""
    passed: bool
    """Whether it agrees to the digits that are required."""


class CertifiedCase(Answer):
    """One case: the answer to its request beside the certified figures."""

    name: str
    """The name of the data set or the case."""
    title: str
    """The name for people."""
    source: CertifiedSource
    note: str | None
    """What is to be known of it; else null."""
    route: str
    """The route whose answer is compared."""
    digits: float
    """Digits that agree, of the figure that falls furthest short of its printed ones; at most those
    that are printed. 0 without an answer."""
    certified: int
    """Digits of that figure that are printed."""
    passed: bool
    """Whether all its figures agree to the digits that are required."""
    reason: str | None
    """Why the case did not pass."""
    values: list[CertifiedFigure] | None = None
    """All its figures, with `detail=true`."""


class CertificationSummary(Answer):
    """All cases together."""

    cases: int
    """Number of cases."""
    passed: int
    """Number of those that passed."""
    mean_digits: float
    """Mean of the cases' digits."""
    least: str | None
    """The case that falls furthest short of its printed digits; null where none does."""


class Certification(Answer):
    """Certified cases, computed by the running service."""

    version: str
    """Of this service."""
    torch: str
    """Of torch."""
    device: str
    """What it was computed on: `cpu` or `cuda`."""
    cases: list[CertifiedCase]
    summary: CertificationSummary

    @property
    def passed(self) -> bool:
        """Whether every case passed."""
        return self.summary.passed == self.summary.cases
