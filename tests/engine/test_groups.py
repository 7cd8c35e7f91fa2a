"""Runs of groups: however they are sliced, stopped or resumed, and what they are made of."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from service.engine.determination import determine, determine_one
from service.engine.factors import MANY, swift_triangles, triangle, triangles
from service.engine.group_objective import Factors
from service.engine.group_run import GroupedResult
from service.engine.groups import UNEVEN, GroupedTask
from torch import Tensor

from service.engine import GroupedRun, Rows
from service.engine.inference.statistics import summarise, summarise_groups
from service.engine.kernel.types import Floats, Reduced
from service.engine.problem import Tolerance
from tests.devices import put
from tests.engine.builders import problem, task
from tests.translate.grouped import alone, answer, plan
from tests.translate.test_groups import curve, line, rows_of

pytestmark = pytest.mark.usefixtures("device")

SEEDS = st.integers(0, 10**6)
FEW = settings(max_examples=10, deadline=None)


def ended(made: Any, slices: list[int], *, pickled: bool = False) -> GroupedResult:
    """The result of a run in slices of those sizes over and over; or one that begins anew from its
    pickled checkpoint whenever more groups have ended."""
    run = GroupedRun(made.grouped)
    turn = 0
    while not run.done:
        before = run.epoch
        run.step(slices[turn % len(slices)])
        turn += 1
        if pickled and run.epoch > before:
            run = GroupedRun(made.grouped, pickle.loads(pickle.dumps(run.checkpoint())))
    return run.result()


def searched_again() -> dict[str, Any]:
    """Groups of which most are noise, so that they have another turn."""
    request = {**curve("peak", 1, groups=9), "params": {}, "epochs": 80}
    noise = request["data"]["g"] > 3
    request["data"]["y"] = np.where(noise, np.sin(1e6 * request["data"]["y"]), request["data"]["y"])
    return request


REQUESTS: dict[str, Any] = {
    "curves": lambda: curve("decay", 1, groups=70),
    "searched": lambda: {**curve("decay", 1), "params": {}},
    "searched again": lambda: searched_again(),
    "lines": lambda: line(1, groups=70),
    "adam": lambda: {**curve("decay", 1, groups=3), "optimizer": "adam", "epochs": 40},
    "mae": lambda: {**curve("decay", 1, groups=2), "loss": "mae", "epochs": 20},
}


@pytest.mark.parametrize("name", REQUESTS)
def test_slicing_and_resuming_change_no_bit(name: str):
    made = plan(**REQUESTS[name]())
    whole = rows_of(answer(made, ended(made, [10**6])))
    assert rows_of(answer(made, ended(made, [1, 7, 30]))) == whole
    assert rows_of(answer(made, ended(made, [10**5], pickled=True))) == whole


def test_histories_on_request_are_those_of_the_groups_alone():
    made = plan(**{**curve("decay", 2, groups=5), "group_by": {"column": "g", "history": True}})
    found = answer(made, ended(made, [50])).groups
    assert found.history is not None
    for group, history in enumerate(found.history):
        rows: Rows = alone(made, group).rows
        assert history.epoch == rows.epoch.tolist()
        assert history.total == found.epochs[group]
        assert np.allclose(history.loss, rows.loss, rtol=1e-9)
        columns = torch.tensor(list(history.params.values()), dtype=torch.float64).mT
        assert np.allclose(columns, rows.params, rtol=1e-6, atol=1e-9)
        gradient = torch.tensor(list(history.gradient.values()), dtype=torch.float64).mT
        assert np.allclose(gradient, rows.gradient, rtol=1e-6, atol=1e-9)


def test_without_being_asked_for_there_are_none():
    made = plan(**curve("decay", 2, groups=5))
    assert answer(made, ended(made, [50])).groups.history is None


@pytest.mark.parametrize("reason", ["cancelled", "time_limit"])
@pytest.mark.parametrize("optimizer", ["auto", "adam"])
def test_stopped_midway_it_answers_with_what_is_done(reason: Any, optimizer: str):
    request = {**curve("decay", 3, groups=6), "optimizer": optimizer, "epochs": 300}
    rng = np.random.default_rng(3)
    # Groups of sizes too unlike for one batch: the short ones end first.
    request["data"] = {name: np.repeat(column, 2) for name, column in request["data"].items()}
    long = request["data"]["g"] == 0
    for name in request["data"]:
        column = request["data"][name]
        request["data"][name] = np.concatenate([column, np.repeat(column[long], 20)])
    request["data"]["y"] += 0.01 * rng.standard_normal(len(request["data"]["y"]))
    made = plan(**request)
    run = GroupedRun(made.grouped) if made.grouped else None
    assert run is not None
    while not run.epoch:
        run.step(1)
    found = answer(made, run.result(reason))
    assert found.stop_reason == reason
    assert found.status == ("cancelled" if reason == "cancelled" else "succeeded")
    of = found.groups
    begun = [epochs > 0 for epochs in of.epochs]
    assert any(begun)
    assert not all(begun)
    for group, was in enumerate(begun):
        assert math.isnan(of.params["a"][group]) is not was
        assert of.status[group] == ("succeeded" if was else "failed")
        if not was:
            assert (of.stop_reason[group], of.trustworthy[group]) == (reason, False)
            assert of.n[group] > 0
    assert "converged" in of.stop_reason or "max_epochs" in of.stop_reason


def test_before_its_first_step_nothing_is_begun():
    made = plan(**curve("decay", 3, groups=3))
    assert made.grouped is not None
    found = answer(made, GroupedRun(made.grouped).result("cancelled"))
    assert found.groups.status == ["failed"] * 3
    assert found.groups.stop_reason == ["cancelled"] * 3
    assert not found.converged


@pytest.mark.parametrize("epochs", [1, 2, 149, 150, 151, 300, 301])
def test_no_group_is_left_undecided(epochs: int):
    """Groups of few rows have no end but that of their epochs, on one way or the other."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(30), rng.integers(1, 6, 30)).astype(float)
    x, y = rng.uniform(0, 4, len(group)), rng.normal(size=len(group))
    request: dict[str, Any] = {"model": "y = a*exp(-b*x) + c", "params": {"a": 1, "b": 1, "c": 0}}
    made = plan(**request, data={"x": x, "y": y, "g": group}, group_by="g", epochs=epochs)
    found = answer(made, ended(made, [1000]))
    assert "cancelled" not in found.groups.stop_reason
    assert max(found.groups.epochs) <= epochs


