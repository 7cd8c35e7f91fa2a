"""Comparisons of models as a report and as lines."""

from __future__ import annotations

import math
from collections.abc import Sequence

from service.render.cells import clipped, visible, width
from service.render.digits import counted, number
from service.render.page import Page
from service.render.report_fit import COLOURS, MARKS, verdict, write_report
from service.render.report_groups import key_text
from service.schemas.comparisons import (
    ComparedModel,
    Comparison,
    GroupedComparison,
    GroupedTest,
    ModelTest,
)
from service.schemas.grouped import Groups

_LONGEST = 30
_MOST_GROUPS = 40
_LEAST_LABEL = 12
_FEW = 3
"""Pairs that are not known to be nested, of which each is listed."""


def write(page: Page, found: Comparison) -> None:
    """The report of a comparison."""
    page.heading(_title(found))
    page.space()
    name = {"aic": "AIC", "aicc": "AICc", "bic": "BIC"}[found.criterion]
    if found.best is None:
        page.text("No model leads.", colour=COLOURS[found.verdict])
    else:
        page.text(f"By {name} the first is {found.best}.", colour=COLOURS[found.verdict])
    page.space()
    rss = "RSS" if found.likelihood is None else "deviance"
    heads = ("", "model", "k", rss, name, "Δ", "weight", "verdict")
    rows = [_row(model, found.criterion) for model in found.models]
    page.table(_fitted([heads, *rows], page.room), "><>>>>><", headed=True)
    _skipped(page, found)
    if found.tests:
        page.heading("Tests")
        _tests(page, found.tests)
    first = found.models[0]
    if first.rank == 1 and first.groups is not None:
        page.heading(f"Params of {visible(first.label)}")
        _params(page, first, first.groups)
    elif first.rank == 1 and first.report:
        write_report(page, first.report, f"Report of {visible(first.label)}")
    _diagnostics(page, found)


def _title(found: Comparison) -> str:
    first = found.models[0]
    if first.shared is None:
        return f"{counted(len(found.models), 'model')} of {found.target}, {found.n} rows"
    formula = visible(first.model.formula)
    where = ""
    if first.groups is not None:
        groups = first.groups
        where = f", {counted(len(groups.key), 'group')} by {', '.join(groups.columns)}"
    return f"Curves of {formula}{where}, {found.n} rows"


def _params(page: Page, model: ComparedModel, groups: Groups) -> None:
    """The params of all groups, then those of each."""
    errors = model.stderr or {}
    rows = [
        ("all", name, number(value, 6), _error(errors.get(name)))
        for name, value in model.params.items()
    ]
    for i, key in enumerate(groups.values[:_MOST_GROUPS]):
        named = clipped(", ".join(map(key_text, key)), _LONGEST)
        for name, column in groups.params.items():
            own = groups.stderr.get(name)
            rows.append(
                (named, name, number(column[i], 6), _error(None if own is None else own[i]))
            )
        for name, each in (groups.report or {}).items():
            rows.append((named, name, number(each.value[i], 6), _error(each.stderr[i])))
    page.table(
        [(", ".join(groups.columns), "param", "value", "± error"), *rows], "<<>>", headed=True
    )
    if groups.params and len(groups.key) > _MOST_GROUPS:
        page.text(f"… and {len(groups.key) - _MOST_GROUPS:,} more groups")


def _error(value: float | None) -> str:
    return "–" if value is None or value != value else number(value, 3)


def _row(model: ComparedModel, criterion: str) -> tuple[str, ...]:
    return (
        "" if model.rank is None else str(model.rank),
        visible(model.label),
        str(model.k),
        number(model.rss, 5),
        number(getattr(model, criterion), 6),
        number(model.delta, 3),
        _weight(model.weight),
        model.verdict,
    )


def _fitted(rows: Sequence[Sequence[str]], room: int) -> list[list[str]]:
    """The rows with their second cell, the label, clipped so that the others fit."""
    others = sum(2 + max(map(width, column)) for column in zip(*rows, strict=True))
    longest = max(width(row[1]) for row in rows)
    left = max(_LEAST_LABEL, room - others + 2 + longest)
    return [[row[0], clipped(row[1], left), *row[2:]] for row in rows]


def _weight(weight: float | None) -> str:
    if weight is None or math.isnan(weight):
        return "–"
    return f"{weight:.3f}" if weight >= 0.0005 else number(weight, 2)


def _tests(page: Page, tests: Sequence[ModelTest]) -> None:
    """A paragraph for each test that has a p, or a reason why not; the pairs that are not known to
    be nested are counted where they are many."""
    unknown = [test for test in tests if test.nested == "no"]
    shown = [test for test in tests if test.nested != "no" or len(unknown) <= _FEW]
    for test in shown:
        page.listed("·", f"{_pair(test)}: {_result(test)}.")
    if len(unknown) > _FEW:
        page.text(f"{counted(len(unknown), 'pair')} not known to be nested have no test.")


def _pair(test: ModelTest | GroupedTest) -> str:
    if test.alternative is None:
        return f"lack of fit of {test.null}"
    nested = f" ({test.nested})" if test.nested in ("proved", "declared") else ""
    return f"{test.null} in {test.alternative}{nested}"


