"""Levenberg–Marquardt: bounds, degenerate data, steps off the domain, scales, robust losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from service.catalogue.losses import LOSSES
from service.engine import Problem, Result
from service.engine.fit_options import GradientMethod
from service.engine.inference.statistics import summarise
from service.engine.objectives.objective import Objective
from tests.devices import put
from tests.engine.builders import exactly, marquardt, problem

pytestmark = pytest.mark.usefixtures("device")

DECAY = "a*exp(-k*x) + c"


def decay(noise: float = 0.05, seed: int = 1, outliers: bool = False) -> dict[str, list[float]]:
    rng = np.random.default_rng(seed)
    x = np.linspace(0, 4, 31)
    y = 3 * np.exp(-1.3 * x) + 0.5 + noise * rng.normal(size=31)
    if outliers:
        y[[3, 11, 25]] += [2.0, -1.5, 3.0]
    return {"x": x.tolist(), "y": y.tolist()}


ONES = {"a": 1.0, "k": 1.0, "c": 1.0}


def values(of: Problem, result: Result) -> dict[str, float]:
    return dict(zip(of.params, result.params.tolist(), strict=True))


def descend_without_derivatives(
    loss: Callable[[np.ndarray], float], start: list[float], size: float = 1e-3
) -> float:
    """The least loss that a pattern search finds from there (Hooke and Jeeves, JACM 8 (1961) 212),
    along the axes and random directions."""
    rng = np.random.default_rng(0)
    best, at = loss(np.array(start)), np.array(start)
    while size > 1e-11:
        axes = np.eye(len(at))
        mixed = rng.normal(size=(4 * len(at), len(at)))
        directions = np.concatenate([axes, mixed / np.linalg.norm(mixed, axis=1, keepdims=True)])
        moved = False
        for step in directions * np.maximum(1, np.abs(at)) * size:
            for trial in (at + step, at - step):
                value = loss(trial)
                if value < best:
                    best, at, moved = value, trial, True
        size *= 1.0 if moved else 0.4
    return best


# --- bounds --------------------------------------------------------------------------------------


def is_stationary(of: Problem, result: Result, within: float = 1e-6) -> bool:
    """The Karush–Kuhn–Tucker conditions: no gradient inside, none that points inwards at a bound;
    each in units of what its param's uncertainty is worth."""
    objective, theta = Objective(of), put(result.params)
    _, gradient = objective.gradient(theta, GradientMethod())
    _, jacobian = objective.jacobian(theta)
    unit = jacobian.norm(dim=0) * math.sqrt(result.loss / of.rows) + 1e-300
    at_lower, at_upper = theta <= of.lower, theta >= of.upper
    wrong = torch.where(at_lower, -gradient, torch.where(at_upper, gradient, gradient.abs()))
    free = torch.tensor(of.free, device=of.target.device)
    inside = (theta >= of.lower) & (theta <= of.upper)
    return bool((inside & (~free | (wrong <= within * unit))).all())


BOUNDED: dict[str, tuple[dict[str, float], dict[str, tuple[float, float]]]] = {
    "a solution at an upper bound": (ONES | {"k": 0.5}, {"k": (0.0, 1.0)}),
    "a start at the bound that is the solution": (ONES, {"k": (0.0, 1.0)}),
    "a start at the wrong bound": (ONES | {"k": 0.0}, {"k": (0.0, 5.0)}),
    "active on both sides": (ONES | {"k": 0.95, "c": 0.8}, {"k": (0.9, 1.0), "c": (0.7, 2.0)}),
    "bounds that hold nothing": (ONES, {"a": (0.0, 10.0), "k": (0.0, 9.0), "c": (-1.0, 2.0)}),
    "all bounded on the wrong side": (
        {"a": 2.0, "k": 3.0, "c": 0.0},
        {"a": (0.0, 2.0), "k": (2.0, 4.0), "c": (-1.0, 0.1)},
    ),
    "a sliver": (ONES | {"k": 1.0}, {"k": (1.0, 1.0 + 1e-9)}),
}


@pytest.mark.parametrize(
    "name",
    list(BOUNDED),
)
def test_bounds_are_kept_and_the_answer_is_stationary_within_them(name: str) -> None:
    start_at, bounds = BOUNDED[name]
    of = problem(DECAY, decay(), start_at, bounds=bounds)
    result = marquardt(of)
    assert result.stop_reason == "converged"
    assert is_stationary(of, result)


