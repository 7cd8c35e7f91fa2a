"""Converts the fits of a comparison to the response body."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from service.engine.inference.comparison import WORSE, Test
from service.fitting.answer import dropped, to_model
from service.fitting.comparison.figures import Figures, Tested, figures
from service.fitting.comparison.notes import notes, verdict
from service.fitting.comparison.plan import ComparisonPlan, Entry
from service.fitting.comparison.run import Done
from service.fitting.row_filter import rows_used
from service.schemas import comparisons as wire
from service.schemas.answers import Diagnostic, Fit, TiedParam, Timings
from service.schemas.grouped import GroupedFit
from service.schemas.names import Status, StopReason, Verdict


def to_compared(
    plan: ComparisonPlan, fits: Sequence[Done | None], *, job_id: str, timings: Timings
) -> wire.Comparison | wire.GroupedComparison:
    """The response body of a comparison; None is a fit that was not begun."""
    reason = _reason(fits)
    found = figures(plan, fits, reason)
    diagnostics = notes(plan, found)
    first = plan.entries[0]
    status: Status = "cancelled" if reason == "cancelled" else "succeeded"
    common: dict[str, Any] = {
        "job_id": job_id,
        "status": status,
        "stop_reason": reason,
        "criterion": plan.request.criterion,
        "likelihood": None if plan.request.likelihood is None else plan.request.likelihood.name,
        "target": first.problem.formula.target,
        "skipped": list(plan.skipped),
        "diagnostics": diagnostics,
        "verdict": (whole := verdict(diagnostics)),
        "trustworthy": whole == "trustworthy",
        "dropped": dropped(first.plan, plan.dropped),
        "rows": rows_used(plan.request),
        "timings": timings,
        "urls": wire.ComparisonUrls(
            self=(path := f"/jobs/{job_id}"),
            events=f"{path}/events",
            cancel=f"{path}/cancel",
            plot=f"{path}/plot/comparison.svg",
        ),
    }
    if first.plan.groups is None or plan.request.compares_curves:
        return _single(plan, fits, found, common)
    return _grouped(plan, fits, found, common)


def _reason(fits: Sequence[Done | None]) -> StopReason:
    """`converged` if every fit has ended by itself; else why the comparison was stopped."""
    last = next((fit for fit in reversed(fits) if fit is not None), None)
    stopped = "cancelled" if last is None else last.stop_reason
    if stopped in ("cancelled", "time_limit"):
        return stopped
    return "time_limit" if fits[-1] is None else "converged"


def _single(
    plan: ComparisonPlan, fits: Sequence[Done | None], found: Figures, common: dict[str, Any]
) -> wire.Comparison:
    order = found.ranking.order[:, 0].tolist()
    models = [_model(plan, fits[i], found, i) for i in order]
    return wire.Comparison(
        **common,
        n=int(found.fitted.n[0]),
        best=next((model.label for model in models if model.rank == 1), None),
        models=models,
        tests=[_test(plan, each) for each in found.tests],
    )


def _model(plan: ComparisonPlan, fit: Done | None, found: Figures, i: int) -> wire.ComparedModel:
    entry, likelihoods, ranking = plan.entries[i], found.likelihoods, found.ranking
    diagnostics = [] if fit is None else list(fit.diagnostics)
    own: Verdict = found.fitted.verdicts[i][0]
    if i in found.failed:
        own = "untrustworthy"
        smaller = plan.entries[found.failed[i][0]].label
        text = f"{WORSE}: see '{smaller}'."
        diagnostics.append(Diagnostic(code="failed_larger_model", severity="error", message=text))
    return wire.ComparedModel(
        label=entry.label,
        index=entry.index,
        model=to_model(entry.problem),
        rank=int(ranking.rank[i, 0]) or None,
        params={} if fit is None else _params(fit),
        stderr=None if fit is None else _stderr(fit),
        n=int(found.fitted.n[0]),
        k=int(likelihoods.k[i, 0]),
        rss=_number(found.fitted.rss[i, 0]),
        degrees_of_freedom=int(found.fitted.degrees[i, 0]),
        log_likelihood=_number(likelihoods.log_likelihood[i, 0]),
        aic=_number(likelihoods.aic[i, 0]),
        aicc=_number(likelihoods.aicc[i, 0]),
        bic=_number(likelihoods.bic[i, 0]),
        delta=_number(ranking.delta[i, 0]),
        weight=_number(ranking.weight[i, 0]),
        residual_std=None if fit is None or fit.statistics is None else fit.statistics.residual_std,
        r_squared=None if fit is None or fit.statistics is None else fit.statistics.r_squared,
        status=_status(found.fitted.reasons[i][0], fit),
        stop_reason=found.fitted.reasons[i][0],
        verdict=own,
        trustworthy=own == "trustworthy",
        diagnostics=diagnostics,
        report=fit.report if isinstance(fit, Fit) else None,
        noise=fit.noise if isinstance(fit, Fit) else None,
        predict=fit.predict if isinstance(fit, Fit) else None,
        shared=None if entry.shared is None else _shared(entry),
        groups=fit.groups if isinstance(fit, GroupedFit) else None,
    )


def _status(reason: StopReason, fit: Done | None) -> Status:
    return "cancelled" if fit is None or reason == "cancelled" else "succeeded"


def _test(plan: ComparisonPlan, tested: Tested) -> wire.ModelTest:
    return wire.ModelTest(**_head(plan, tested), **_result(tested.results[0]))


def _head(plan: ComparisonPlan, tested: Tested) -> dict[str, Any]:
    pair = tested.pair
    return {
        "test": tested.test,
        "null": plan.entries[tested.model].label,
        "alternative": None if pair is None else plan.entries[pair.larger].label,
        "nested": None if pair is None else pair.nested,
    }


def _result(test: Test) -> dict[str, Any]:
    return {
        "statistic": test.statistic,
        "df1": test.df1,
        "df2": test.df2,
        "p": test.p,
        "reason": test.reason,
    }


def _shared(entry: Entry) -> list[str]:
    task = entry.plan.task
    return [task.problem.params[i] for i in task.shared or ()]


def _stderr(fit: Done) -> dict[str, float] | None:
    if isinstance(fit, Fit):
        return fit.statistics.stderr
    return None if fit.shared is None else fit.shared.stderr


def _params(fit: Done) -> dict[str, float]:
    """The params that predictions use, with those that are computed from others; of groups, those
    that they share."""
    if isinstance(fit, GroupedFit):
        return {} if fit.shared is None else fit.shared.params
    used = {name: v for name, v in fit.predict.params.items() if not isinstance(v, TiedParam)}
    return {**fit.params, **used}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _grouped(
    plan: ComparisonPlan, fits: Sequence[Done | None], found: Figures, common: dict[str, Any]
) -> wire.GroupedComparison:
    groups = plan.entries[0].plan.groups
    assert groups is not None
    leads = (found.ranking.rank == 1).sum(axis=1)
    order = sorted(range(len(plan.entries)), key=lambda i: (-leads[i], plan.entries[i].label))
    best: list[str | None] = [None] * len(groups.keys)
    for i, group in zip(*(found.ranking.rank == 1).nonzero(), strict=True):
        best[group] = plan.entries[i].label
    return wire.GroupedComparison.model_construct(
        **common,
        **groups.written(),
        n=found.fitted.n.tolist(),
        best=best,
        models=[_columns(plan, fits[i], found, i, int(leads[i])) for i in order],
        tests=[
            wire.GroupedTest.model_construct(**_head(plan, each), **_results(each))
            for each in found.tests
        ],
    )


def _columns(
    plan: ComparisonPlan, fit: Done | None, found: Figures, i: int, leads: int
) -> wire.GroupedModel:
    assert fit is None or isinstance(fit, GroupedFit)
    entry, likelihoods, ranking = plan.entries[i], found.likelihoods, found.ranking
    verdicts, codes = list(found.fitted.verdicts[i]), [list(c) for c in found.fitted.codes[i]]
    for group in found.failed.get(i, ()):
        verdicts[group] = "untrustworthy"
        codes[group].append("failed_larger_model")
    nothing = [math.nan] * len(verdicts)
    return wire.GroupedModel.model_construct(
        label=entry.label,
        index=entry.index,
        model=to_model(entry.problem),
        k=int(likelihoods.k[i, 0]),
        leads=leads,
        rank=[rank or None for rank in ranking.rank[i].tolist()],
        params=dict.fromkeys(entry.problem.params, nothing) if fit is None else fit.groups.params,
        stderr=dict.fromkeys(entry.problem.free_params, nothing)
        if fit is None
        else fit.groups.stderr,
        rss=found.fitted.rss[i].tolist(),
        degrees_of_freedom=found.fitted.degrees[i].tolist(),
        log_likelihood=likelihoods.log_likelihood[i].tolist(),
        aic=likelihoods.aic[i].tolist(),
        aicc=likelihoods.aicc[i].tolist(),
        bic=likelihoods.bic[i].tolist(),
        delta=ranking.delta[i].tolist(),
        weight=ranking.weight[i].tolist(),
        stop_reason=found.fitted.reasons[i],
        verdict=verdicts,
        diagnostics=codes,
        report=None if fit is None else fit.groups.report,
    )


def _results(tested: Tested) -> dict[str, Any]:
    return {
        "statistic": [math.nan if t.statistic is None else t.statistic for t in tested.results],
        "df1": [t.df1 for t in tested.results],
        "df2": [t.df2 for t in tested.results],
        "p": [math.nan if t.p is None else t.p for t in tested.results],
        "reason": [t.reason for t in tested.results],
    }