@FEW
@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=60), seed=SEEDS)
def test_batches_hold_every_group_once_with_its_own_rows(sizes: list[int], seed: int):
    codes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    x = np.arange(len(codes), dtype=float)
    base = problem("y = a*x", {"x": x.tolist(), "y": x.tolist()}, {"a": 1.0})
    options = task(base, "levenberg_marquardt", None, tolerance=Tolerance()).options  # type: ignore[arg-type]
    start = torch.ones(len(sizes), 1)
    of = GroupedTask(base, options, put(torch.from_numpy(codes)), put(start))
    parts = of.batches()
    assert sorted(torch.cat(parts).tolist()) == list(range(len(sizes)))
    for part in parts:
        batch = of.batch(part)
        longest, shortest = int(batch.rows.max()), int(batch.rows.min())
        assert longest <= UNEVEN * shortest
        assert len(part) == 1 or longest * len(part) <= of.entries
        for line_, group in enumerate(part.tolist()):
            own = batch.columns["x"][line_][: sizes[group]]
            assert own.tolist() == np.flatnonzero(codes == group).tolist()
            assert of.one(group).problem.target.tolist() == own.tolist()


# --- factors --------------------------------------------------------------------------------------


def _columns(seed: int, groups: int, rows: int, width: int) -> Tensor:
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((groups, rows, width))
    matrix *= 10.0 ** rng.uniform(-3, 3, (groups, 1, width))
    return torch.from_numpy(matrix)


EACH_WAY = pytest.mark.parametrize("factors", [triangles, swift_triangles])


