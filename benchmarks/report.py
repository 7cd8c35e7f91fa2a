"""Results as a table, and as docs/benchmarks.md."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.harness import Benchmark, Comparison

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
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
    rows = [_HEAD, *(_row(one) for one in results)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def section(name: str, benchmark: Benchmark, results: Sequence[Comparison], measured: str) -> str:
    """A benchmark's part of the page."""
    return f"## {name}\n\n{benchmark.about.strip()}\n\n{table(results)}\n\n{measured}\n"


def write(sections: Mapping[str, str], known: Sequence[str]) -> None:
    """Puts the sections into the page, in the order of `known`; those not measured now stay."""
    old = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
    parts = re.split(r"^(?=## )", old, flags=re.MULTILINE)[1:]
    kept = {part.splitlines()[0].removeprefix("## "): part.rstrip() + "\n" for part in parts}
    merged = {**kept, **sections}
    PAGE.write_text(
        "\n".join([_INTRODUCTION, *(merged[name] for name in known if name in merged)]),
        encoding="utf-8",
    )


def _row(one: Comparison) -> tuple[str, ...]:
    return (
        one.what,
        one.yardstick,
        f"{_short(median(one.ours))} {one.unit}",
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
