"""Models of the noise, robust losses and outliers, of one fit and of groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.catalogue.losses import LOSSES
from service.engine import GroupedResult, run_of
from service.fitting.packing import pack, unpack
from tests.fitting.grouped import answer, finish, fit, plan

EXPR = {"expr": "s*pred**k", "estimate": ["s", "k"]}
CURVE = "y = c + (d - c)*x/(e + x)"
START = {"c": 1.0, "d": 80.0, "e": 5.0}
HUBER = {"name": "huber", "delta": {"scale": "mad"}}
SCALED = [name for name, loss in LOSSES.items() if loss.tuning is not None]
ASKED: dict[str, dict[str, Any]] = {
    "an expression": {"sigma": {"expr": "0.02 + 0.05*pred"}},
    "estimated": {"sigma": EXPR},
    "a robust scale": {"loss": HUBER},
    "outliers": {"outliers": {"action": "drop"}},
}


def assays(groups: int, rows: int = 24) -> dict[str, list[float]]:
    rng = np.random.default_rng(groups)
    x = np.tile(np.geomspace(0.1, 100, rows), groups)
    mean = 2 + 98 * x / (np.repeat(rng.uniform(4, 12, groups), rows) + x)
    y = mean * (1 + 0.05 * rng.standard_normal(len(x)))
    y[:: rows + 7] *= 1.9
    return {"g": np.repeat(np.arange(groups), rows).tolist(), "x": x.tolist(), "y": y.tolist()}


def asked_of(data: dict[str, list[float]], name: str) -> dict[str, Any]:
    columns = {key: [float(value) for value in column] for key, column in data.items()}
    return {"model": CURVE, "data": columns, "params": START, "group_by": "g", **ASKED[name]}


@pytest.mark.parametrize("name", ASKED)
def test_each_group_is_as_alone_bit_for_bit(name: str) -> None:
    data = assays(5)
    together = fit(**asked_of(data, name), challenge=False).groups
    for group in range(5):
        own = [i for i, g in enumerate(data["g"]) if g == group]
        some = {key: [column[i] for i in own] for key, column in data.items()}
        one = fit(**asked_of(some, name), challenge=False).groups
        for param, values in together.params.items():
            assert one.params[param] == [values[group]]
            assert one.stderr[param] == [together.stderr[param][group]]
        assert one.epochs == [together.epochs[group]]


@pytest.mark.parametrize("name", ASKED)
def test_slices_and_checkpoints_change_no_bit(name: str) -> None:
    made = plan(**asked_of(assays(4), name))
    whole = answer(made, finish(made))
    run = run_of(made.task)
    while not run.done:
        run.step(3)
        run = run_of(made.task, unpack(pack(run.checkpoint())))
    result = run.result()
    assert isinstance(result, GroupedResult)
    found = answer(made, result).groups
    assert found.params == whole.groups.params
    assert found.noise == whole.groups.noise
    assert found.outliers == whole.groups.outliers


@pytest.mark.parametrize("name", ASKED)
def test_there_is_a_result_at_any_moment(name: str) -> None:
    made = plan(**asked_of(assays(3), name))
    run = run_of(made.task)
    before = 0
    while not run.done:
        assert before <= run.epoch <= run.epochs
        before = run.epoch
        result = run.result("cancelled")
        assert isinstance(result, GroupedResult)
        assert answer(made, result).stop_reason == "cancelled"
        run.step(40)


def test_rows_of_groups_may_come_in_any_order() -> None:
    """σ as an expression of columns goes with its rows."""
    data = assays(3)
    order = np.random.default_rng(0).permutation(len(data["x"]))
    mixed = {key: np.array(column)[order].tolist() for key, column in data.items()}
    noise = {"sigma": {"expr": "0.05*pred + 0.01*x"}}
    one = fit(**{**asked_of(data, "an expression"), **noise})
    other = fit(**{**asked_of(mixed, "an expression"), **noise})
    places = [other.groups.key.index(key) for key in one.groups.key]
    assert [other.groups.params["e"][i] for i in places] == pytest.approx(
        one.groups.params["e"], rel=1e-8
    )


def test_a_group_without_a_sigma_fails_alone() -> None:
    x = [float(i) for i in range(1, 9)]
    y = [3.0 * each for each in x]
    data = {"g": [0.0] * 8 + [1.0] * 8, "x": [*x, *x], "y": [*y, *(-each for each in y)]}
    wobble = [0.1 * (-1) ** i for i in range(16)]
    data["y"] = [a + b for a, b in zip(data["y"], wobble, strict=True)]
    found = fit(model="y = a*x", data=data, group_by="g", sigma={"expr": "0.1*pred"}).groups
    assert found.status == ["succeeded", "failed"]
    assert found.trustworthy == [True, False]


def test_groups_with_one_noise_estimate_it_together() -> None:
    data = assays(6)
    asked = asked_of(data, "estimated")
    asked["group_by"] = {"column": "g", "shared": ["d"]}
    found = fit(**asked)
    assert found.groups.noise is not None
    assert len(found.groups.noise.params["k"]) == 1
    assert found.statistics is not None
    assert found.statistics.residual_std == pytest.approx(
        (found.statistics.n / found.statistics.degrees_of_freedom) ** 0.5, rel=1e-5
    )


@pytest.mark.parametrize("loss", SCALED)
def test_a_robust_loss_far_from_its_bend_has_the_errors_of_least_squares(loss: str) -> None:
    data = {name: column[:24] for name, column in assays(1).items()}
    asked = {"model": CURVE, "data": data, "params": START, "group_by": "g", "challenge": False}
    plain, robust = fit(**asked), fit(**asked, loss={"name": loss, "delta": 1e6})
    assert robust.groups.covariance_kind == "robust"
    for param, errors in plain.groups.stderr.items():
        assert robust.groups.stderr[param] == pytest.approx(errors, rel=1e-4)


def test_the_scale_of_each_robust_loss_is_a_fixed_point() -> None:
    """MAD of the residuals at the end is the scale that was used."""
    data = {name: column[:24] for name, column in assays(1).items()}
    asked = {"model": CURVE, "data": data, "params": START, "group_by": "g"}
    x, y = np.array(data["x"]), np.array(data["y"])
    for loss in SCALED:
        found = fit(**asked, loss={"name": loss, "delta": {"scale": "mad"}}).groups
        c, d, e = (found.params[name][0] for name in "cde")
        residuals = y - (c + (d - c) * x / (e + x))
        assert found.noise is not None
        assert found.noise.scale == pytest.approx(
            [float(np.median(np.abs(residuals))) / 0.6744897501960817], rel=1e-7
        )
        assert found.stop_reason == ["converged"]


# --- outliers -------------------------------------------------------------------------------------


def lines(sets: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    x = np.tile(np.linspace(0, 10, 25), sets)
    y = 2 + 0.5 * x + 0.7 * rng.standard_normal(len(x))
    return {"g": np.repeat(np.arange(float(sets)), 25), "x": x, "y": y}


def rout_of(data: dict[str, Any], **options: Any) -> Any:
    columns = {name: column.tolist() for name, column in data.items()}
    found = fit(model="y = a + b*x", data=columns, group_by="g", outliers={**options})
    outliers = found.groups.outliers
    assert outliers is not None
    said = ["flagged_outliers" in codes for codes in found.groups.diagnostics]
    assert said == [count > 0 for count in outliers.count]
    return outliers


def test_clean_sets_are_flagged_seldom() -> None:
    """1-3 % of Gaussian lines of 25 points, at q = 1 %."""
    found = rout_of(lines(600, 11))
    flagged = sum(count > 0 for count in found.count) / 600
    assert 0.01 <= flagged <= 0.03


def test_a_point_eight_sigma_away_is_found() -> None:
    data, sets = lines(400, 12), 400
    rows = np.arange(sets) * 25 + np.random.default_rng(1).integers(0, 25, sets)
    data["y"][rows] += 8 * 0.7
    found = rout_of(data, q=0.01)
    hits = sum(row + 1 in named for row, named in zip(rows.tolist(), found.rows, strict=True))
    assert hits / sets > 0.99
