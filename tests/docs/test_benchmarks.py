"""How benchmarks become a page."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import pixels, report
from benchmarks.harness import Benchmark, Comparison, in_turns
from tests.devices import OTHERS, on

LINE = Comparison("a line", "by hand", "ms", ours=[1.0, 4.0, 3.0], theirs=[2.0, 2.0, 2.0])


async def test_measures_take_turns_and_the_first_round_does_not_count():
    order: list[str] = []

    async def measure(name: str) -> float:
        order.append(name)
        return float(len(order))

    found = await in_turns(2, lambda: measure("a"), lambda: measure("b"))
    assert "".join(order) == "ababab"
    assert found == [[3.0, 5.0], [4.0, 6.0]]


def test_a_row_has_the_medians_their_ratio_and_its_spread():
    _, _, row = report.table([LINE]).splitlines()
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == ["a line", "by hand", "3 ms", "2 ms", "**1.50**", "0.50 to 2.00"]


def test_what_is_not_measured_again_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    page = tmp_path / "benchmarks.md"
    monkeypatch.setattr(report, "PAGE", page)
    report.write({"two": _section("two", "old")}, ["one", "two"])
    report.write({"one": _section("one", "new")}, ["one", "two"])
    report.write({"two": _section("two", "new")}, ["one", "two"])
    text = page.read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## one", "## two"]
    assert (text.count("new"), text.count("old")) == (2, 0)


@pytest.mark.parametrize("device", OTHERS)
def test_gpufits_problem_runs_on_each_device(device: str):
    """To 1e-3 of each param, which is less than the noise of the pixels makes of it: float32."""
    task = pixels.to_task(*pixels.made(500))
    due = pixels.fitted(task, "cpu")
    with on(device) as known:
        found = pixels.fitted(task, known)
    assert found.device.type == "cpu"
    assert torch.allclose(found, due, rtol=1e-3, atol=1e-3)
    assert torch.allclose(due[:, 0].median(), torch.tensor(500.0), rtol=0.02)


def _section(name: str, measured: str) -> str:
    return report.section(name, Benchmark("About it.", lambda: [LINE]), [LINE], measured)
