"""How measurements become a page."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.harness import Comparison, in_turns

LINE = Comparison("a line", "by hand", "ms", ours=[1.0, 4.0, 3.0], theirs=[2.0, 2.0, 2.0])


def test_measures_take_turns_and_the_first_round_does_not_count() -> None:
    order: list[str] = []

    def measure(name: str) -> float:
        order.append(name)
        return float(len(order))

    found = in_turns(2, lambda: measure("a"), lambda: measure("b"))
    assert "".join(order) == "ababab"
    assert found == [[3.0, 5.0], [4.0, 6.0]]


def test_a_single_round_counts_and_a_missing_peer_has_no_measurements() -> None:
    assert in_turns(1, lambda: 1.0, None) == [[1.0], []]


def test_a_row_has_the_medians_their_ratio_and_its_spread() -> None:
    assert _cells(LINE) == ["a line", "by hand", "3 ms", "2 ms", "**1.50**", "0.50 to 2.00"]


def test_a_row_without_its_peer_says_so() -> None:
    alone = Comparison("a line", "by hand", "ms", ours=[1.0], theirs=[])
    assert _cells(alone) == ["a line", "by hand", "1 ms", "not installed", "", ""]


def test_what_is_not_measured_again_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "benchmarks.md"
    monkeypatch.setattr(report, "PAGE", page)
    for name, measured in (("two", "old"), ("one", "new"), ("two", "new")):
        report.write(name, report.section(name, "About it.", [LINE], measured), ["one", "two"])
    text = page.read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## one", "## two"]
    assert (text.count("new"), text.count("old")) == (2, 0)


def test_a_section_of_the_accuracy_is_found_by_its_markers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "accuracy.md"
    page.write_text("A\n<!-- one: written by make bench -->\nold\n<!-- end of one -->\nB\n")
    monkeypatch.setattr(report, "ACCURACY", page)
    report.write_accuracy("one", "new")
    text = page.read_text(encoding="utf-8")
    assert (text.count("new"), text.count("old"), text[0], text[-2]) == (1, 0, "A", "B")
    with pytest.raises(RuntimeError, match="markers of 'two'"):
        report.write_accuracy("two", "new")


def _cells(one: Comparison) -> list[str]:
    _, _, row = report.table([one]).splitlines()
    return [cell.strip() for cell in row.strip("|").split("|")]
