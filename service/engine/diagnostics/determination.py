"""How well the data determine the params, and from where the fit set out."""

from __future__ import annotations

import math

from service.engine.diagnostics.finding import Diagnostic, Finding

ILL_CONDITIONED = 1e8


def rank_deficient(finding: Finding) -> Diagnostic | None:
    """Some params trade off against each other, or act on nothing."""
    names = finding.statistics.deficient
    if not names:
        return None
    return Diagnostic(
        "rank_deficient",
        "error",
        f"the data do not tell these params apart: {', '.join(names)}. Other values of them fit as "
        "well; fix one, or simplify the model.",
        params=names,
        suggestion={"params": {names[-1]: _as_it_is(finding, names[-1])}},
    )


def _as_it_is(finding: Finding, name: str) -> dict[str, float | bool]:
    """The param kept at its fitted value."""
    value = float(finding.theta[finding.problem.params.index(name)])
    return {"value": value if math.isfinite(value) else 1.0, "fixed": True}


def ill_conditioned(finding: Finding) -> Diagnostic | None:
    """The params are told apart, but only just."""
    condition = finding.statistics.condition
    if finding.statistics.deficient or not ILL_CONDITIONED < condition < math.inf:
        return None
    return Diagnostic(
        "ill_conditioned",
        "warning",
        f"the Jacobian's condition number is {condition:.2g}: about {math.log10(condition):.0f} of "
        "the 16 digits of the params are lost. Scale the inputs, or use fewer params.",
        suggestion={"scaling": "standardize"},
    )


def few_degrees_of_freedom(finding: Finding) -> Diagnostic | None:
    """Too few rows to tell the noise."""
    degrees = finding.statistics.degrees_of_freedom
    if degrees > 2 or not finding.problem.formula.has_standard_errors:
        return None
    none = (
        "no rows are" if degrees <= 0 else f"only {degrees} row{'s are' if degrees > 1 else ' is'}"
    )
    return Diagnostic(
        "few_degrees_of_freedom",
        "error" if degrees < 0 else "warning",
        f"{none} left over to tell the noise ({finding.statistics.n} rows, "
        f"{len(finding.problem.free_params)} free params), so the standard errors are "
        f"{'unknown' if degrees <= 0 else 'very uncertain'}. Add data or fix params.",
    )


def guessed_start(finding: Finding) -> Diagnostic | None:
    """Some initial values were not given."""
    if not finding.guessed or finding.options.optimizer == "exact":
        return None
    values = {
        name: float(f"{value:.6g}")
        for name, value in zip(finding.problem.params, finding.result.initial.tolist(), strict=True)
        if name in finding.guessed
    }
    listed = ", ".join(f"{name}={value:g}" for name, value in values.items())
    return Diagnostic(
        "guessed_start",
        "info",
        f"initial values were not given and are guessed: {listed}.",
        params=tuple(values),
    )


def multi_start_disagrees(finding: Finding) -> Diagnostic | None:
    """The start was searched for, and few of the ways came to the loss of the best."""
    searched = finding.result.searched
    if searched is None or searched[0] >= min(2, searched[1]):
        return None
    agreeing, tried = searched
    return Diagnostic(
        "multi_start_disagrees",
        "warning",
        f"of {tried} searched starts only {agreeing} came to this loss, so there may be a lower "
        "one elsewhere. Give initial values near what you expect.",
    )
