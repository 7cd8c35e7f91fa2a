"""What a report, a table or a line says of the noise and of outliers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from service.render.cells import clipped, visible
from service.render.digits import counted, joined, number, uncertain
from service.render.page import Page
from service.schemas.answers import Fit
from service.schemas.grouped import GroupedFit
from service.schemas.noise_answers import FittedNoise, FoundOutliers

_MOST_ROWS = 20
_LONGEST_NAME = 24
_PREFIX = "noise_"
_SCALE = "noise_scale"

Cell = float | int | str | bool | None
Quantities = Mapping[str, tuple[float, float | None]]
"""Values and standard errors by name."""


def quantities(noise: FittedNoise | None) -> Quantities:
    """The params of the noise, or its scale, by the names that tables have for them."""
    if noise is None:
        return {}
    errors = {n: None if math.isnan(e) else e for n, e in (noise.stderr or {}).items()}
    found = {_PREFIX + name: (value, errors.get(name)) for name, value in noise.params.items()}
    return found if noise.scale is None else {**found, _SCALE: (noise.scale, None)}


def with_noise(
    table: dict[str, Sequence[Cell]], noise: FittedNoise | None
) -> dict[str, Sequence[Cell]]:
    """The table of a fit with a row for each of these."""
    found = quantities(noise)
    if not found:
        return table
    rows: dict[str, Sequence[Cell]] = {
        "name": list(found),
        "value": [value for value, _ in found.values()],
        "stderr": [error for _, error in found.values()],
    }
    none = [None] * len(found)
    return {name: [*column, *rows.get(name, none)] for name, column in table.items()}


def write_noise(page: Page, fit: Fit) -> None:
    """The noise of a fit, and its outliers."""
    if fit.noise is not None:
        page.heading("Noise")
        page.text(_noise_text(fit.noise))
        rows = []
        for name, (value, error) in quantities(fit.noise).items():
            shown, spread = uncertain(value, error)
            named = clipped(visible(name.removeprefix(_PREFIX)), _LONGEST_NAME)
            rows.append((named, shown, f"± {spread}" if spread else ""))
        page.table(rows, "<><")
    if fit.outliers is not None:
        page.heading("Outliers")
        page.text(_outliers_text(fit.outliers))
        other = fit.outliers.other
        if other is not None:
            errors = other.stderr or {}
            values = ", ".join(f"{n} {joined(v, errors.get(n))}" for n, v in other.params.items())
            where = "Without them" if other.of == "without_outliers" else "With them"
            page.text(f"{where}: {values}.")


def _noise_text(noise: FittedNoise) -> str:
    rounds = counted(noise.rounds, "round")
    if noise.expr is None:
        return f"Robust scale of the residuals, settled after {rounds}."
    return f"sigma = {visible(noise.expr)}, settled after {rounds}."


def _outliers_text(found: FoundOutliers) -> str:
    of = f"by {found.method.upper()} at a false discovery rate of {100 * found.q:g} %"
    if not found.count:
        return f"No outliers {of}."
    done = "left out of this fit" if found.action == "drop" else "kept in this fit"
    many = counted(found.count, "outlier")
    return f"{many} {of}, {done}: {_row_text(found.rows, found.count)}."


def _row_text(rows: Sequence[int], count: int) -> str:
    listed = ", ".join(map(str, rows[:_MOST_ROWS]))
    return f"row{'s' * (count > 1)} {listed}{', …' if count > _MOST_ROWS else ''}"


def write_noise_of_groups(page: Page, fit: GroupedFit) -> None:
    """The outliers of groups, and a noise that they have in common."""
    noise, outliers = fit.groups.noise, fit.groups.outliers
    if noise is not None:
        model = "a robust scale of the residuals" if noise.expr is None else visible(noise.expr)
        page.text(f"Noise: {model}, settled after {max(noise.rounds, default=0)} rounds at most.")
    if outliers is not None:
        many, groups = sum(outliers.count), sum(count > 0 for count in outliers.count)
        done = "left out" if outliers.action == "drop" else "kept"
        page.text(
            f"{counted(many, 'outlier')} in {counted(groups, 'group')} by "
            f"{outliers.method.upper()}, {done}."
        )


def columns_of_groups(fit: GroupedFit) -> dict[str, Sequence[Cell]]:
    """The columns of the noise and the outliers, one row per group."""
    noise, outliers, count = fit.groups.noise, fit.groups.outliers, len(fit.groups.key)
    found: dict[str, Sequence[Cell]] = {}
    if noise is not None:
        for name, values in noise.params.items():
            found[_PREFIX + name] = _each(values, count)
            found[f"{_PREFIX}{name}_stderr"] = _each(noise.stderr[name], count)
        if noise.scale is not None:
            found[_SCALE] = _each(noise.scale, count)
    if outliers is not None:
        found["outliers"] = outliers.count
        found["outlier_rows"] = [" ".join(map(str, rows)) for rows in outliers.rows]
    return found


def _each(values: Sequence[float], count: int) -> Sequence[float]:
    """One value for each group, also where they have one noise."""
    return list(values) * count if len(values) < count else values


def words(fit: Fit) -> list[str]:
    """The noise and the outliers in a line."""
    found = [f"{n}={joined(value, error)}" for n, (value, error) in quantities(fit.noise).items()]
    if fit.outliers is not None:
        found.append(f"outliers={','.join(map(str, fit.outliers.rows)) or 'none'}")
    return found


def words_of_groups(fit: GroupedFit, group: int) -> list[str]:
    """The same of one of the groups."""
    found = []
    for name, column in columns_of_groups(fit).items():
        value = column[group]
        if isinstance(value, float) and not name.endswith("_stderr"):
            found.append(f"{name}={number(value)}")
    outliers = fit.groups.outliers
    if outliers is not None:
        found.append(f"outliers={','.join(map(str, outliers.rows[group])) or 'none'}")
    return found
