"""The report of fits by group: a row a group, with as many params side by side as fit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from service.render.cells import clipped, visible, width, with_unit
from service.render.digits import counted, joined, number
from service.render.page import Page
from service.render.report_fit import COLOURS, MARKS
from service.render.report_noise import write_noise_of_groups
from service.render.report_reading import write_reading
from service.schemas.grouped import GroupedFit, Groups
from service.schemas.names import Verdict

_MOST_GROUPS = 40
_LONGEST_KEY, _LONGEST_NAME = 20, 32


def write_groups(page: Page, fit: GroupedFit, units: Mapping[str, str]) -> None:
    """The whole report."""
    groups, units = fit.groups, {**fit.units, **units}
    page.heading(fit.model.formula)
    page.space()
    count = len(groups.key)
    how = "" if fit.shared is None else " together"
    by = ", ".join(groups.columns)
    page.text(f"{counted(count, 'group')} by {by}, fitted{how} by {fit.optimizer}.")
    write_reading(page, fit.reading)
    if fit.rows is not None:
        page.text(f"{fit.rows.used:,} of {counted(fit.rows.of, 'row')} are used.")
    write_noise_of_groups(page, fit)
    page.text(_trust(groups.verdict), colour=COLOURS[fit.verdict])
    _shared(page, fit, units)
    for block in _blocks(groups, page.room, units):
        page.space()
        page.table(block, "<" + ">" * (len(block[0]) - 1), headed=True)
    if count > _MOST_GROUPS:
        page.text(f"… and {count - _MOST_GROUPS:,} more; ?format=csv has them all")
    page.heading("Diagnostics")
    for found in fit.diagnostics:
        mark, colour = MARKS[found.severity]
        page.listed(mark, f"{found.code} ({found.severity})", colour)
        page.text(found.message, indent="    ")
        if found.suggestion is not None:
            page.patch(found.suggestion, "    ")
    if not fit.diagnostics:
        page.text("No issues found.")


def _shared(page: Page, fit: GroupedFit, units: Mapping[str, str]) -> None:
    """The shared params, and the statistics over all rows."""
    shared, statistics = fit.shared, fit.statistics
    if shared is not None:
        page.heading("Shared params")
        interval = shared.confidence_interval
        rows = [["", "value", *([f"{100 * interval.level:g} % interval"] if interval else [])]]
        for name, value in shared.params.items():
            cells = [
                with_unit(visible(name), units),
                joined(value, (shared.stderr or {}).get(name)),
            ]
            if interval is not None:
                low, high = interval.lower.get(name), interval.upper.get(name)
                cells.append(f"{number(low, 5)} to {number(high, 5)}")
            rows.append(cells)
        page.table(rows, "<" + ">" * (len(rows[0]) - 1), headed=True)
        if shared.covariance_reason is not None:
            page.text(f"No standard errors: {shared.covariance_reason}.")
    if statistics is not None:
        page.heading("Over all groups")
        counts = statistics.likelihood
        page.text(
            f"Deviance {number(counts.deviance, 6)}, Pearson's χ² {number(counts.pearson, 6)} on "
            f"{statistics.degrees_of_freedom:,} degrees of freedom, "
            f"{counted(statistics.n, 'row')}. AICc {number(statistics.aicc, 6)}."
            if counts is not None
            else f"Residual standard deviation {number(statistics.residual_std, 5)} on "
            f"{statistics.degrees_of_freedom:,} degrees of freedom, "
            f"{counted(statistics.n, 'row')}. R² {number(statistics.r_squared, 4)}, "
            f"AICc {number(statistics.aicc, 6)}."
        )


def _trust(verdicts: Sequence[Verdict]) -> str:
    counts = {verdict: verdicts.count(verdict) for verdict in COLOURS}
    if counts["trustworthy"] == len(verdicts):
        return "All of them are trustworthy."
    parts = [f"{count:,} {verdict}" for verdict, count in counts.items() if count]
    return f"Of them {', '.join(parts)}."


def key_text(key: float | str | None) -> str:
    """The key of a group as text."""
    if key is None:
        return "(none)"
    return visible(key) if isinstance(key, str) else number(key, 15)


def _blocks(groups: Groups, room: int, units: Mapping[str, str]) -> list[list[list[str]]]:
    """Tables with the keys first, then as many columns as fit."""
    shown = range(min(len(groups.key), _MOST_GROUPS))
    keys = [clipped(visible(", ".join(groups.columns)), _LONGEST_KEY)]
    values = groups.values
    keys += [clipped(", ".join(map(key_text, values[i])), _LONGEST_KEY) for i in shown]
    start = max(map(width, keys))
    tables, used = [[keys]], start
    for column in _columns(groups, shown, units):
        wide = max(map(width, column)) + 2
        if used + wide > room and len(tables[-1]) > 1:
            tables.append([keys])
            used = start
        tables[-1].append(column)
        used += wide
    return [[list(row) for row in zip(*columns, strict=True)] for columns in tables]


def _columns(groups: Groups, shown: Sequence[int], units: Mapping[str, str]) -> list[list[str]]:
    columns = [["n", *(f"{groups.n[i]:,}" for i in shown)]]
    for name, values in groups.params.items():
        errors = groups.stderr.get(name, [math.nan] * len(values))
        cells = [joined(values[i], None if math.isnan(errors[i]) else errors[i]) for i in shown]
        columns.append([clipped(with_unit(visible(name), units), _LONGEST_NAME), *cells])
    for name, each in (groups.report or {}).items():
        errors = each.stderr
        cells = [joined(each.value[i], None if math.isnan(errors[i]) else errors[i]) for i in shown]
        columns.append([clipped(with_unit(visible(name), units), _LONGEST_NAME), *cells])
    if groups.likelihood is not None:
        deviance = groups.likelihood.deviance
        columns.append(["deviance", *(number(deviance[i], 5) for i in shown)])
    else:
        columns.append(["R²", *(number(groups.r_squared[i], 3) for i in shown)])
    columns.append(["verdict", *(groups.verdict[i] for i in shown)])
    return columns
