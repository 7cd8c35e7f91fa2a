"""The report of a fit: the model, how it ended, the params, statistics and diagnostics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

from service.render import characters
from service.render.cells import clipped, visible
from service.render.digits import counted, joined, number, uncertain
from service.render.page import Colour, Page
from service.render.report_noise import words as noise_words
from service.render.report_noise import write_noise
from service.render.report_prior import write_prior
from service.render.report_reading import write_reading
from service.render.report_resampling import write_resampling
from service.render.scene import Scene
from service.render.views.loss import loss_of_fit
from service.schemas.answers import Diagnostic, Fit, Report
from service.schemas.names import Severity, StopReason, Verdict
from service.schemas.statistics import ConfidenceInterval

Units = Mapping[str, str]

ENDINGS: Mapping[StopReason, str] = {
    "converged": "converged after {epochs}",
    "max_epochs": "ended after {epochs}, the most allowed",
    "diverged": "diverged after {epochs}",
    "stalled": "stalled after {epochs}: no step lowered the loss further",
    "time_limit": "reached its time limit after {epochs}",
    "cancelled": "was cancelled after {epochs}",
}
MARKS: Mapping[Severity, tuple[str, Colour]] = {
    "error": ("✗", "red"),
    "warning": ("!", "yellow"),
    "info": ("·", "dim"),
}
COLOURS: Mapping[Verdict, Colour] = {
    "trustworthy": "green",
    "doubtful": "yellow",
    "untrustworthy": "red",
}
_LONGEST_NAME = 24
_MOST_PARAMS = 40
_MOST_CORRELATIONS = 6
_STRONG = 0.5


def write(page: Page, fit: Fit, units: Units, scene: Scene | None) -> None:
    """The whole report."""
    units = {**fit.units, **units}
    page.heading(fit.model.formula)
    page.space()
    page.text(_model_and_end(fit))
    write_reading(page, fit.reading)
    page.text(_trust(fit), colour=COLOURS[fit.verdict])
    _params(page, fit, units)
    if fit.report:
        write_report(page, fit.report, "Report")
    write_noise(page, fit)
    write_prior(page, fit)
    write_resampling(page, fit)
    _statistics(page, fit, units)
    _diagnostics(page, fit.diagnostics)
    _charts(page, fit, scene)


def _model_and_end(fit: Fit) -> str:
    rows = counted(fit.statistics.n, "row")
    if fit.rows is not None:
        rows = f"{fit.rows.used:,} of {counted(fit.rows.of, 'row')}"
    ending = ENDINGS[fit.stop_reason].format(epochs=counted(fit.epochs, "epoch"))
    said = f"{rows}. {fit.optimizer} {ending}."
    if fit.optimizer == "exact" and fit.converged:
        said = f"{rows}, solved exactly."
    if fit.dropped is not None:
        gone = counted(fit.dropped.count, "row")
        said += f" {gone} with a missing value or of weight 0 were left out."
    return said


def _trust(fit: Fit) -> str:
    count = len(reasons(fit))
    if fit.verdict == "untrustworthy":
        return f"Untrustworthy: {counted(max(count, 1), 'error')} below."
    if fit.verdict == "doubtful":
        return f"Doubtful: {counted(count, 'warning')} below."
    return "Trustworthy."


def reasons(fit: Fit) -> list[str]:
    """The codes of the diagnostics that determine the verdict."""
    severity = {"untrustworthy": "error", "doubtful": "warning", "trustworthy": ""}[fit.verdict]
    return [found.code for found in fit.diagnostics if found.severity == severity]


# --- params ---------------------------------------------------------------------------------------


def _params(page: Page, fit: Fit, units: Units) -> None:
    shown = fit.shown
    page.heading("Params")
    _param_table(page, shown, fit.statistics.stderr, fit.statistics.confidence_interval, units)
    if len(shown) > _MOST_PARAMS:
        page.text(f"… and {len(shown) - _MOST_PARAMS:,} more")
    if not _same(shown, fit.params):
        last = ", ".join(f"{n} = {number(v, 4)}" for n, v in list(fit.params.items())[:6])
        page.text(
            f"These are the best, of epoch {fit.best.epoch:,}. The last were {last}, with a loss "
            f"of {number(fit.loss, 4)}."
        )
    for name, text in fit.model.expressions.items():
        page.text(f"{name} = {text}")
    if fit.statistics.stderr is not None and fit.statistics.covariance_kind != "expected":
        page.text(f"The errors are from the {fit.statistics.covariance_kind} covariance.")
    if fit.statistics.stderr is None and fit.statistics.covariance_reason:
        page.text(f"No standard errors: {fit.statistics.covariance_reason.rstrip('.')}.")
    _correlations(page, fit)
    raw = fit.params_unscaled
    if raw is not None and not _same(raw.values, fit.params):
        page.heading("Params in raw units")
        _param_table(page, raw.values, raw.stderr, None, {})


def _param_table(
    page: Page,
    values: Mapping[str, float],
    stderr: Mapping[str, float] | None,
    interval: ConfidenceInterval | None,
    units: Units,
) -> None:
    names = list(values)[:_MOST_PARAMS]
    columns = [[clipped(visible(name), _LONGEST_NAME) for name in names]]
    pairs = [uncertain(values[name], (stderr or {}).get(name)) for name in names]
    columns += [[ours for ours, _ in pairs]]
    columns += [[_error(n, e, stderr) for n, (_, e) in zip(names, pairs, strict=True)]]
    heads, sides = ["", "value", "± error" if stderr else ""], "<><"
    if any(name in units for name in names):
        columns.append([clipped(visible(units.get(name, "")), 12) for name in names])
        heads, sides = [*heads, "unit"], sides + "<"
    if interval is not None:
        columns.append(_intervals(names, stderr or {}, interval))
        by = "" if interval.method == "t" else f" by {interval.method}"
        heads, sides = [*heads, f"{100 * interval.level:.10g} % interval{by}"], sides + "<"
    rows = list(zip(*columns, strict=True))
    page.table([heads, *rows], sides, headed=True)


def write_report(page: Page, found: Mapping[str, Report], title: str) -> None:
    """The derived quantities, and why one of them has no error or no limit."""
    rows = []
    for name, each in found.items():
        value, error = uncertain(math.nan if each.value is None else each.value, each.stderr)
        ends = [
            "none" if end is None else uncertain(end, each.stderr)[0]
            for end in (each.lower, each.upper)
        ]
        interval = "" if each.lower is each.upper is None else " … ".join(ends)
        shown = clipped(visible(name), _LONGEST_NAME)
        rows.append((shown, value, f"± {error}" if error else "", interval, each.method))
    level = next(iter(found.values())).level
    page.heading(title)
    heads = ("", "value", "± error", f"{100 * level:.10g} % interval", "method")
    page.table([heads, *rows], "<><<<", headed=True)
    for name, each in found.items():
        if each.reason:
            page.text(f"{name}: {each.reason}.")


def _error(name: str, error: str, stderr: Mapping[str, float] | None) -> str:
    if stderr is not None and name not in stderr:
        return "fixed"
    return f"± {error}" if error else ""


def _intervals(
    names: Sequence[str], stderr: Mapping[str, float], interval: ConfidenceInterval
) -> list[str]:
    lower = [_end(interval.lower.get(name), stderr.get(name)) for name in names]
    upper = [_end(interval.upper.get(name), stderr.get(name)) for name in names]
    wide = max(map(len, lower))
    return [f"{a:>{wide}} … {b}" if a else "" for a, b in zip(lower, upper, strict=True)]


def _end(end: float | None, error: float | None) -> str:
    if end is None:
        return ""
    return "none" if math.isnan(end) else uncertain(end, error)[0]


def _same(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return all(value == other.get(name) for name, value in one.items())


def _correlations(page: Page, fit: Fit) -> None:
    matrix = fit.statistics.correlation
    if matrix is None or len(matrix) < 2 or len(matrix) > _MOST_PARAMS:
        return
    pairs = [(a, b, matrix[a][b]) for a, b in combinations(matrix, 2)]
    strong = sorted((p for p in pairs if abs(p[2]) >= _STRONG), key=lambda p: -abs(p[2]))
    if not strong:
        return
    said = ", ".join(
        f"{clipped(a, _LONGEST_NAME)} and {clipped(b, _LONGEST_NAME)} {value:.3f}"
        for a, b, value in strong[:_MOST_CORRELATIONS]
    )
    more = len(strong) - _MOST_CORRELATIONS
    page.space()
    page.text(f"Correlated: {said}{f', and {more} more' if more > 0 else ''}.")


# --- statistics and diagnostics -------------------------------------------------------------------


def _statistics(page: Page, fit: Fit, units: Units) -> None:
    found = fit.statistics
    unit = f" {visible(units[fit.model.target])}" if fit.model.target in units else ""
    std = number(found.residual_std, 4)
    loss = fit.loss if _same(fit.shown, fit.params) else fit.best.loss
    pairs = [
        ("loss", number(loss, 6)),
        ("R²", number(found.r_squared, 6)),
        ("residual std", std + (unit if found.residual_std is not None else "")),
        ("adjusted R²", number(found.adjusted_r_squared, 6)),
        ("degrees of freedom", f"{found.degrees_of_freedom:,}"),
        ("AIC", number(found.aic, 6)),
        ("reduced χ²", number(found.reduced_chi_squared, 4)),
        ("BIC", number(found.bic, 6)),
    ]
    if found.likelihood is not None:
        pairs = [
            ("likelihood", found.likelihood.name),
            ("log-likelihood", number(found.likelihood.log_likelihood, 6)),
            ("deviance", number(found.likelihood.deviance, 6)),
            ("AIC", number(found.aic, 6)),
            ("Pearson's χ²", number(found.likelihood.pearson, 6)),
            ("BIC", number(found.bic, 6)),
            ("degrees of freedom", f"{found.degrees_of_freedom:,}"),
            ("dispersion", number(found.likelihood.dispersion, 4)),
        ]
    page.heading("Statistics")
    rows = [(*pairs[i], "", *pairs[i + 1]) for i in range(0, len(pairs), 2)]
    page.table([[clipped(cell, 24) for cell in row] for row in rows], "<><<>")
    if fit.errors_in_x is not None:
        errors, target = fit.errors_in_x, visible(fit.model.target)
        page.text(
            f"Sum of squares {number(errors.sum_of_squares, 6)}: "
            f"{number(errors.of_target, 6)} from {target}, "
            f"{number(errors.of_inputs, 6)} from the errors of the inputs."
        )


def _diagnostics(page: Page, found: Sequence[Diagnostic]) -> None:
    page.heading("Diagnostics")
    if not found:
        page.text("No issues found.")
        return
    for one in found:
        mark, colour = MARKS[one.severity]
        page.listed(mark, f"{one.code} ({one.severity})", colour)
        page.text(_verdict_text(one.message), indent="    ")
        if one.suggestion:
            page.text("Suggested fix, to be merged into the request:", indent="    ")
            page.patch(one.suggestion, indent="      ")


def _verdict_text(text: str) -> str:
    return text[:1].upper() + text[1:]


# --- charts ---------------------------------------------------------------------------------------


def _charts(page: Page, fit: Fit, scene: Scene | None) -> None:
    if len(fit.history.epoch) > 2:
        page.heading("Loss by epoch")
        page.verbatim(characters.body(loss_of_fit(fit), width=page.width, lines=10))
    if scene is not None:
        page.heading("Fit")
        page.verbatim(characters.body(scene, width=page.width, lines=14))
        for note in scene.notes:
            page.text(note)


def summary(fit: Fit) -> str:
    """A fit in one line: see `oneline`."""
    stderr = fit.statistics.stderr or {}
    words = [f"{n}={joined(v, stderr.get(n))}" for n, v in fit.shown.items()]
    for name, each in (fit.report or {}).items():
        value = math.nan if each.value is None else each.value
        words.append(f"{name}={joined(value, each.stderr)}")
    words += noise_words(fit)
    r_squared = fit.statistics.r_squared
    counts = fit.statistics.likelihood
    if r_squared is not None:
        words.append(f"r2={number(r_squared, 3)}")
    elif counts is not None:
        words.append(f"deviance={number(counts.deviance, 6)}")
    else:
        words.append(f"loss={number(fit.loss, 6)}")
    return " ".join([*words, verdict(fit.verdict, reasons(fit))])


def verdict(said: Verdict, codes: Sequence[str]) -> str:
    """The verdict; where it is not "trustworthy", with the codes that say why."""
    return said if said == "trustworthy" else f"{said}:{','.join(codes)}".rstrip(":")
