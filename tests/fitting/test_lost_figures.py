"""Fits without variation to explain, or with squares that underflow, are not trusted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.fitting.fits import codes, fit
from tests.fitting.grouped import fit as fit_groups

X = np.array([0.1, 0.5, 1, 2, 3, 4, 6, 8, 10, 12])
NOISE = np.array([0.4, -0.7, 0.2, 0.9, -1.1, 0.3, -0.2, 0.6, -0.8, 0.5])
LINE = 2 + 3 * X + 0.1 * NOISE
DECAY = 5 * np.exp(-0.4 * X) + 0.05 * NOISE
MODELS = {"y = a + b*x": LINE, "y = a*exp(-b*x)": DECAY}


def grouped(model: str, columns: list[Any], shared: list[str]) -> Any:
    """The fit of a column for each group."""
    groups = len(columns)
    data = {
        "x": np.tile(X, groups),
        "y": np.concatenate(columns),
        "g": np.repeat(np.arange(groups), len(X)),
    }
    by: Any = {"column": "g", "shared": shared} if shared else "g"
    return fit_groups(model=model, data=data, group_by=by)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("scale", [1e-155, 1e-160, 1e-165, 1e-200, 1e-300, 1e155, 1e200, 1e300])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_target_whose_squares_are_lost_is_not_trusted(model: str, scale: float) -> None:
    column = MODELS[model] * scale
    found = fit(model=model, data={"x": X, "y": column})
    assert codes(found)["poor_scale"] == "error"
    for shared in ([], ["b"], ["a", "b"]):
        groups = grouped(model, [column, 0.7 * column], shared).groups
        assert groups.verdict == ["untrustworthy"] * 2
        assert all("poor_scale" in each for each in groups.diagnostics)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("scale", [1e-150, 1e-100, 1e100, 1e150])
def test_one_whose_squares_are_kept_is(model: str, scale: float) -> None:
    column = MODELS[model] * scale
    found, plain = (fit(model=model, data={"x": X, "y": y}) for y in (column, MODELS[model]))
    assert found.trustworthy
    assert found.statistics.stderr is not None
    assert plain.statistics.stderr is not None
    ratio = found.statistics.stderr["a"] / scale / plain.statistics.stderr["a"]
    assert ratio == pytest.approx(1, rel=1e-8)
    assert grouped(model, [column, 0.7 * column], ["b"]).verdict == "trustworthy"


@pytest.mark.parametrize("level", [1e-150, 1e-160, 1e-300])
def test_nor_is_an_exact_fit_so_small_that_its_squares_are_lost(level: float) -> None:
    assert fit(model="y = a + b*x", data={"x": X, "y": 0 * X + level}).verdict == "untrustworthy"
    exact = fit(model="y = a*exp(-b*x)", data={"x": X, "y": 5 * np.exp(-0.4 * X) * level})
    assert exact.verdict == "untrustworthy"


@pytest.mark.parametrize("shared", [["b"], ["a", "b"]])
@pytest.mark.parametrize("model", ["y = a*exp(-b*x)", "y = a*x/(b + x)", "y = a*x**b"])
def test_zeros_determine_no_shared_param(model: str, shared: list[str]) -> None:
    found = grouped(model, [0 * X] * 3, shared)
    assert found.verdict == "untrustworthy"
    assert set(found.groups.verdict) == {"untrustworthy"}


@pytest.mark.parametrize("levels", [[2.0, 2.0], [1.0, 2.0, 5.0], [1e-9, 1e9], [-3.0, 0.0]])
def test_nor_do_constants(levels: list[float]) -> None:
    found = grouped("y = a*exp(-b*x)", [0 * X + level for level in levels], ["b"])
    assert "unexplained" in {each.code for each in found.diagnostics}
    assert found.verdict != "trustworthy"


def test_nor_does_noise() -> None:
    flipped = [NOISE, -NOISE[::-1], np.roll(NOISE, 3)]
    found = grouped("y = a*exp(-b*x)", flipped, ["a", "b"])
    (said,) = [each for each in found.diagnostics if each.params and each.code == "unexplained"]
    assert said.severity == "error"


def test_a_group_of_zeros_does_not_hurt_the_others() -> None:
    found = grouped("y = a*exp(-b*x)", [DECAY, 0 * X, 2 * DECAY], ["b"])
    assert found.verdict == "trustworthy"
    assert found.groups.params["a"][1] == pytest.approx(0, abs=1e-12)


def test_nor_are_levels_that_the_input_explains_flat() -> None:
    """One x in each group, one curve for all of them."""
    x, groups = np.repeat([1.0, 2.0, 4.0, 8.0], 3), np.repeat([0, 1, 2, 3], 3)
    data = {"x": x, "y": 5 * np.exp(-0.4 * x), "g": groups}
    by = {"column": "g", "shared": ["a", "b"]}
    assert fit_groups(model="y = a*exp(-b*x)", data=data, group_by=by).verdict == "trustworthy"
