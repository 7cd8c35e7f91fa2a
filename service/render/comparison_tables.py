"""Comparisons of models as tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

from service.schemas.comparisons import (
    Comparison,
    GroupedComparison,
    GroupedTest,
    ModelTest,
)

Cell = float | int | str | bool | None
Table = dict[str, Sequence[Cell]]

_OF_REPORT = (("", "value"), ("_stderr", "stderr"), ("_lower", "lower"), ("_upper", "upper"))


def models_table(found: Comparison) -> Table:
    """One row per model."""
    rows = found.models
    return {
        "rank": [row.rank for row in rows],
        "label": [row.label for row in rows],
        "formula": [row.model.formula for row in rows],
        "n": [row.n for row in rows],
        "k": [row.k for row in rows],
        "rss": [row.rss for row in rows],
        "degrees_of_freedom": [row.degrees_of_freedom for row in rows],
        "log_likelihood": [row.log_likelihood for row in rows],
        "aic": [row.aic for row in rows],
        "aicc": [row.aicc for row in rows],
        "bic": [row.bic for row in rows],
        "delta": [row.delta for row in rows],
        "weight": [row.weight for row in rows],
        "r_squared": [row.r_squared for row in rows],
        "residual_std": [row.residual_std for row in rows],
        "stop_reason": [row.stop_reason for row in rows],
        "verdict": [row.verdict for row in rows],
        "diagnostics": [" ".join(each.code for each in row.diagnostics) for row in rows],
        **_tested(found.tests, [(row.label, None) for row in rows]),
        **_reported(found),
    }


def _tested(
    tests: Sequence[ModelTest] | Sequence[GroupedTest], rows: Sequence[tuple[str, int | None]]
) -> Table:
    """The statistic and p of each test, in the rows of the model that is tested: the smaller one,
    whose columns name the larger one that it is nested in. A row is a model, and a group if the
    tests are of groups."""
    found: dict[str, list[Cell]] = {}
    for test in tests:
        known = {"lack_of_fit": ("lack_of_fit_f", "lack_of_fit_p")}
        beside = f"{test.test}_in_{test.alternative}", f"{test.test}_p_in_{test.alternative}"
        names = known.get(test.test, beside)
        for column, values in zip(names, (test.statistic, test.p), strict=True):
            cells = found.setdefault(column, [None] * len(rows))
            for i, (label, group) in enumerate(rows):
                if label == test.null:
                    cells[i] = _cell(values, group)
    return dict(found)


def _cell(values: float | Sequence[float | None] | None, group: int | None) -> Cell:
    """The value of a row; none where there is none, which among groups is NaN."""
    value = values if not isinstance(values, Sequence) or group is None else values[group]
    return None if not isinstance(value, float | int) or math.isnan(value) else float(value)


def _reported(found: Comparison) -> Table:
    """The quantities of the models' reports with their standard errors and intervals."""
    reports = [row.report or {} for row in found.models]
    names = dict.fromkeys(name for each in reports for name in each)
    return {
        name + suffix: [getattr(each[name], field) if name in each else None for each in reports]
        for name in names
        for suffix, field in _OF_REPORT
    }


def groups_table(found: GroupedComparison) -> Table:
    """One row per group and model, the groups in order and the models of each by their rank."""
    places = [
        (group, model)
        for group in range(len(found.key))
        for model in sorted(found.models, key=lambda m: (m.rank[group] is None, m.rank[group] or 0))
    ]

    def column(name: str) -> list[Cell]:
        return [getattr(model, name)[group] for group, model in places]

    return {
        **{name: [key[group] for group, _ in places] for name, key in found.key_columns().items()},
        "rank": column("rank"),
        "label": [model.label for _, model in places],
        "n": [found.n[group] for group, _ in places],
        "k": [model.k for _, model in places],
        **{
            name: column(name)
            for name in (
                "rss", "degrees_of_freedom", "log_likelihood", "aic", "aicc", "bic", "delta",
                "weight", "stop_reason", "verdict",
            )
        },
        "diagnostics": [" ".join(model.diagnostics[group]) for group, model in places],
        **_tested(found.tests, [(model.label, group) for group, model in places]),
    }  # fmt: skip
