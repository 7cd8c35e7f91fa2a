"""The diagnostics of a comparison: what its ranking does not tell by itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from service.engine.diagnostics.finished import SEVERITIES, VERDICTS, About
from service.fitting.comparison.figures import Figures
from service.fitting.comparison.plan import ComparisonPlan
from service.schemas.answers import Diagnostic
from service.schemas.names import Severity, Verdict

CLOSE = 2.0
"""Differences of a criterion up to which models have substantial support (Burnham and Anderson,
2.6)."""

ABOUT = {
    "no_trustworthy_model": About(
        "no model has both the criterion and a fit that is not untrustworthy",
        "error",
        "there is no first model, and there are no weights",
        "see the diagnostics of the models",
    ),
    "failed_larger_model": About(
        "a model's RSS is larger than that of a model nested in it",
        "warning",
        "the larger model can do no worse, so its fit ended at a wrong minimum",
        "give it initial values: those of the smaller model",
    ),
    "better_but_untrustworthy": About(
        "an untrustworthy fit has a smaller criterion than the first model",
        "warning",
        "an untrustworthy fit does not lead; cured, it may",
        "see the diagnostics of that model",
    ),
    "doubtful_best": About(
        "the fit of the first model is doubtful",
        "warning",
        "the best of the models compared need not be a good one",
        "see the diagnostics of that model, and compare it with others",
    ),
    "data_dredging": About(
        "more models than rows are ranked; or the whole catalogue is",
        "warning with more models than rows, else info",
        "among many models one fits by chance: weights and p do not know that it was chosen from "
        "many",
        "compare the few models that have a reason, or confirm the first one with new data",
    ),
    "exact_models": About(
        "the residuals of the first model are only rounding errors",
        "info",
        "without noise there are no likelihoods, weights and tests: exact models are first, those "
        "with fewer params before others",
        "none needed; for weights and tests send measured data",
    ),
    "too_few_rows": About(
        "a model has no criterion: AICc needs k + 2 rows",
        "warning",
        "the model is not ranked",
        "send more rows, or compare smaller models",
    ),
    "close_models": About(
        f"the criterion of another model is within {CLOSE:g} of the first's",
        "info",
        "the data do not tell these models apart",
        "choose by what is known of the process, or measure where their curves differ",
    ),
}
"""The diagnostics of comparisons, in the order in which they are reported."""


def notes(plan: ComparisonPlan, figures: Figures) -> list[Diagnostic]:
    """The diagnostics of a comparison."""
    found = [
        each(plan, figures)
        for each in (
            _nothing,
            _failed,
            _untrustworthy,
            _doubtful,
            _dredging,
            _exact,
            _few_rows,
            _close,
        )
    ]
    return [each for each in found if each is not None]


def verdict(diagnostics: Sequence[Diagnostic]) -> Verdict:
    """The verdict on a comparison."""
    return VERDICTS[max((SEVERITIES.index(each.severity) + 1 for each in diagnostics), default=0)]


def _note(code: str, severity: Severity, message: str) -> Diagnostic:
    return Diagnostic(code=code, severity=severity, message=message)


def _where(figures: Figures, groups: int) -> str:
    """ "in 3 of 12 groups: ", or nothing without groups."""
    total = len(figures.fitted.n)
    return "" if total == 1 else f"in {groups:,} of {total:,} groups: "


def _labels(plan: ComparisonPlan, models: Sequence[int], most: int = 6) -> str:
    named = [f"'{plan.entries[i].label}'" for i in models]
    if len(named) > most:
        named = [*named[:most], f"{len(named) - most} more"]
    return " and ".join([", ".join(named[:-1]), named[-1]] if named[1:] else named)


def _verb(models: Sequence[int], one: str, several: str) -> str:
    return one if len(models) == 1 else several


def _nothing(plan: ComparisonPlan, figures: Figures) -> Diagnostic | None:
    without = int((figures.ranking.rank != 1).all(axis=0).sum())
    if not without:
        return None
    return _note(
        "no_trustworthy_model",
        "error",
        f"{_where(figures, without)}no model has both {plan.request.criterion} and a fit that is "
        "not untrustworthy, so there is no first model; see the diagnostics of each.",
    )


def _failed(plan: ComparisonPlan, figures: Figures) -> Diagnostic | None:
    if not figures.failed:
        return None
    count = len({group for groups in figures.failed.values() for group in groups})
    larger = list(figures.failed)
    smaller = sorted({i for groups in figures.failed.values() for i in groups.values()})
    return _note(
        "failed_larger_model",
        "warning",
        f"{_where(figures, count)}the RSS of {_labels(plan, larger)} is larger than that of "
        f"{_labels(plan, smaller)}, which is nested in it, so its fit failed: it is not ranked, "
        "and has no tests. Give it initial values, such as those of the smaller model.",
    )


def _untrustworthy(plan: ComparisonPlan, figures: Figures) -> Diagnostic | None:
    better = (figures.ranking.rank == 0) & (figures.ranking.delta < 0)
    better[list(figures.failed)] = False
    if not better.any():
        return None
    models = np.flatnonzero(better.any(axis=1)).tolist()
    return _note(
        "better_but_untrustworthy",
        "warning",
        f"{_where(figures, int(better.any(axis=0).sum()))}{_labels(plan, models)} "
        + _verb(models, "has", "have")
        + f" a smaller {plan.request.criterion} than the first model, but "
        + _verb(
            models,
            "its fit is untrustworthy, so it is not ranked; see its diagnostics.",
            "their fits are untrustworthy, so they are not ranked; see their diagnostics.",
        ),
    )


def _doubtful(plan: ComparisonPlan, figures: Figures) -> Diagnostic | None:
    doubtful = np.array([[v == "doubtful" for v in row] for row in figures.fitted.verdicts])
    leads = doubtful & (figures.ranking.rank == 1)
    if not leads.any():
        return None
    models = np.flatnonzero(leads.any(axis=1)).tolist()
    return _note(
        "doubtful_best",
        "warning",
        f"{_where(figures, int(leads.any(axis=0).sum()))}the fit of the first model, "
        f"{_labels(plan, models)}, is doubtful: the best of these models need not be a good one.",
    )


def _dredging(plan: ComparisonPlan, figures: Figures) -> Diagnostic | None:
    models, rows = len(plan.entries), int(figures.fitted.n.min())
    if models > rows:
        return _note(
            "data_dredging",
            "warning",
            f"{models} models are ranked on {rows} rows: with more models than rows one of them "
            "fits by chance, and weights and p do not know that it was chosen from so many. "
            "Compare the few models that have a reason.",
        )
    if plan.is_catalogue:
        return _note(
            "data_dredging",
            "info",
            f"the first of {models} models was chosen by the same {rows} rows that it is fitted "
            "to; weights and p do not know that. Confirm it with new data.",
        )
    return None


def _exact(plan: ComparisonPlan, figures: Figures) -> Diagnostic | None:
    leads = (figures.ranking.rank == 1) & np.isnan(figures.ranking.weight)
    if not leads.any():
        return None
    groups = leads.any(axis=0)
    models = np.flatnonzero((figures.fitted.exact & groups).any(axis=1)).tolist()
    return _note(
        "exact_models",
        "info",
        f"{_where(figures, int(groups.sum()))}{_labels(plan, models)} "
        + _verb(models, "fits", "fit")
        + " the data exactly, to rounding: without noise there are no likelihoods, weights and "
        "tests. Exact models are first, those with fewer params before others.",
    )


def _few_rows(plan: ComparisonPlan, figures: Figures) -> Diagnostic | None:
    criterion = plan.request.criterion
    values = figures.likelihoods.by(criterion)
    missing = ~np.isfinite(values) & figures.may_lead & ~figures.fitted.exact
    if not missing.any():
        return None
    models = np.flatnonzero(missing.any(axis=1)).tolist()
    return _note(
        "too_few_rows",
        "warning",
        f"{_where(figures, int(missing.any(axis=0).sum()))}{_labels(plan, models)} "
        + _verb(models, f"has no {criterion}, and is", f"have no {criterion}, and are")
        + " not ranked: "
        + (
            "AICc needs at least k + 2 rows."
            if criterion == "aicc"
            else "no degrees of freedom are left to estimate the noise."
        ),
    )


def _close(plan: ComparisonPlan, figures: Figures) -> Diagnostic | None:
    close = (figures.ranking.rank > 1) & (figures.ranking.delta <= CLOSE)
    if not close.any():
        return None
    groups = int(close.any(axis=0).sum())
    models = np.flatnonzero(close.any(axis=1)).tolist()
    return _note(
        "close_models",
        "info",
        f"{_where(figures, groups)}{_labels(plan, models)} "
        + _verb(models, "is", "are")
        + f" within {CLOSE:g} of the first model: these data do not tell them apart.",
    )
