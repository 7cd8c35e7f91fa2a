"""The parts of reports on a bootstrap, a coverage, a design, and the report of draws."""

from __future__ import annotations

import math

from service.render.cells import clipped, visible
from service.render.digits import counted, number
from service.render.page import Page
from service.schemas.answers import Fit
from service.schemas.draws import Draws
from service.schemas.resampled import Bootstrap, Coverage, Design
from service.schemas.series import Array

_MOST = 10
_LONGEST_NAME = 24
_KINDS = {
    "residual": "residuals drawn",
    "case": "rows drawn",
    "parametric": "normal noise",
    "wild": "residuals with random signs",
}


def write_resampling(page: Page, fit: Fit) -> None:
    """What there is of them."""
    interval = fit.statistics.confidence_interval
    if interval is not None and interval.bootstrap is not None:
        drawn = _KINDS[interval.bootstrap.kind]
        if fit.statistics.likelihood is not None and interval.bootstrap.kind == "parametric":
            drawn = "counts drawn from the likelihood"
        _bootstrap(page, interval.bootstrap, drawn)
    if fit.coverage is not None:
        _coverage(page, fit.coverage)
    if fit.design is not None:
        _design(page, fit.design)


def _bootstrap(page: Page, found: Bootstrap, drawn: str) -> None:
    page.heading("Bootstrap")
    made = counted(found.made, "replicate")
    if found.made < found.replicates:
        made = f"{found.made:,} of {counted(found.replicates, 'replicate')}"
    failed = f", {found.failed:,} failed" if found.failed else ""
    page.text(f"{made}{failed}; {drawn}; {found.interval} intervals.")
    rows = [("", "± error", "bias")]
    for name, error in found.stderr.items():
        shown = clipped(visible(name), _LONGEST_NAME)
        rows.append((shown, number(error, 4), number(found.bias[name], 3)))
    page.table(rows, "<>>", headed=True)


def _coverage(page: Page, found: Coverage) -> None:
    page.heading("Coverage")
    page.text(
        f"{counted(found.simulated, 'data set')} simulated at this fit; {100 * found.level:g} % "
        f"intervals by {found.method}."
    )
    rows = [("", "contain the param")]
    for name, share in found.coverage.items():
        said = "no interval"
        if not math.isnan(share):
            said = f"{100 * share:.1f} % ± {100 * found.stderr[name]:.1f}"
        rows.append((clipped(visible(name), _LONGEST_NAME), said))
    page.table(rows, "<>", headed=True)


def _design(page: Page, found: Design) -> None:
    page.heading("The next reading")
    if found.of is None:
        page.text("Volume of the confidence region of all params, relative to now; best first.")
    else:
        now = "" if found.stderr_now is None else f", now {number(found.stderr_now, 4)}"
        page.text(f"Standard error of {visible(found.of)} after it{now}; best first.")
    heads = [*map(visible, found.candidates), "relative volume"]
    columns = [*found.candidates.values(), found.volume]
    if found.stderr is not None:
        heads, columns = [*heads, "± error"], [*columns, found.stderr]
    rows = [[number(column[i], 5) for column in columns] for i in range(min(_MOST, _length(found)))]
    page.table([heads, *rows], ">" * len(heads), headed=True)
    if _length(found) > _MOST:
        page.text(
            f"… and {counted(_length(found) - _MOST, 'candidate')} more; ?format=json has all"
        )


def _length(found: Design) -> int:
    return len(found.volume)


def write_draws(page: Page, found: Draws) -> None:
    """The quantiles of each column."""
    page.heading(f"{counted(len(found.replicate), 'replicate')}, {_KINDS[found.kind]}")
    rows: list[tuple[str, ...]] = [("", "2.5 %", "50 %", "97.5 %", "failed")]
    for name, column in {**found.params, **found.report}.items():
        good = sorted(value for value in column.tolist() if math.isfinite(value))
        ends = [_quantile(good, part) for part in (0.025, 0.5, 0.975)]
        failed = f"{len(column) - len(good):,}"
        rows.append((clipped(visible(name), _LONGEST_NAME), *(number(e, 5) for e in ends), failed))
    page.table(rows, "<>>>>", headed=True)
    page.text("?format=csv has them all, ?format=arrow too.")


def _quantile(values: list[float], part: float) -> float:
    """By linear interpolation at (n + 1)·part, as in the intervals."""
    if not values:
        return math.nan
    at = min(max((len(values) + 1) * part, 1.0), float(len(values))) - 1
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (at - low) * (values[high] - values[low])


def draws_table(found: Draws) -> dict[str, Array]:
    """The columns of draws; a report with the name of a param does not exist."""
    return {"replicate": found.replicate, **found.params, **found.report}