def test_a_bounded_line_whose_params_trade_off() -> None:
    """The thermometer with w at most 0.4: b follows, to the mean of t_c − 0.4·t_u."""
    x = [35.7, 55.9, 58.2, 81.9, 56.3, 48.9, 33.9, 21.8, 48.4, 60.4, 68.4]
    y = [0.5, 14.0, 15.0, 28.0, 11.0, 8.0, 3.0, -4.0, 6.0, 13.0, 21.0]
    of = problem("w*x + b", {"x": x, "y": y}, {"w": 0.3, "b": 1.0}, bounds={"w": (0.2, 0.4)})
    result = marquardt(of)
    assert values(of, result) == pytest.approx({"w": 0.4, "b": -10.22}, rel=1e-9)


FAMILIES: dict[str, tuple[str, dict[str, float], float]] = {
    "line": ("w*x + b", {"w": 2.0, "b": 1.0}, 10.0),
    "parabola": ("a*x**2 + b*x + c", {"a": 1.0, "b": -2.0, "c": 0.5}, 10.0),
    "decay": (DECAY, {"a": 3.0, "k": 1.3, "c": 0.5}, 4.0),
    "logistic": ("a/(1 + exp(-k*(x - m)))", {"a": 4.0, "k": 1.5, "m": 5.0}, 10.0),
}


@pytest.mark.parametrize(
    "name",
    list(FAMILIES),
)
def test_random_bounds_never_end_short_of_the_minimum(name: str) -> None:
    """20 seeded problems a family, each param bounded off the truth with probability a half."""
    text, around, width = FAMILIES[name]
    short = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        truth = {p: v * rng.uniform(0.7, 1.4) for p, v in around.items()}
        x = np.sort(rng.uniform(0, width, 25))
        y = evaluate(text, truth, x) + 0.05 * rng.normal(size=25)
        bounds, start_at = {}, {}
        for p, v in truth.items():
            side, gap = rng.uniform(), abs(v) * rng.uniform(0.02, 0.3)
            low, high = (v + gap, math.inf) if side < 0.25 else (-math.inf, math.inf)
            if 0.25 <= side < 0.5:
                low, high = -math.inf, v - gap
            bounds[p] = (low, high)
            start_at[p] = min(max(v * rng.uniform(0.7, 1.3), low), high)
        of = problem(text, {"x": x.tolist(), "y": y.tolist()}, start_at, bounds=bounds)
        result = marquardt(of)
        if result.stop_reason == "converged" and not is_stationary(of, result, 1e-4):
            short.append(seed)
    assert short == []


def evaluate(text: str, params: Mapping[str, float], x: np.ndarray) -> np.ndarray:
    of = problem(text, {"x": x.tolist(), "y": [0.0] * len(x)}, params)
    return Objective(of).predict(of.initial).cpu().numpy()


def test_fixed_params_stay_and_the_others_reach_the_minimum_without_them() -> None:
    of = problem(DECAY, decay(), ONES, fixed=["k"])
    result = marquardt(of)
    assert float(result.params[1]) == 1.0
    assert result.params.tolist() == pytest.approx(exactly(of).params.tolist(), rel=1e-9)


def test_with_nothing_free_there_is_nothing_to_do() -> None:
    of = problem(DECAY, decay(), ONES, fixed=["a", "k", "c"])
    result = marquardt(of)
    assert result.stop_reason == "converged"
    assert result.epochs <= 1
    assert result.params.tolist() == [1.0, 1.0, 1.0]


# --- degenerate data -----------------------------------------------------------------------------


def test_data_without_noise_are_met_to_rounding() -> None:
    x = np.linspace(0, 4, 31)
    of = problem(DECAY, {"x": x.tolist(), "y": (3 * np.exp(-1.3 * x) + 0.5).tolist()}, ONES)
    result = marquardt(of)
    assert result.stop_reason == "converged"
    assert values(of, result) == pytest.approx({"a": 3.0, "k": 1.3, "c": 0.5}, rel=1e-14)


@pytest.mark.parametrize("rows", [1, 2])
def test_fewer_rows_than_params(rows: int) -> None:
    data = {"x": [0.5, 1.0][:rows], "y": [3.0, 1.0][:rows]}
    of = problem(DECAY, data, ONES)
    result = marquardt(of)
    assert result.loss < 1e-20
    assert summarise(of, result.params).deficient != ()


def test_a_constant_input() -> None:
    data = {"x": [1.0] * 5, "y": [3.0, 3.1, 2.9, 3.0, 3.0]}
    of = problem(DECAY, data, ONES)
    result = marquardt(of)
    assert result.loss == pytest.approx(0.004, rel=1e-9)
    statistics = summarise(of, result.params)
    assert set(statistics.deficient) == {"a", "k", "c"}
    assert statistics.covariance is None