@EACH_WAY
@FEW
@given(seed=SEEDS, groups=st.integers(MANY, 90), width=st.integers(1, 8), extra=st.integers(-4, 30))
def test_side_by_side_r_is_householders_but_for_signs(
    factors: Factors, seed: int, groups: int, width: int, extra: int
):
    matrix = _columns(seed, groups, max(1, width + extra), width)
    found = factors(matrix.permute(2, 0, 1).contiguous())
    gram, due = found.mT @ found, matrix.mT @ matrix
    size = matrix.square().sum(dim=1).sqrt()
    error = (gram - due).abs() / (size.unsqueeze(-1) * size.unsqueeze(-2))
    assert float(error.max()) < 1e-13
    if extra > 2:
        r = torch.linalg.qr(matrix, mode="r")[1]
        signs = torch.sign(r.diagonal(dim1=-2, dim2=-1)).unsqueeze(-1)
        assert float(((found - signs * r).abs() / size.unsqueeze(-2)).max()) < 1e-11
    assert float(found.tril(-1).abs().max()) == 0.0


def _upright(factor: Tensor) -> Tensor:
    """With a diagonal that is not negative: R is unique but for the signs of its rows."""
    return torch.sign(factor.diagonal(dim1=-2, dim2=-1)).unsqueeze(-1) * factor


@EACH_WAY
@FEW
@given(seed=SEEDS, apart=st.floats(-9, 0))
def test_columns_that_nearly_depend_on_each_other_keep_their_digits(
    factors: Factors, seed: int, apart: float
):
    matrix = _columns(seed, MANY, 30, 4)
    matrix[::2, :, 1] = matrix[::2, :, 0] + 10.0**apart * matrix[::2, :, 1]
    found = _upright(factors(matrix.permute(2, 0, 1).contiguous()))
    due = _upright(torch.linalg.qr(matrix, mode="r")[1])
    size = matrix.square().sum(dim=1).sqrt()
    # Householder's own error grows with the condition number.
    scaled = due / size.unsqueeze(-2)
    worse = torch.linalg.cond(scaled[:, :3, :3]).clamp(min=1e3).reshape(-1, 1, 1)
    assert float(((found - due).abs() / size.unsqueeze(-2) / worse).max()) < 1e-14


@EACH_WAY
@pytest.mark.parametrize("power", [-300, -170, 170, 300])
def test_squares_beyond_the_dtype_do_no_harm(factors: Factors, power: int):
    matrix = _columns(1, MANY, 20, 3)
    scale = torch.tensor([1.0, 10.0**power, 1.0], dtype=torch.float64)
    found = factors((matrix * scale).permute(2, 0, 1).contiguous())
    due = factors(matrix.permute(2, 0, 1).contiguous())
    assert torch.allclose(found / scale, due, rtol=1e-12)


@EACH_WAY
def test_a_matrix_that_is_extreme_or_not_finite_changes_no_bit_of_the_others(factors: Factors):
    matrix = _columns(2, MANY + 2, 20, 3)
    spoilt = matrix.clone()
    spoilt[0], spoilt[1, 3, 1] = 1e200, torch.nan
    spoilt[2] = 0.0
    found = factors(spoilt.permute(2, 0, 1).contiguous())
    due = factors(matrix.permute(2, 0, 1).contiguous())
    assert torch.equal(found[3:], due[3:])
    assert not torch.isfinite(found[1]).all()
    assert not found[2].any()


# --- statistics -----------------------------------------------------------------------------------


@FEW
@given(seed=SEEDS)
def test_determining_many_is_determining_each(seed: int):
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((20, 15, 4))
    matrix[3, :, 1] = matrix[3, :, 0] * 2
    matrix[4, :, 2] = 0.0
    matrix[5, :, 1] = matrix[5, :, 0] * (1 + 1e-9 * rng.standard_normal(15))
    matrix[6, 0, 0] = np.nan
    factor = np.array([triangle(torch.from_numpy(each)).numpy() for each in matrix])
    rows, theta = np.full(20, 15), rng.standard_normal((20, 3))
    limits = (np.array([-np.inf, -0.5, -np.inf]), np.array([np.inf, np.inf, 0.5]))
    together = determine(factor, rows, np.clip(theta, *limits), limits)
    for i in range(20):
        one = slice(i, i + 1)
        apart = determine(factor[one], rows[one], np.clip(theta[one], *limits), limits)
        for name in ("inverse", "finite", "condition", "lost", "flat", "held", "offset", "pull"):
            found, due = getattr(together, name)[i], getattr(apart, name)[0]
            assert np.allclose(found, due, rtol=1e-12, atol=0, equal_nan=True), name
    assert together.lost[3].tolist() == [True, True, False]
    assert together.flat[4].tolist() == [False, False, True]
    assert not together.lost[5].any()
    assert together.condition[5] > 1e8
    assert not together.finite[6]


