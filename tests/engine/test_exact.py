"""Linear least squares in one step: against numpy and against StRD's certified answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from service.engine import start
from service.engine.long import PART
from service.engine.optimizers.exact import Exact, solve
from service.engine.inference.statistics import summarise
from tests.engine.builders import exactly, problem, task
from tests.engine.linear_sets import SETS, LinearSet
from tests.nist import digits

pytestmark = pytest.mark.usefixtures("device")

# The least digits of the params and of the standard errors (11 is "all that is compared"): what the
# scaled QR with one refinement gives, less about one. Filip's columns lose ten of the sixteen.
DIGITS = {
    "Wampler1": (9.0, 0.0),
    "Wampler2": (10.5, 0.0),
    "Wampler3": (9.0, 11.0),
    "Wampler4": (7.5, 11.0),
    "Wampler5": (5.5, 11.0),
    "Longley": (10.5, 11.0),
    "Filip": (6.5, 6.0),
}


@pytest.mark.parametrize("known", SETS, ids=lambda known: known.name)
def test_a_certified_linear_problem(known: LinearSet) -> None:
    of = problem(known.formula, known.data, dict.fromkeys(known.params, 0.0))
    result = exactly(of)
    statistics = summarise(of, result.params)
    assert statistics.deficient == ()
    assert statistics.stderr is not None
    params, errors = DIGITS[known.name]
    values = dict(zip(of.params, result.params.tolist(), strict=True))
    spread = dict(zip(of.params, statistics.stderr.tolist(), strict=True))
    assert min(digits(values[n], v) for n, v in known.params.items()) >= params
    assert statistics.residual_std is not None
    if known.residual_std:
        assert min(digits(spread[n], v) for n, v in known.stderr.items()) >= errors
        assert digits(statistics.residual_std, known.residual_std) >= errors
    else:
        assert statistics.residual_std < 1e-8


@pytest.mark.parametrize("start_at", [0.0, 1.0, -1e6])
def test_the_answer_hardly_depends_on_the_start(start_at: float) -> None:
    x = np.linspace(0.0, 5.0, 30)
    y = 2.0 - 0.3 * x + np.sin(3 * x)
    data = {"x": x.tolist(), "y": y.tolist()}
    of = problem("a + b*x + c*sin(3*x)", data, dict.fromkeys("abc", start_at))
    design = np.stack([np.ones_like(x), x, np.sin(3 * x)], axis=1)
    expected = np.linalg.lstsq(design, y, rcond=None)[0]
    assert exactly(of).params.tolist() == pytest.approx(expected.tolist(), abs=1e-9)


@pytest.fixture
def noisy() -> dict[str, list[float]]:
    rng = np.random.default_rng(3)
    x = rng.uniform(-2, 2, 40)
    return {"x": x.tolist(), "y": (1 + 2 * x - x**2 + 0.1 * rng.normal(size=40)).tolist()}


def test_sigma_weighs_the_rows(noisy: dict[str, list[float]]) -> None:
    x, y = np.array(noisy["x"]), np.array(noisy["y"])
    sigma = 0.1 + np.abs(x)
    of = problem("a + b*x + c*x**2", noisy, dict.fromkeys("abc", 1.0), sigma=sigma.tolist())
    design = np.stack([np.ones_like(x), x, x**2], axis=1)
    expected = np.linalg.lstsq(design / sigma[:, None], y / sigma, rcond=None)[0]
    result = exactly(of)
    assert result.params.tolist() == pytest.approx(expected.tolist(), rel=1e-11)
    assert result.loss == pytest.approx(np.mean(((design @ expected - y) / sigma) ** 2), rel=1e-12)


def test_a_fixed_param_makes_an_offset(noisy: dict[str, list[float]]) -> None:
    x, y = np.array(noisy["x"]), np.array(noisy["y"])
    of = problem("a + b*x + c*x**2", noisy, {"a": 1.0, "b": 1.5, "c": 1.0}, fixed=["b"])
    design = np.stack([np.ones_like(x), x**2], axis=1)
    expected = np.linalg.lstsq(design, y - 1.5 * x, rcond=None)[0]
    assert exactly(of).params.tolist() == pytest.approx([expected[0], 1.5, expected[1]], rel=1e-11)


def test_a_nonlinear_param_may_be_fixed(noisy: dict[str, list[float]]) -> None:
    x, y = np.array(noisy["x"]), np.array(noisy["y"])
    of = problem("a*exp(-k*x) + c", noisy, {"a": 1.0, "k": 0.7, "c": 0.0}, fixed=["k"])
    design = np.stack([np.exp(-0.7 * x), np.ones_like(x)], axis=1)
    expected = np.linalg.lstsq(design, y, rcond=None)[0]
    assert of.is_linear
    assert exactly(of).params.tolist() == pytest.approx([expected[0], 0.7, expected[1]], rel=1e-11)


def test_with_nothing_free_the_fit_is_its_start(noisy: dict[str, list[float]]) -> None:
    of = problem("a + b*x", noisy, {"a": 1.0, "b": 2.0}, fixed=["a", "b"])
    result = exactly(of)
    assert (result.stop_reason, result.params.tolist()) == ("converged", [1.0, 2.0])


def test_dependent_params_share_evenly_and_are_named(noisy: dict[str, list[float]]) -> None:
    """The least norm of the scaled params: w and v have equal columns, so they are equal."""
    of = problem("w*x + v*x + b", noisy, {"w": 0.0, "v": 0.0, "b": 0.0})
    result = exactly(of)
    one = exactly(problem("w*x + b", noisy, {"w": 0.0, "b": 0.0}))
    w, v, b = result.params.tolist()
    assert w == pytest.approx(v, rel=1e-12)
    assert (w + v, b) == pytest.approx(tuple(one.params.tolist()), rel=1e-12)
    statistics = summarise(of, result.params)
    assert set(statistics.deficient) == {"w", "v"}
    assert statistics.covariance is None
    assert "w, v" in str(statistics.covariance_reason)


def test_a_param_that_acts_on_nothing_stays_put_and_is_named() -> None:
    data = {"x": [1.0, 2.0, 3.0, 4.0], "z": [0.0] * 4, "y": [1.0, 2.0, 2.5, 4.0]}
    of = problem("w*x + v*z", data, {"w": 0.0, "v": 5.0})
    result = exactly(of)
    assert float(result.params[1]) == 5.0
    assert summarise(of, result.params).deficient == ("v",)


@pytest.mark.parametrize("rows", [1, 2])
def test_fewer_rows_than_params_give_the_answer_of_least_norm(rows: int) -> None:
    data = {"x": [1.0, 2.0][:rows], "y": [3.0, 5.0][:rows]}
    of = problem("a + b*x + c*x**2", data, dict.fromkeys("abc", 0.0))
    result = exactly(of)
    assert result.stop_reason == "converged"
    assert result.loss == pytest.approx(0.0, abs=1e-20)


def test_solve_finds_the_rank() -> None:
    x = torch.linspace(0, 1, 9, dtype=torch.float64)
    columns = torch.stack([torch.ones_like(x), x, 3 * x - 2, torch.zeros_like(x)], dim=1)
    solved = solve(columns, -x)
    assert solved.rank == 2
    assert float(solved.step[3]) == 0.0
    assert (columns @ solved.step).tolist() == pytest.approx(x.tolist(), abs=1e-14)


def test_columns_of_any_size_are_solved_alike() -> None:
    """Scaling by powers of two changes no bit."""
    x = np.linspace(1.0, 2.0, 12)
    y = (3 + 2 * x + 0.01 * np.cos(9 * x)).tolist()
    answers = []
    for scale in (2.0**-30, 1.0, 2.0**30):
        of = problem("a + b*x", {"x": (x * scale).tolist(), "y": y}, {"a": 0.0, "b": 0.0})
        a, b = exactly(of).params.tolist()
        answers.append((a, b * scale))
    assert answers[0] == answers[1] == answers[2]


def test_the_history_has_the_one_epoch(noisy: dict[str, list[float]]) -> None:
    of = problem("a + b*x", noisy, {"a": 0.0, "b": 0.0})
    run = start(task(of, "exact", Exact(), 1))
    rows = run.step(1)
    assert rows.epoch.tolist() == [1]
    assert run.done
    assert rows.params[0].tolist() == run.result().params.tolist()
    assert float(rows.loss[0]) == pytest.approx(np.mean(np.square(noisy["y"])), rel=1e-14)


@pytest.mark.parametrize("size", [1e200, 1e-200])
def test_data_of_extreme_size_do_not_overflow_the_norms(size: float) -> None:
    data = {"x": [1 * size, 2 * size, 3 * size, 4 * size], "y": [1.0, 2.0, 2.0, 3.0]}
    of = problem("a + b*x", data, {"a": 0.0, "b": 0.0})
    a, b = exactly(of).params.tolist()
    assert a == pytest.approx(0.5, rel=1e-9)
    assert b * size == pytest.approx(0.6, rel=1e-9)
    assert math.isfinite(a)


@pytest.mark.parametrize("fixed", [(), ("w",)], ids=["free", "fixed"])
@pytest.mark.parametrize("weighed", [False, True], ids=["alike", "weighed"])
def test_statistics_of_long_data_are_those_of_the_fits_own_factor(
    fixed: tuple[str, ...], weighed: bool
) -> None:
    rng = np.random.default_rng(7)
    x = rng.uniform(-1, 7, 3 * PART + 17)
    y = 2 * x - 3 + 0.1 * rng.standard_normal(len(x))
    sigma = rng.uniform(0.5, 1.5, len(x)).tolist() if weighed else None
    start_at = {"w": 1.9, "b": 0.5}
    data = {"x": x.tolist(), "y": y.tolist()}
    of = problem("y = w*x + b", data, start_at, sigma=sigma, fixed=fixed)
    result = exactly(of)
    assert result.factor is not None
    short = summarise(of, result.params, result.factor)
    anew = summarise(of, result.params)
    assert np.allclose(short.z, anew.z, rtol=1e-12, atol=1e-12)
    for name in ("residual_std", "r_squared", "aic", "condition"):
        assert getattr(short, name) == pytest.approx(getattr(anew, name), rel=1e-11)
    assert short.covariance == pytest.approx(anew.covariance, rel=1e-10)
    assert max(short.offset, anew.offset) < 1e-8
