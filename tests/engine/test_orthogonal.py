"""Errors in the inputs: distances to the curve, fits by them, and what they come to in limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from service.catalogue.options import NoOptions
from service.engine import Problem, Result, Task, grouped, run_of
from service.engine.fit_options import Options, Tolerance
from service.engine.inference.intervals import intervals
from service.engine.inference.statistics import summarise
from service.engine.objectives.orthogonal import nearest, noisy_inputs
from service.engine.result import GroupedResult
from service.fitting.packing import pack, unpack
from tests.engine.builders import problem

OPTIONS = Options(
    "levenberg_marquardt", NoOptions(), epochs=500, record_every=1,
    tolerance=Tolerance(params=1e-10), challenge=False,
)  # fmt: skip
Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def noisy(
    text: str,
    data: Mapping[str, Floats],
    params: Mapping[str, float],
    sigma_x: Mapping[str, Floats | float],
    sigma: Floats | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    fixed: Sequence[str] = (),
) -> Problem:
    columns = {name: column.tolist() for name, column in data.items()}
    made = problem(
        text, columns, params, sigma=None if sigma is None else sigma.tolist(), bounds=bounds,
        fixed=fixed,
    )  # fmt: skip
    made = made.to("cpu")
    spread = {
        name: torch.from_numpy(np.broadcast_to(each, made.rows).astype(float).copy())
        for name, each in sigma_x.items()
    }
    return replace(made, sigma_x=spread)


def fitted(of: Problem, epochs: int = 500) -> Result:
    run = run_of(Task(of, OPTIONS))
    while not run.done:
        run.step(epochs)
    found = run.result(None)
    assert isinstance(found, Result)
    return found


def stderr_of(of: Problem, found: Result) -> list[float]:
    stderr = summarise(of, found.params).stderr
    assert stderr is not None
    errors: list[float] = stderr.tolist()
    return errors


def data(seed: int, rows: int = 30) -> dict[str, Floats]:
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.5, 6.0, rows)
    y = 3.0 * np.exp(-0.5 * x) + rng.normal(0, 0.05, rows)
    return {"x": x + rng.normal(0, 0.2, rows), "y": y}


DECAY = "y = a*exp(-b*x)"


def test_a_line_with_x_and_y_swapped_is_its_inverse() -> None:
    rng = np.random.default_rng(1)
    x = rng.uniform(0, 10, 40)
    y = 1 + 2 * x + rng.normal(0, 0.5, 40)
    x = x + rng.normal(0, 0.3, 40)
    start = {"a": 0.0, "b": 1.0}
    spread = np.linspace(0.2, 0.6, 40)
    one = fitted(noisy("y = a + b*x", {"x": x, "y": y}, start, {"x": spread}, np.full(40, 0.5)))
    other = fitted(noisy("y = a + b*x", {"x": y, "y": x}, start, {"x": 0.5}, spread))
    a, b = one.params.tolist()
    swapped_a, swapped_b = other.params.tolist()
    assert 1 / swapped_b == pytest.approx(b, rel=1e-10)
    assert -swapped_a / swapped_b == pytest.approx(a, rel=1e-10)
    assert one.loss == pytest.approx(other.loss, rel=1e-12)


def test_small_errors_in_x_are_ordinary_least_squares() -> None:
    exact = noisy(DECAY, data(2), {"a": 2.0, "b": 0.4}, {})
    small = replace(exact, sigma_x={"x": torch.full((30,), 1e-7, dtype=torch.float64)})
    ordinary, found = fitted(exact), fitted(small)
    np.testing.assert_allclose(found.params, ordinary.params, rtol=1e-10)
    assert stderr_of(small, found) == pytest.approx(stderr_of(exact, ordinary), rel=1e-9)


def test_rows_with_an_exact_x_are_not_moved() -> None:
    spread = np.where(np.arange(30) % 3 == 0, 0.0, 0.2)
    made = noisy(DECAY, data(3), {"a": 2.0, "b": 0.4}, {"x": spread}, np.full(30, 0.05))
    errors = nearest(made, made.whole, fitted(made).params.unsqueeze(0))[0].errors[0]
    assert (errors[spread == 0] == 0).all()
    assert (errors[spread > 0] != 0).all()


def test_the_sum_of_squares_has_its_minimum_over_params_and_errors() -> None:
    """With two inputs with errors: no change of a param or of an error lowers it."""
    rng = np.random.default_rng(4)
    x, u = rng.uniform(1, 5, 25), rng.uniform(0.2, 2, 25)
    y = 2 * np.log(x) + 0.7 * u**2 * x + rng.normal(0, 0.1, 25)
    x, u = x + rng.normal(0, 0.2, 25), u + rng.normal(0, 0.1, 25)
    made = noisy(
        "y = a*log(x) + b*u**2*x + c", {"x": x, "u": u, "y": y}, {"a": 1.0, "b": 1.0, "c": 0.0},
        {"x": 0.2, "u": 0.1}, np.full(25, 0.1),
    )  # fmt: skip
    found = fitted(made)
    at = nearest(made, made.whole, found.params.unsqueeze(0))[0]
    places = dict(zip(noisy_inputs(made), at.errors, strict=True))

    def total(params: Floats, dx: Floats, du: Floats) -> float:
        a, b, c = params
        f = a * np.log(x + dx) + b * (u + du) ** 2 * (x + dx) + c
        parts = ((f - y) / 0.1) ** 2 + (dx / 0.2) ** 2 + (du / 0.1) ** 2
        return float(parts.sum())

    theta, dx, du = found.params.numpy(), places["x"], places["u"]
    lowest = total(theta, dx, du)
    assert lowest == pytest.approx(found.loss * 25, rel=1e-12)
    for step in (1e-4, -1e-4):
        for i in range(3):
            moved = theta.copy()
            moved[i] += step
            assert total(moved, dx, du) > lowest
        for i in range(25):
            one = np.eye(25)[i] * step
            assert total(theta, dx + one, du) > lowest
            assert total(theta, dx, du + one) > lowest


def test_the_covariance_is_that_of_params_and_errors_together() -> None:
    made = noisy(DECAY, data(5), {"a": 2.0, "b": 0.4}, {"x": 0.2}, np.full(30, 0.05))
    found = fitted(made)
    a, b = found.params.tolist()
    at = nearest(made, made.whole, found.params.unsqueeze(0))[0]
    x = made.columns["x"].numpy() + at.errors[0]
    f = np.exp(-b * x)
    top = np.concatenate([np.stack([f, -a * x * f], axis=1), np.diag(-a * b * f)], axis=1) / 0.05
    whole = np.concatenate([top, np.concatenate([np.zeros((30, 2)), np.eye(30) / 0.2], axis=1)])
    covariance = np.linalg.inv(whole.T @ whole)[:2, :2] * found.loss * 30 / 28
    errors = np.sqrt(covariance.diagonal()).tolist()
    assert stderr_of(made, found) == pytest.approx(errors, rel=1e-8)
    correlation = summarise(made, found.params).correlation
    assert correlation is not None
    assert correlation[0, 1] == pytest.approx(covariance[0, 1] / np.prod(errors), rel=1e-8)


def test_groups_are_as_alone_bit_for_bit() -> None:
    sizes = [5, 9, 30, 4, 17]
    codes = np.repeat(np.arange(5), sizes)
    every = data(6, len(codes))
    spread = np.where(np.arange(len(codes)) % 4 == 0, 0.0, 0.2)
    made = noisy(DECAY, every, {"a": 2.0, "b": 0.4}, {"x": spread}, np.full(len(codes), 0.05))
    initial = made.initial.repeat(5, 1)
    task = grouped(made, OPTIONS, torch.from_numpy(codes), initial)
    run = run_of(task)
    while not run.done:
        run.step(3)
    together = run.result(None)
    assert isinstance(together, GroupedResult)
    for group in range(5):
        alone = fitted(task.one(group).problem, epochs=2)
        assert together.ends.theta[group].tolist() == alone.params.tolist()
        assert float(together.ends.loss[group]) == alone.loss


def test_a_run_continues_from_a_checkpoint_bit_for_bit() -> None:
    made = noisy(DECAY, data(7), {"a": 9.0, "b": 2.0}, {"x": 0.2}, np.full(30, 0.05))
    whole, run = fitted(made), run_of(Task(made, OPTIONS))
    while not run.done:
        run.step(1)
        run = run_of(Task(made, OPTIONS), unpack(pack(run.checkpoint())))
    found = run.result(None)
    assert isinstance(found, Result)
    assert found.params.tolist() == whole.params.tolist()


def test_a_stopped_run_answers_with_the_fit_with_exact_inputs() -> None:
    made = noisy(DECAY, data(8), {"a": 2.0, "b": 0.4}, {"x": 0.2}, np.full(30, 0.05))
    run = run_of(Task(made, OPTIONS))
    found = run.result("cancelled")
    assert isinstance(found, Result)
    assert found.stop_reason == "cancelled"
    assert np.isfinite(found.loss)


def test_x_stays_within_the_domain_of_a_logarithm() -> None:
    x = np.array([0.05, 0.1, 0.2, 0.5, 1, 2, 4])
    y = np.log(x) + np.array([0.6, -0.5, 0.1, -0.05, 0.02, 0.01, -0.03])
    made = noisy(
        "y = a*log(x) + b", {"x": x, "y": y}, {"a": 1.0, "b": 0.0}, {"x": 0.1}, np.full(7, 0.05)
    )
    found = fitted(made)
    errors = nearest(made, made.whole, found.params.unsqueeze(0))[0].errors[0]
    assert found.stop_reason == "converged"
    assert (x + errors > 0).all()


def test_a_fixed_param_stays_and_a_bound_holds() -> None:
    start, spread = {"a": 2.0, "b": 0.4}, {"x": np.full(30, 0.2)}
    held = fitted(noisy(DECAY, data(9), start, spread, fixed=["b"]))
    assert float(held.params[1]) == 0.4
    bounded = fitted(noisy(DECAY, data(9), start, spread, bounds={"b": (0.0, 0.41)}))
    assert float(bounded.params[1]) == 0.41


def test_profile_intervals_are_where_the_sum_has_risen_by_the_squared_quantile() -> None:
    made = noisy(DECAY, data(10), {"a": 2.0, "b": 0.4}, {"x": 0.2}, np.full(30, 0.05))
    found = fitted(made)
    statistics = summarise(made, found.params)
    limits = intervals(made, found.params, statistics, 0.95, "profile")
    assert limits is not None
    assert statistics.reduced_chi_squared is not None
    risen = statistics.t() ** 2 * statistics.reduced_chi_squared
    for end in (limits.lower[1], limits.upper[1]):
        start = {"a": float(found.params[0]), "b": float(end)}
        there = fitted(noisy(DECAY, data(10), start, {"x": 0.2}, np.full(30, 0.05), fixed=["b"]))
        assert (there.loss - found.loss) * 30 == pytest.approx(risen, rel=1e-6)
