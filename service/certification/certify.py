"""Runs certified cases, and says how many digits of their figures agree."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib import metadata
from statistics import mean
from typing import Any

from service import __version__
from service.certification.agreement import Agreement, agreement, digits_printed
from service.certification.case import Case, Figure
from service.certification.requests import NoAnswer, answered
from service.jobs.run_job import INTERNAL_ERROR
from service.schemas.certification import (
    Certification,
    CertificationSummary,
    CertifiedCase,
    CertifiedFigure,
    CertifiedSource,
)

DEVICE = "cpu"
"""A GPU belongs to the workers: see `service.fitting.devices`."""

log = logging.getLogger("descent.certification")


def certified(case: Case) -> CertifiedCase:
    """A case with all its figures. One without an answer did not pass; nothing is raised."""
    try:
        answer = answered(case)
    except NoAnswer as error:
        return _result(case, (), str(error))
    except Exception:
        log.exception("%s failed", case.name)
        return _result(case, (), INTERNAL_ERROR)
    return _result(case, [_figure(answer, figure) for figure in case.certified], None)


Compared = tuple[CertifiedFigure, Agreement]


def _result(case: Case, compared: Sequence[Compared], reason: str | None) -> CertifiedCase:
    agreed = [each for _, each in compared if each.digits is not None]
    worst = max(agreed, key=lambda each: (each.short, -each.printed), default=None)
    if worst is None:
        printed = max(digits_printed(figure.text) for figure in case.certified)
        worst = Agreement(False, 0.0, printed)
    wrong = [figure for figure, each in compared if not each.passed]
    if wrong:
        reason = f"{wrong[0].at} is {wrong[0].found}, not {wrong[0].certified}"
        reason += f", and {len(wrong) - 1} more" if wrong[1:] else ""
    return CertifiedCase(
        name=case.name,
        title=case.title,
        source=CertifiedSource(citation=case.source.citation, url=case.source.url),
        note=case.note,
        route=case.route,
        digits=round(worst.digits or 0.0, 2),
        certified=worst.printed,
        passed=reason is None,
        reason=reason,
        values=[figure for figure, _ in compared],
    )


def _figure(answer: Any, figure: Figure) -> Compared:
    found, exists = _at(answer, figure.at)
    found = found if isinstance(found, int | float | str) else None
    each = agreement(found, figure)
    passed = each.passed and exists
    digits = None if each.digits is None else round(each.digits, 2)
    shown = CertifiedFigure(
        at=figure.at, found=found, certified=figure.text, digits=digits, passed=passed
    )
    return shown, Agreement(passed, each.digits, each.printed)


def _at(answer: Any, pointer: str) -> tuple[Any, bool]:
    """The value at a JSON pointer, and whether there is one."""
    for word in pointer.split("/")[1:]:
        try:
            answer = answer[int(word) if isinstance(answer, list) else word]
        except (LookupError, TypeError, ValueError):
            return None, False
    return answer, True


def certification(results: Sequence[CertifiedCase], *, detail: bool) -> Certification:
    """The answer for all cases; with `detail`, with all their figures."""
    short = {each.name: each.certified - each.digits for each in results}
    least = max(short, key=lambda name: short[name])
    return Certification(
        version=__version__,
        torch=metadata.version("torch"),
        device=DEVICE,
        cases=[each if detail else each.model_copy(update={"values": None}) for each in results],
        summary=CertificationSummary(
            cases=len(results),
            passed=sum(each.passed for each in results),
            mean_digits=round(mean(each.digits for each in results), 2),
            least=least if short[least] > 0 else None,
        ),
    )
