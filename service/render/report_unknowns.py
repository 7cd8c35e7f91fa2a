"""The report of unknowns: a row a sample, then the calibrators and the limits of quantification."""

from __future__ import annotations

from collections.abc import Sequence

from service.render.cells import clipped, visible, with_unit
from service.render.digits import counted, number, uncertain
from service.render.page import Page
from service.render.report_groups import key_text
from service.schemas.grouped import By, Key, columns_of, values_of
from service.schemas.series import Objects
from service.schemas.unknowns import Calibrators, Unknowns

_MOST_ROWS = 40
_LONGEST_KEY = 20
_INTERVALS = {
    "inversion": "{level} inversion intervals",
    "wald": "{level} Wald intervals",
    "bootstrap": "{level} bootstrap intervals",
    "none": "without intervals",
}
_READINGS = {"observation": "with the noise of the readings", "mean": "of the mean response"}


def write_unknowns(page: Page, found: Unknowns) -> None:
    """The whole report."""
    count = len(found.key)
    page.heading(f"{found.solve_for} of {counted(count, 'sample')}, from {found.target}")
    page.text(interval_text(found))
    if count:
        page.space()
        _samples(page, found)
    if found.calibrators is not None:
        _calibrators(page, found, found.calibrators)


def interval_text(found: Unknowns) -> str:
    """How the intervals were computed."""
    asked = found.interval
    said = _INTERVALS[asked.kind].format(level=f"{100 * asked.level:g} %")
    if asked.kind != "none":
        said += f" {_READINGS[asked.of]}"
        degrees = asked.degrees_of_freedom
        if asked.kind != "bootstrap" and degrees is not None and degrees < 10**12:
            said += f", on {counted(degrees, 'degree')} of freedom"
    return f"{said[0].upper()}{said[1:]}."


def _mean(found: Unknowns) -> str:
    unit = found.units.get(found.target)
    return "mean" if unit is None else f"mean [{visible(unit)}]"


def _samples(page: Page, found: Unknowns) -> None:
    shown = min(len(found.key), _MOST_ROWS)
    columns = _keys(found.group_by, found.group, found.replicates_by, found.key, shown)
    columns.append(["n", *(f"{n:,}" for n in found.n[:shown].tolist())])
    columns.append([_mean(found), *(number(mean, 4) for mean in found.mean[:shown].tolist())])
    if found.dilution is not None:
        columns.append(["dilution", *map(number, found.dilution[:shown].tolist())])
    estimates, errors = found.estimate[:shown].tolist(), found.stderr[:shown].tolist()
    pairs = [_pair(*each) for each in zip(estimates, errors, strict=True)]
    columns.append([with_unit(found.solve_for, found.units), *(value for value, _ in pairs)])
    columns.append(["± error", *(error for _, error in pairs)])
    for head, ends in (("from", found.lower), ("to", found.upper)):
        columns.append([head, *(number(end, 4) for end in ends[:shown].tolist())])
    columns.append(["status", *found.status[:shown].tolist()])
    _table(page, columns)
    if len(found.key) > shown:
        page.text(f"… and {counted(len(found.key) - shown, 'sample')} more; ?format=csv has them")
    notes: dict[str, list[str]] = {}
    for key, detail in zip(found.key[:shown].tolist(), found.detail[:shown].tolist(), strict=True):
        if detail is not None:
            notes.setdefault(detail, []).append(clipped(key_text(key), _LONGEST_KEY))
    for detail, names in notes.items():
        names = list(dict.fromkeys(names))
        some = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        page.text(f"{some}: {detail}.")


def _pair(estimate: float | None, error: float | None) -> tuple[str, str]:
    if estimate is None or error is None:
        return number(estimate), number(error)
    value, spread = uncertain(estimate, error)
    return value, spread or number(error)


def _calibrators(page: Page, found: Unknowns, known: Calibrators) -> None:
    page.heading("Calibrators, read back")
    shown = min(len(known.key), _MOST_ROWS)
    columns = _keys(found.group_by, known.group, found.replicates_by, known.key, shown)
    columns.append(["n", *(f"{n:,}" for n in known.n[:shown].tolist())])
    columns.append(["nominal", *map(number, known.nominal[:shown].tolist())])
    columns.append(["read back", *map(number, known.back_calculated[:shown].tolist())])
    for head, part in (("recovery %", known.recovery_percent), ("CV %", known.cv_percent)):
        columns.append([head, *(number(value, 4) for value in part[:shown].tolist())])
    words = {True: "yes", False: "no", None: "–"}
    columns.append(["within", *(words[value] for value in known.within[:shown].tolist())])
    _table(page, columns)
    if len(known.key) > shown:
        page.text(f"… and {counted(len(known.key) - shown, 'calibrator')} more")
    page.space()
    if found.limits is None:
        page.text(_limits(found.lloq, found.uloq))
        return
    rows = zip(*(each[:shown].tolist() for each in vars(found.limits).values()), strict=True)
    for group, lloq, uloq in rows:
        page.text(f"{clipped(_group_text(group), _LONGEST_KEY)}: {_limits(lloq, uloq)}")


def _limits(lloq: float | None, uloq: float | None) -> str:
    if lloq is None and uloq is None:
        return "No limits of quantification: no calibrator above 0 is read back within its limit."
    if uloq is None:
        return f"Lower limit of quantification: {number(lloq)}; no calibrator sets an upper one."
    if lloq is None:
        return f"Upper limit of quantification: {number(uloq)}; no calibrator sets a lower one."
    return f"Limits of quantification: {number(lloq)} to {number(uloq)}."


def _keys(
    group_by: By | None, group: Objects | None, by: str | None, keys: Objects, shown: int
) -> list[list[str]]:
    """The columns that name a row."""
    columns = []
    if group_by is not None and group is not None:
        columns.append([", ".join(columns_of(group_by)), *map(_group_text, group[:shown])])
    columns.append([by or "row", *map(key_text, keys[:shown])])
    return [[clipped(visible(cell), _LONGEST_KEY) for cell in column] for column in columns]


def _group_text(key: Key) -> str:
    return ", ".join(map(key_text, values_of(key)))


def _table(page: Page, columns: Sequence[Sequence[str]]) -> None:
    rows = list(zip(*columns, strict=True))
    page.table(rows, "<" + ">" * (len(columns) - 2) + "<", headed=True)
