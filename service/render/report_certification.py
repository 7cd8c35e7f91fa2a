"""The report of certified cases: a row a case, then why some did not pass, and a summary."""

from __future__ import annotations

from service.render.digits import counted
from service.render.page import Page
from service.schemas.certification import Certification, CertificationSummary, CertifiedCase


def write_certification(page: Page, found: Certification) -> None:
    """The whole report; the last line is the summary."""
    page.heading(f"descent {found.version}, torch {found.torch}, {found.device}")
    rows = [("case", "digits", "of", "")]
    rows += [
        (case.name, f"{case.digits:.1f}", str(case.certified), "" if case.passed else "FAIL")
        for case in found.cases
    ]
    page.table(rows, "<>><", headed=True)
    page.space()
    for case in found.cases:
        if not case.passed:
            page.text(f"{case.name}: {case.reason}", colour="red")
    for case in found.cases:
        if case.values is not None:
            _figures(page, case)
    page.text(summary(found.summary) + ".")


def summary(total: CertificationSummary) -> str:
    """All cases in a line."""
    cases = counted(total.cases, "certified case")
    return f"{total.passed:,} of {cases}, {total.mean_digits:.1f} digits in the mean"


def _figures(page: Page, case: CertifiedCase) -> None:
    page.heading(case.title)
    page.text(case.source.citation + ("" if case.source.url is None else f", {case.source.url}"))
    if case.note is not None:
        page.text(case.note)
    rows = [("figure", "found", "certified", "digits", "")]
    for figure in case.values or ():
        digits = "" if figure.digits is None else f"{figure.digits:.1f}"
        mark = "" if figure.passed else "FAIL"
        rows.append((figure.at, str(figure.found), figure.certified, digits, mark))
    page.table(rows, "<>>><", headed=True)
    page.space()