def test_a_model_of_nothing_but_a_constant() -> None:
    of = problem("c", {"y": [1.0, 2.0, 6.0]}, {"c": 0.0})
    assert marquardt(of).params.tolist() == pytest.approx([3.0], rel=1e-15)


def test_a_param_that_changes_nothing_is_left_where_it_is() -> None:
    of = problem("a*x + 0*q", {"x": [1.0, 2.0], "y": [2.0, 4.1]}, {"a": 1.0, "q": 7.0})
    result = marquardt(of)
    assert values(of, result)["q"] == 7.0
    assert values(of, result)["a"] == pytest.approx(2.04, rel=1e-12)


# --- steps off the domain ------------------------------------------------------------------------


def test_trial_steps_that_are_no_numbers_are_not_taken() -> None:
    """log(x − k) is none for k above the least x."""
    rng = np.random.default_rng(1)
    x = np.linspace(3, 7, 30)
    y = 2 * np.log(x - 2) + 1 + 0.05 * rng.normal(size=30)
    of = problem("a*log(x - k) + c", {"x": x.tolist(), "y": y.tolist()}, ONES)
    result = marquardt(of)
    assert result.stop_reason == "converged"
    assert is_stationary(of, result)
    assert values(of, result)["k"] < 3


def test_a_start_that_is_no_number_says_so_at_once() -> None:
    of = problem("a*log(x - k)", {"x": [1.0, 2.0], "y": [1.0, 2.0]}, {"a": 1.0, "k": 5.0})
    result = marquardt(of)
    assert result.stop_reason == "diverged"
    assert result.params.tolist() == of.initial.tolist()


@pytest.mark.parametrize("seed", range(3))
def test_creeping_up_to_the_edge_of_the_domain_is_not_convergence(seed: int) -> None:
    """sqrt(x − k) ends at k = 3, where its slope is infinite; the minimum is at about 2.99."""
    rng = np.random.default_rng(seed)
    x = np.linspace(3, 7, 30)
    y = 2 * np.sqrt(x - 2.99) + 1 + 0.05 * rng.normal(size=30)
    of = problem("a*sqrt(x - k) + c", {"x": x.tolist(), "y": y.tolist()}, ONES)
    result = marquardt(of)
    assert result.stop_reason != "converged" or is_stationary(of, result, 1e-3)


def test_a_piecewise_model_with_a_logarithm_in_one_branch() -> None:
    x = np.array([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 4.0])
    y = np.where(x > 0, 2 * np.log(np.abs(x)) + 1, 0.3)
    of = problem(
        "where(x > 0, a*log(x) + c, b)",
        {"x": x.tolist(), "y": y.tolist()},
        {"a": 1.0, "b": 1.0, "c": 0.0},
    )
    assert values(of, marquardt(of)) == pytest.approx({"a": 2.0, "b": 0.3, "c": 1.0}, rel=1e-12)


# --- scales --------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-15, 1e-8, 1e8, 1e15])
def test_the_unit_of_the_input_changes_nothing_but_its_param(scale: float) -> None:
    data = decay()
    base = problem(DECAY, data, ONES)
    scaled = problem(DECAY, data | {"x": [scale * x for x in data["x"]]}, ONES | {"k": 1.0 / scale})
    first, second = marquardt(base), marquardt(scaled)
    assert second.epochs == first.epochs
    assert second.loss == pytest.approx(first.loss, rel=1e-12)
    assert float(second.params[1]) * scale == pytest.approx(float(first.params[1]), rel=1e-10)


@pytest.mark.parametrize("scale", [1e-150, 1e-8, 1e8, 1e150])
def test_the_unit_of_the_target_changes_nothing_but_its_params(scale: float) -> None:
    data = decay()
    first = marquardt(problem(DECAY, data, ONES))
    scaled = data | {"y": [scale * y for y in data["y"]]}
    second = marquardt(problem(DECAY, scaled, {"a": scale, "k": 1.0, "c": scale}))
    assert second.epochs == first.epochs
    found = second.params / torch.tensor([scale, 1.0, scale], dtype=torch.float64)
    assert found.tolist() == pytest.approx(first.params.tolist(), rel=1e-10)


# --- the record ----------------------------------------------------------------------------------


