"""What a comparison is made of: the fits of all models in all groups, as arrays, and their tests.

A comparison without groups has one group. Arrays are (models, groups), in the order of the plan's
entries.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from service.engine.inference.comparison import (
    Likelihoods,
    Noise,
    Ranking,
    Test,
    f_test,
    lack_of_fit,
    likelihood_ratio,
    likelihoods,
    of_criteria,
    pure_error,
    ranking,
)
from service.engine.inference.likelihood import saturated
from service.engine.inference.nesting import nested
from service.engine.kernel.statistics import ROUNDING
from service.engine.kernel.types import Bools, Floats, Ints
from service.fitting.comparison.plan import ComparisonPlan, Entry
from service.fitting.comparison.run import Done
from service.schemas.comparisons import Nested, TestName
from service.schemas.grouped import GroupedFit
from service.schemas.names import StopReason, Verdict

NOT_FITTED: Verdict = "untrustworthy"
"""The verdict on a model that was not fitted before the comparison was stopped."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """The fits of all models: what the criteria and tests need of them."""

    rss: Floats
    """NaN for a fit that failed."""
    free: Ints
    """(models,)"""
    n: Ints
    """Rows, (groups,); where curves are compared, those of all groups, (1,)."""
    verdicts: list[list[Verdict]]
    reasons: list[list[StopReason]]
    codes: list[list[list[str]]]
    """The diagnostics of each fit."""
    exact: Bools
    """Whether the residuals are only rounding errors, (models, groups), although rows are left to
    estimate the noise; their RSS is 0."""

    @property
    def degrees(self) -> Ints:
        """Degrees of freedom, (models, groups)."""
        found: Ints = self.n - self.free.reshape(-1, 1)
        return found


def fitted(plan: ComparisonPlan, fits: Sequence[Done | None], stopped: StopReason) -> Fitted:
    """The arrays of those fits; `stopped` is the reason for those that were not begun."""
    first = plan.entries[0].plan.task.fits
    n = first.sizes.numpy()
    if plan.request.compares_curves:
        n = n.sum(keepdims=True)
    groups = len(n)
    rss, verdicts, reasons = [], [], []
    codes: list[list[list[str]]] = []
    for fit in fits:
        if fit is None:
            rss.append(np.full(groups, np.nan))
            verdicts.append([NOT_FITTED] * groups)
            reasons.append([stopped] * groups)
            codes.append([[] for _ in range(groups)])
        elif isinstance(fit, GroupedFit) and plan.request.compares_curves:
            rss.append(np.array([_total(fit, int(n[0]))]))
            verdicts.append([fit.verdict])
            reasons.append([fit.stop_reason])
            codes.append([[each.code for each in fit.diagnostics]])
        elif isinstance(fit, GroupedFit):
            rss.append(n * np.array(fit.groups.loss, dtype=np.float64))
            verdicts.append(list(fit.groups.verdict))
            reasons.append(list(fit.groups.stop_reason))
            codes.append([list(each) for each in fit.groups.diagnostics])
        else:
            is_last = fit.predict.params == fit.params
            rss.append(n * np.array([fit.loss if is_last else fit.best.loss]))
            verdicts.append([fit.verdict])
            reasons.append([fit.stop_reason])
            codes.append([[each.code for each in fit.diagnostics]])
    free = np.array([entry.free for entry in plan.entries])
    total = np.stack(rss)
    total = np.where(np.isfinite(total), total, np.nan)
    is_rounding = total <= (ROUNDING * _sizes(plan.entries[0])) ** 2
    if has_own_noise(plan):
        is_rounding = np.zeros_like(is_rounding)
    total = np.where(is_rounding, 0.0, total)
    exact = is_rounding & (n > free.reshape(-1, 1))
    return Fitted(total, free, n, verdicts, reasons, codes, exact)


def has_own_noise(plan: ComparisonPlan) -> bool:
    """Whether each model has a noise that follows from its fit."""
    return plan.entries[0].problem.noise is not None


def _criteria(fits: Sequence[Done | None]) -> tuple[Floats, Floats]:
    """AIC and BIC of fits, (models, 1) each; NaN where there is none."""
    found = np.full((2, len(fits), 1), np.nan)
    for i, fit in enumerate(fits):
        whole = None if fit is None else fit.statistics
        if whole is not None and whole.aic is not None and whole.bic is not None:
            found[:, i, 0] = whole.aic, whole.bic
    return found[0], found[1]


def _total(fit: GroupedFit, rows: int) -> float:
    """The RSS over all groups; NaN where one of them could not be fitted."""
    whole = fit.statistics
    return math.nan if whole is None or whole.n < rows else rows * whole.loss


class Pair(NamedTuple):
    """A smaller and a larger model, as positions, and how the nesting is known."""

    smaller: int
    larger: int
    nested: Nested
    lost: tuple[str, ...] = ()
    """Params of the larger one that the smaller one leaves undetermined."""


def pairs(plan: ComparisonPlan) -> list[Pair]:
    """The pairs of nested models; every pair where tests are asked for between models given."""
    if not {"f", "lrt"} & set(plan.tests):
        return []
    declared = set(map(tuple, plan.request.nested))
    every = plan.request.tests is not None and not plan.is_catalogue
    found = []
    entries = list(enumerate(plan.entries))
    by_size = sorted(entries, key=lambda item: len(item[1].problem.free_params))
    for a, (i, smaller) in enumerate(by_size):
        for j, larger in by_size[a + 1 :]:
            if smaller.shared is not None and larger.shared is not None:
                found += _pair_of_curves(i, smaller.shared, j, larger.shared)
                continue
            pair = _pair(i, smaller, j, larger, declared)
            if every or pair.nested != "no":
                found.append(pair)
    return found


def _pair(i: int, smaller: Entry, j: int, larger: Entry, declared: set[tuple[str, ...]]) -> Pair:
    known = None
    if smaller.plan.request.scaling == larger.plan.request.scaling:
        known = nested(smaller.problem, larger.problem)
    if (smaller.label, larger.label) in declared:
        return Pair(i, j, "declared", () if known is None else known.lost)
    return Pair(i, j, "no") if known is None else Pair(i, j, "proved", known.lost)


def _pair_of_curves(i: int, one: frozenset[str], j: int, other: frozenset[str]) -> list[Pair]:
    """The one that shares more is nested in the other."""
    if one > other:
        return [Pair(i, j, "proved")]
    return [Pair(j, i, "proved")] if other > one else []


class Tested(NamedTuple):
    """A test of one pair, or of one model for lack of fit, in each group."""

    test: TestName
    pair: Pair | None
    model: int
    """The smaller model."""
    results: list[Test]


@dataclass(frozen=True, eq=False)
class Figures:
    """The whole comparison as arrays."""

    fitted: Fitted
    likelihoods: Likelihoods
    ranking: Ranking
    tests: list[Tested]
    failed: Mapping[int, Mapping[int, int]]
    """Models whose fit is worse than that of a model nested in them: model -> group -> that one."""
    may_lead: Bools


def figures(plan: ComparisonPlan, fits: Sequence[Done | None], stopped: StopReason) -> Figures:
    """The criteria, the order and the tests."""
    found = fitted(plan, fits, stopped)
    known = plan.entries[0].problem.sigma_absolute
    noise = Noise(log_sigma(plan.entries[0]), known, saturated_of(plan.entries[0]))
    criteria = likelihoods(found.rss, found.n, found.free, noise)
    if has_own_noise(plan):
        criteria = of_criteria(*_criteria(fits), found.n)
    tests = _tests(plan, found, criteria, known=known)
    failed: dict[int, dict[int, int]] = {}
    for each in tests:
        for group, result in enumerate(each.results):
            if result.failed and each.pair is not None:
                failed.setdefault(each.pair.larger, {})[group] = each.pair.smaller
    may_lead = np.array([[v != "untrustworthy" for v in row] for row in found.verdicts])
    is_failed = np.zeros(may_lead.shape, dtype=np.bool_)
    for model, groups in failed.items():
        is_failed[model, list(groups)] = True
    labels = [entry.label for entry in plan.entries]
    alphabetic = np.array([sorted(labels).index(label) for label in labels])
    values = criteria.by(plan.request.criterion)
    if not known:
        # Without residuals the likelihood has no maximum: it grows without limit as σ falls.
        values = np.where(found.exact, -np.inf, values)
    ranked = ranking(values, may_lead, is_failed, (criteria.k[:, 0], alphabetic))
    return Figures(found, criteria, ranked, tests, failed, may_lead & ~is_failed)


def _tests(
    plan: ComparisonPlan, found: Fitted, criteria: Likelihoods, *, known: bool
) -> list[Tested]:
    every, groups, tests = pairs(plan), range(len(found.n)), []
    for name in plan.tests:
        if name == "lack_of_fit":
            for i, entry in enumerate(plan.entries):
                results = [_lack_of_fit(entry, found, i, group) for group in groups]
                tests.append(Tested(name, None, i, results))
            continue
        for pair in every:
            results = [
                _compared(plan, name, pair, found, criteria, group, known=known) for group in groups
            ]
            tests.append(Tested(name, pair, pair.smaller, results))
    return tests


def _compared(
    plan: ComparisonPlan,
    name: Literal["f", "lrt"],
    pair: Pair,
    found: Fitted,
    criteria: Likelihoods,
    group: int,
    *,
    known: bool,
) -> Test:
    smaller, larger = (plan.entries[each].label for each in (pair.smaller, pair.larger))
    if pair.nested == "no":
        if found.free[pair.smaller] == found.free[pair.larger]:
            return Test(
                reason=f"both have {found.free[pair.smaller]} free params, so neither is nested in "
                f"the other; compare them by {plan.request.criterion}"
            )
        return Test(
            reason=f"'{smaller}' is not known to be a special case of '{larger}'; compare them by "
            f"{plan.request.criterion}, or declare it in `nested` if you know that it is"
        )

    if found.free[pair.smaller] >= found.free[pair.larger]:
        return Test(
            reason="the groups have too few rows for their own params, which leaves both as many"
        )

    def of(model: int) -> tuple[float, int]:
        return float(found.rss[model, group]), int(found.degrees[model, group])

    if name == "f":
        result = f_test(of(pair.smaller), of(pair.larger), known=known)
    else:

        def likelihood(model: int) -> tuple[float, float, int]:
            fit = float(criteria.log_likelihood[model, group])
            rss = math.nan if has_own_noise(plan) else float(found.rss[model, group])
            return rss, fit, int(criteria.k[model, 0])

        result = likelihood_ratio(likelihood(pair.smaller), likelihood(pair.larger))
    if result.p is not None and pair.lost:
        lost = ", ".join(pair.lost)
        return replace_reason(
            result,
            f"where the models are equal, {lost} has no effect, so p is only approximate "
            "(Davies, Biometrika 74 (1987) 33)",
        )
    return result


def replace_reason(test: Test, reason: str) -> Test:
    """The test with a remark."""
    return Test(test.statistic, test.df1, test.df2, test.p, reason, test.failed)


def _lack_of_fit(entry: Entry, found: Fitted, model: int, group: int) -> Test:
    problem, fits = entry.problem.double(), entry.plan.task.fits
    rows = slice(None) if entry.shared is not None else slice(*fits.spans[:, group].tolist())
    inputs = [problem.columns[name][rows].cpu().numpy() for name in problem.formula.inputs]
    if entry.shared is not None:
        inputs.append(np.repeat(np.arange(len(fits), dtype=np.float64), fits.sizes.numpy()))
    sigma = None if problem.sigma is None else problem.sigma[rows].cpu().numpy()
    error = pure_error(inputs, problem.target[rows].cpu().numpy(), sigma)
    return lack_of_fit(float(found.rss[model, group]), int(found.free[model]), error)


def saturated_of(entry: Entry) -> Floats | None:
    """Of a likelihood, the log-likelihood of the targets as means in each group, (groups,), and of
    all where curves are compared."""
    problem, fits = entry.problem.double(), entry.plan.task.fits
    if problem.loss.likelihood is None:
        return None
    found = saturated(problem, fits)
    return found if entry.shared is None else found.sum(keepdims=True)


def log_sigma(entry: Entry) -> Floats:
    """Σ log σ in each group, (groups,), and of all where curves are compared; 0 without `sigma`
    and for counts."""
    sigma = entry.problem.sigma
    if sigma is None or entry.problem.loss.likelihood is not None:
        return np.zeros(1 if entry.shared is not None else len(entry.plan.task.fits))
    sums = np.concatenate([[0.0], np.cumsum(np.log(sigma.double().cpu().numpy()))])
    if entry.shared is not None:
        return sums[-1:]
    begin, end = entry.plan.task.fits.spans.numpy()
    found: Floats = sums[end] - sums[begin]
    return found


def _sizes(entry: Entry) -> Floats:
    """‖y/σ‖ of each group, (groups,), or of all where curves are compared."""
    problem = entry.problem.double()
    z = problem.target.cpu().numpy()
    if problem.sigma is not None:
        z = z / problem.sigma.cpu().numpy()
    if entry.shared is not None:
        return np.array([np.linalg.norm(z)])
    spans = entry.plan.task.fits.spans.numpy().T
    return np.array([np.linalg.norm(z[begin:end]) for begin, end in spans])
