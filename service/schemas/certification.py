"""Answer of GET /certify: how many digits of certified figures this service reaches."""

from __future__ import annotations

from service.schemas.base import Answer


class CertifiedSource(Answer):
    """Where the figures of a case were published."""

    citation: str
    url: str | None


class CertifiedFigure(Answer):
    """A figure of a case's answer."""

    at: str
    """Its JSON pointer in the answer."""
    found: int | float | str | None
    certified: str
    """As it is printed."""
    digits: float | None
    """Digits that agree; null for words and counts, which are compared as they are."""
    passed: bool


class CertifiedCase(Answer):
    """One case: the answer to its request beside the certified figures."""

    name: str
    title: str
    source: CertifiedSource
    note: str | None
    route: str
    """The route whose answer is compared."""
    digits: float
    """Digits that agree, of the figure that falls furthest short of its printed ones; at most those
    that are printed. 0 without an answer."""
    certified: int
    """Digits of that figure that are printed."""
    passed: bool
    reason: str | None
    """Why the case did not pass."""
    values: list[CertifiedFigure] | None = None
    """All its figures, with `detail=true`."""


class CertificationSummary(Answer):
    """All cases together."""

    cases: int
    passed: int
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
    cases: list[CertifiedCase]
    summary: CertificationSummary

    @property
    def passed(self) -> bool:
        """Whether every case passed."""
        return self.summary.passed == self.summary.cases