def _result(test: ModelTest) -> str:
    if test.p is None:
        return test.reason or "no test"
    name = f"F({test.df1}, {test.df2})" if test.df2 is not None else f"χ²({test.df1})"
    found = f"{name} = {number(test.statistic, 6)}, p = {number(test.p, 5)}"
    return found if test.reason is None else f"{found}; {test.reason}"


def _skipped(page: Page, found: Comparison | GroupedComparison) -> None:
    if found.skipped:
        page.space()
        page.text(f"{counted(len(found.skipped), 'family')} of the catalogue not fitted:")
        for each in found.skipped:
            page.listed("·", f"{each.label}: {each.reason}")


def _diagnostics(page: Page, found: Comparison | GroupedComparison) -> None:
    page.heading("Diagnostics")
    for each in found.diagnostics:
        mark, colour = MARKS[each.severity]
        page.listed(mark, f"{each.code} ({each.severity})", colour)
        page.text(each.message, indent="    ")
    if not found.diagnostics:
        page.text("No issues found.")


def write_groups(page: Page, found: GroupedComparison) -> None:
    """The report of a comparison in each group."""
    groups = len(found.key)
    page.heading(
        f"{counted(len(found.models), 'model')} of {found.target}, "
        f"{counted(groups, 'group')} by {', '.join(found.columns)}"
    )
    page.space()
    rows = [("model", "k", "first in", "formula")]
    rows += [
        (
            clipped(visible(model.label), _LONGEST),
            str(model.k),
            counted(model.leads, "group"),
            model.model.formula,
        )
        for model in found.models
    ]
    page.table(rows, "<>><", headed=True)
    _skipped(page, found)
    page.space()
    heads = (", ".join(found.columns), "n", "first", "weight", "verdict")
    lines = [heads, *(_group(found, i) for i in range(min(groups, _MOST_GROUPS)))]
    page.table(lines, "<><><", headed=True)
    if groups > _MOST_GROUPS:
        page.text(f"… and {groups - _MOST_GROUPS:,} more; ?format=csv has them all")
    for test in found.tests:
        _grouped_test(page, found, test)
    _diagnostics(page, found)


def _group(found: GroupedComparison, i: int) -> tuple[str, ...]:
    leader = next((model for model in found.models if model.rank[i] == 1), None)
    key = clipped(_key(found, i), _LONGEST)
    if leader is None:
        return key, f"{found.n[i]:,}", "–", "–", "–"
    return (
        key,
        f"{found.n[i]:,}",
        clipped(visible(leader.label), _LONGEST),
        _weight(leader.weight[i]),
        leader.verdict[i],
    )


def _key(found: GroupedComparison, i: int) -> str:
    return ", ".join(map(key_text, found.values[i]))


def _grouped_test(page: Page, found: GroupedComparison, test: GroupedTest) -> None:
    page.heading(_pair(test))
    name = "χ²" if test.test == "lrt" else "F"
    rows = [(", ".join(found.columns), name, "df", "p")]
    for i in range(min(len(found.key), _MOST_GROUPS)):
        df1, df2 = test.df1[i], test.df2[i]
        if df1 is not None:
            degrees = str(df1) if df2 is None else f"{df1}, {df2}"
            cells = (_key(found, i), number(test.statistic[i], 5), degrees)
            rows.append((*cells, number(test.p[i], 4)))
    if len(rows) > 1:
        page.table(rows, "<>>>", headed=True)
    for reason in dict.fromkeys(each for each in test.reason if each is not None):
        page.listed("·", f"{reason}.")


def line(found: Comparison) -> str:
    """One line: the first model, its criterion and weight, then the tests with a p."""
    first = next((model for model in found.models if model.rank == 1), None)
    infos = {each.code for each in found.diagnostics if each.severity == "info"}
    codes = [each.code for each in found.diagnostics if each.code not in infos]
    words = [f"best={_word(found.best or 'none')}"]
    if first is not None:
        words.append(f"{found.criterion}={number(getattr(first, found.criterion))}")
        words.append(f"weight={number(first.weight, 3)}")
    for test in found.tests:
        if test.p is not None:
            pair = [test.null] if test.alternative is None else [test.null, test.alternative]
            words.append(f"p_{test.test}({','.join(map(_word, pair))})={number(test.p, 4)}")
    return " ".join([*words, verdict(found.verdict, codes)])


def lines(found: GroupedComparison) -> str:
    """One line per group."""
    made = []
    for i, key in enumerate(found.values):
        words = [
            *(
                f"{visible(by)}={_word(key_text(k))}"
                for by, k in zip(found.columns, key, strict=True)
            ),
            f"best={_word(found.best[i] or 'none')}",
        ]
        leader = next((model for model in found.models if model.rank[i] == 1), None)
        if leader is not None:
            value = getattr(leader, found.criterion)[i]
            words.append(f"{found.criterion}={number(value)} weight={number(leader.weight[i], 3)}")
            words.append(verdict(leader.verdict[i], []))
        known = [test for test in found.tests if test.df1[i] is not None]
        words += [f"p_{test.test}={number(test.p[i], 4)}" for test in known]
        made.append(" ".join(words))
    return "\n".join(made)


def _word(text: str) -> str:
    return visible(text).replace(" ", "")