@FEW
@given(seed=SEEDS, spread=st.floats(-12, 0))
def test_the_short_cut_to_the_condition_number_bounds_it(seed: int, spread: float):
    """‖R⁻¹‖ by Frobenius's norm times √p, R with columns of unit norm, is between the condition
    number and p times it; from DOUBTFUL on the singular values themselves say it."""
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((1, 30, 4))
    matrix[0, :, 1] = matrix[0, :, 0] + 10.0**spread * matrix[0, :, 1]
    factor: Floats = np.asarray(np.linalg.qr(matrix, mode="r"))
    open_ = (np.full(3, -np.inf), np.full(3, np.inf))
    found = determine(factor, np.array([30]), np.zeros((1, 3)), open_)
    r = factor[0, :3, :3] / np.linalg.norm(factor[0, :3, :3], axis=0)
    true = np.linalg.cond(r)
    assert true * (1 - 1e-6) <= found.condition[0] <= 3 * true * (1 + 1e-6)
    inverse = np.linalg.inv(factor[0, :3, :3])
    if not found.lost.any():
        assert np.allclose(found.inverse[0], inverse, rtol=1e-6, atol=1e-9 * abs(inverse).max())


@FEW
@given(seed=SEEDS)
def test_one_in_plain_numbers_is_one_of_many(seed: int):
    rng = np.random.default_rng(seed)
    p = int(rng.integers(1, 10))
    matrix = rng.standard_normal((8, p + 6, p + 1)) * 10.0 ** rng.integers(-6, 7, p + 1)
    matrix[1, :, p // 2] = 0.0
    matrix[2, :, -1] = matrix[2, :, 0]
    matrix[3, 0, 0] = np.inf
    matrix[4, :, -1] = 0.0
    matrix[5] *= 1e200
    matrix[6] *= 1e-200
    factor = np.array([triangle(torch.from_numpy(each)).numpy() for each in matrix])
    rows, theta = np.full(8, p + 6), rng.uniform(-1, 1, (8, p))
    limits = np.where(rng.random(p) < 0.1, theta[7], -2.0), np.full(p, 2.0)
    with np.errstate(all="ignore"):
        together = determine(factor, rows, theta, limits)
        each = [determine_one(factor[i], p + 6, theta[i], limits) for i in range(8)]
    for i, found in enumerate(each):
        for name in ("inverse", "finite", "condition", "lost", "flat", "held", "offset", "pull"):
            due = getattr(together, name)[i]
            assert np.allclose(getattr(found, name), due, rtol=1e-9, atol=0, equal_nan=True), name


def test_statistics_of_many_are_those_of_each():
    rng = np.random.default_rng(5)
    problems = []
    for _ in range(8):
        x = rng.uniform(0, 4, 20)
        y = 2 * np.exp(-x) + 0.1 * rng.standard_normal(20)
        data = {"x": x.tolist(), "y": y.tolist()}
        problems.append(problem("y = a*exp(-b*x)", data, {"a": 2.0, "b": 1.0}))
    each = [summarise(one, one.initial) for one in problems]
    parts = [one.reduced for one in each]
    names = [name for name in Reduced.__dataclass_fields__ if name != "kept"]
    joined = Reduced(**{n: np.stack([getattr(part, n) for part in parts]) for n in names})
    together = summarise_groups(problems[0], np.tile([[2.0, 1.0]], (8, 1)), joined)
    for i, one in enumerate(each):
        assert one.covariance is not None
        assert np.allclose(together.covariance[i], one.covariance, rtol=1e-12)
        assert together.r_squared[i] == one.r_squared
        assert together.aic[i] == pytest.approx(one.aic, rel=1e-12)
        assert together.residual_std[i] == pytest.approx(one.residual_std, rel=1e-12)
        assert together.offset[i] == pytest.approx(one.offset, rel=1e-9)
