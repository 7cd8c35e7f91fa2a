"""Results as a table, and as pages of docs/explanation: benchmarks.md and the sections of
accuracy.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.harness import Comparison
from benchmarks.registry import NAMES

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "benchmarks.md"
ACCURACY = PAGE.with_name("accuracy.md")
_HEAD = ("measured", "beside", "Descent", "the other", "ratio", "lowest to highest")
_INTRODUCTION = """\
# Benchmarks

Written by `make bench`. Each row is Descent beside something else, measured in the same run and in
turns (A B A B …), on loopback. The ratio is Descent's measurement divided by the other's: the
median over the rounds, then the lowest and the highest. Of times, below 1 is faster; of requests/s,
above 1 is; of MiB, below 1 is less. The measurements beside it are medians.
"""


def table(results: Sequence[Comparison]) -> str:
    """For a terminal and for Markdown alike."""
    return markdown([_HEAD, *(_row(one) for one in results)])


def markdown(rows: Sequence[Sequence[str]], numbers_from: int | None = None) -> str:
    """A table; the first row is its head. Columns from `numbers_from` on are aligned right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    numbers = len(widths) if numbers_from is None else numbers_from
    rule = "".join(
        "|" + "-" * (width + 1) + ("-" if i < numbers else ":") for i, width in enumerate(widths)
    )
    return "\n".join([lines[0], rule + "|", *lines[1:]])


def section(name: str, about: str, results: Sequence[Comparison], measured: str) -> str:
    """A benchmark's part of the page."""
    return f"## {name}\n\n{about.strip()}\n\n{table(results)}\n\n{measured}\n"


def write(name: str, section: str, known: Sequence[str] = NAMES) -> None:
    """Puts the section into the page, in the order of `known`; those of others stay."""
    old = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
    parts = re.split(r"^(?=## )", old, flags=re.MULTILINE)[1:]
    kept = {part.splitlines()[0].removeprefix("## "): part.rstrip() + "\n" for part in parts}
    merged = {**kept, name: section}
    PAGE.write_text(
        "\n".join([_INTRODUCTION, *(merged[one] for one in known if one in merged)]),
        encoding="utf-8",
    )


def write_accuracy(name: str, text: str) -> None:
    """Puts the text between the markers of that name in docs/explanation/accuracy.md."""
    begin, end = f"<!-- {name}: written by make bench -->", f"<!-- end of {name} -->"
    page = ACCURACY.read_text(encoding="utf-8")
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise RuntimeError(f"{ACCURACY} lacks the markers of '{name}'")
    ACCURACY.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def _row(one: Comparison) -> tuple[str, ...]:
    ours = f"{_short(median(one.ours))} {one.unit}"
    if not one.theirs:
        return (one.what, one.yardstick, ours, "not installed", "", "")
    return (
        one.what,
        one.yardstick,
        ours,
        f"{_short(median(one.theirs))} {one.unit}",
        f"**{_ratio(one.ratio)}**",
        f"{_ratio(min(one.ratios))} to {_ratio(max(one.ratios))}",
    )


def _ratio(value: float) -> str:
    """Two digits at least."""
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def _short(value: float) -> str:
    """Three digits, never an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