def test_the_loss_returned_is_that_of_the_params_and_the_lowest() -> None:
    of = problem(DECAY, decay(), ONES)
    result = marquardt(of)
    assert result.loss == float(Objective(of).loss(put(result.params)))
    assert result.best.loss == pytest.approx(result.loss, rel=1e-14)
    assert result.best.params.tolist() == pytest.approx(result.params.tolist(), rel=1e-9)
    assert result.best.loss == float(Objective(of).loss(put(result.best.params)))


def test_too_few_epochs_are_max_epochs() -> None:
    result = marquardt(problem(DECAY, decay(), ONES), epochs=2)
    assert (result.stop_reason, result.epochs) == ("max_epochs", 2)


# --- robust losses -------------------------------------------------------------------------------

SMOOTH = [name for name in LOSSES if name not in ("mse", "mae", "quantile")]


@pytest.mark.parametrize("loss", SMOOTH)
@pytest.mark.parametrize("delta", [None, 0.1])
def test_a_robust_loss_reaches_a_minimum_that_no_search_lowers(
    loss: str, delta: float | None
) -> None:
    """To 1e-12 of the loss: reweighting converges linearly, but to rounding."""
    data = decay(outliers=True)
    of = problem(DECAY, data, ONES, loss=loss, delta=delta)
    result = marquardt(of)
    assert result.stop_reason == "converged"
    lowest = search(of, result)
    assert result.loss <= lowest * (1 + 1e-12)


@pytest.mark.parametrize("loss", ["huber", "soft_l1", "cauchy", "tukey"])
def test_a_robust_loss_is_hardly_moved_by_outliers(loss: str) -> None:
    of = problem(DECAY, decay(outliers=True), ONES, loss=loss, delta=0.1)
    clean = problem(DECAY, decay(), ONES)
    expected = marquardt(clean).params.tolist()
    assert marquardt(of).params.tolist() == pytest.approx(expected, rel=0.1)


def search(of: Problem, result: Result) -> float:
    objective = Objective(of)

    def loss(theta: np.ndarray) -> float:
        return float(objective.loss(put(torch.from_numpy(theta.copy()))))

    return descend_without_derivatives(loss, result.params.tolist())


def best_line(x: list[float], y: list[float], quantile: float) -> float:
    """The least mean pinball loss of a line: one that goes through two of the points."""
    xs, ys = np.array(x), np.array(y)
    best = math.inf
    for i in range(len(xs)):
        for j in range(i):
            w = (ys[i] - ys[j]) / (xs[i] - xs[j])
            r = w * (xs - xs[i]) + ys[i] - ys
            r[[i, j]] = 0.0
            best = min(best, float(np.mean(np.where(r < 0, -quantile * r, (1 - quantile) * r))))
    return best


@pytest.mark.long
@pytest.mark.parametrize("quantile", [0.1, 0.25, 0.5, 0.9])
def test_a_quantile_line_reaches_the_minimum_of_all_lines(quantile: float) -> None:
    """The minimum of a linear programme lies at a vertex, found here by trying every one."""
    gaps = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        x = rng.uniform(0, 10, 21)
        data = {"x": x.tolist(), "y": (2 * x + 1 + rng.standard_t(2, size=21)).tolist()}
        of = problem("w*x + b", data, {"w": 1.0, "b": 1.0}, loss="quantile", delta=quantile)
        best = best_line(data["x"], data["y"], quantile)
        gaps.append((marquardt(of).loss - best) / best)
    assert max(gaps) < 1e-6


@pytest.mark.parametrize(
    ("start_at", "rows"),
    [
        (7.0, [1.0, 2.0, 3.0, 10.0, 100.0]),
        (10.0, [1.0, 2.0, 3.0, 10.0, 100.0]),
    ],
)
def test_the_least_absolute_deviation_is_at_the_median(start_at: float, rows: list[float]) -> None:
    of = problem("m", {"y": rows}, {"m": start_at}, loss="mae")
    assert marquardt(of).params.tolist() == pytest.approx([3.0], abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_with_sigma_is_that_of_the_weighed_residuals(loss: str) -> None:
    of: Any = problem(
        "a*x", {"x": [1.0, 2.0], "y": [3.0, 5.0]}, {"a": 2.0}, loss=loss, sigma=[0.5, 4.0]
    )
    z = torch.tensor([(2 - 3) / 0.5, (4 - 5) / 4.0], dtype=torch.float64)
    function = LOSSES[loss]
    expected = float(function.rho(z, function.default).mean())
    assert float(Objective(of).loss(of.initial)) == pytest.approx(expected, rel=1e-15)
