"""What R factors tell: against the same by numpy, and where that loses digits, against what is
known."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.kernel import determination
from service.engine.kernel.determination import DOUBTFUL, INVOLVED, Determined
from service.engine.kernel.types import Floats
from tests.engine.kernel.arrays import SEEDS, determined, triangle_of, unlimited

FEW = settings(max_examples=40, deadline=None)
LIKE = 1e-9


def group(rng: np.random.Generator, rows: int, q: int, kind: str) -> Floats:
    """[J ψ] of one group, of that kind."""
    matrix: Floats = rng.standard_normal((rows, q + 1)) * 10.0 ** rng.integers(-6, 7, q + 1)
    one, other = rng.permutation(q)[:2] if q > 1 else (0, 0)
    if kind == "dependent":
        matrix[:, one] = matrix[:, other] * (2.0 if q > 1 else 0.0)
    elif kind == "near" and q > 1:
        noise = 10.0 ** rng.uniform(-9, -3) * rng.standard_normal(rows)
        matrix[:, one] = matrix[:, other] * (1.0 + noise)
    elif kind == "zero column":
        matrix[:, one] = 0.0
    elif kind == "all zero":
        matrix[:, :q] = 0.0
    elif kind == "no pull":
        matrix[:, q] = 0.0
    elif kind == "along":
        matrix[:, q] = matrix[:, one] * 3.0
    elif kind == "infinite":
        matrix[rng.integers(rows), rng.integers(q + 1)] = np.inf
    return matrix


KINDS = [
    "plain", "dependent", "near", "zero column", "all zero", "no pull", "along", "infinite",
]  # fmt: skip


class Due(NamedTuple):
    """Of one group: see `Determined`."""

    inverse: Floats
    products: Floats
    finite: bool
    condition: float
    lost: Floats
    flat: Floats
    held: Floats
    offset: float
    pull: float


def by_numpy(factor: Floats, rows: int, theta: Floats, limits: tuple[Floats, Floats]) -> Due:
    """The singular values of R with columns of unit norm say all, where its inverse is large."""
    q, pull = len(theta), np.linalg.norm(factor[:, -1])
    none, unknown = np.zeros(q, dtype=bool), np.full((q, q), np.nan)
    if not np.isfinite(factor).all():
        return Due(unknown, unknown, False, math.inf, ~none, none, none, math.inf, float(pull))
    r, along = factor[:-1, :-1], factor[:-1, -1]
    norms = np.linalg.norm(r, axis=0)
    scale = np.where(norms > 0, norms, 1.0)
    scaled, lost, condition = r / scale, none, math.inf
    inverse, within = unknown, np.linalg.norm(along)
    if scaled.diagonal().all():
        inverse = np.linalg.inv(scaled)
        condition = math.sqrt(q) * float(np.linalg.norm(inverse))
    if not condition <= DOUBTFUL:
        u, singular, vh = np.linalg.svd(scaled)
        short = singular <= np.finfo(float).eps * max(rows, q) * singular[0]
        lost = (np.abs(vh[short]) > INVOLVED).any(axis=0)
        told = singular[-1] > 0 and rows >= q
        condition = float(singular[0] / singular[-1]) if told else math.inf
        within = np.linalg.norm((u.T @ along)[~short])
    slope = r.T @ along
    held = ((theta <= limits[0]) & (slope > 0)) | ((theta >= limits[1]) & (slope < 0))
    offset = offset_of(float(within), float(pull), rows, q)
    if held.any():
        again = triangle_of(np.column_stack([scaled[:, ~held], along]))
        part, rest = again[:-1, :-1], again[:-1, -1]
        u, singular, _ = np.linalg.svd(part)
        told = singular > np.finfo(float).eps * max(rows, q) * singular[:1].sum()
        within = np.linalg.norm((u.T @ rest)[: len(singular)][told])
        offset = offset_of(float(within), float(pull), rows, len(part))
    inverse = unknown if lost.any() else inverse / scale[:, None]
    return Due(
        inverse, inverse @ inverse.T, True, condition, lost, norms == 0, held, offset, float(pull)
    )


def offset_of(within: float, pull: float, rows: int, q: int) -> float:
    if rows <= q or q == 0 or pull == 0:
        return 0.0
    across = math.sqrt(max(pull**2 - within**2, 0.0))
    if across <= 1e-14 * pull:
        return math.inf
    return (within / math.sqrt(q)) / (across / math.sqrt(rows - q))


@pytest.mark.parametrize("spare", [-2, 0, 1, 20])
@pytest.mark.parametrize("bounded", [False, True], ids=["free", "bounded"])
@FEW
@given(seed=SEEDS, q=st.integers(1, 10))
def test_it_is_what_numpy_tells(spare: int, bounded: bool, seed: int, q: int) -> None:
    rng = np.random.default_rng(seed)
    rows = max(q + spare, 1)
    factor = np.array([triangle_of(group(rng, rows, q, kind)) for kind in KINDS])
    theta = rng.choice([-1.0, 0.0, 1.0], (len(KINDS), q))
    limits = (np.full(q, -1.0), np.full(q, 1.0)) if bounded else unlimited(q)
    found = determined(factor, rows, theta, limits)
    for i, kind in enumerate(KINDS):
        with np.errstate(all="ignore"):
            due = by_numpy(factor[i], rows, theta[i], limits)
        assert found.finite[i] == due.finite
        assert found.flat[i].tolist() == due.flat.tolist()
        assert_alike(found, due, i, factor[i], f"{kind} {seed}")
        assert not (due.lost & ~found.lost[i]).any()
        if due.finite and due.condition > DOUBTFUL:
            part = part_without_data(factor[i], rows)
            clear = np.abs(part - INVOLVED) > 1e-6
            assert found.lost[i][clear].tolist() == (part > INVOLVED)[clear].tolist()
        else:
            assert found.lost[i].tolist() == due.lost.tolist()


def part_without_data(factor: Floats, rows: int) -> Floats:
    """Of each param, its largest part in any direction without data: numpy's are those of one basis
    of such directions."""
    r = factor[:-1, :-1]
    lengths = np.linalg.norm(r, axis=0)
    _, singular, vh = np.linalg.svd(r / np.where(lengths > 0, lengths, 1.0))
    short = singular <= np.finfo(float).eps * max(rows, len(r)) * singular[0]
    return np.asarray(np.linalg.norm(vh[short], axis=0))


def assert_alike(found: Determined, due: Due, i: int, factor: Floats, which: str) -> None:
    """To rounding times the condition number."""
    condition = due.condition
    told = math.isfinite(condition) and not due.lost.any()
    near = max(LIKE, 1e-14 * condition) if told else LIKE
    if condition < 1e12 or not math.isfinite(condition):
        assert found.condition[i] == pytest.approx(condition, rel=10 * near), which
    else:
        assert found.condition[i] > 1e11, which
    assert found.held[i].tolist() == due.held.tolist(), which
    assert found.pull[i] == pytest.approx(due.pull, rel=1e-14, nan_ok=True), which
    for mine, theirs in ((found.inverse[i], due.inverse), (found.products[i], due.products)):
        assert np.isnan(mine).tolist() == np.isnan(theirs).tolist(), which
        if told:
            size = np.linalg.norm(factor[:-1, :-1], axis=0)
            scaled = size[:, None] * (size if theirs is due.products else 1.0)
            apart = np.abs((mine - theirs) * scaled).max()
            assert apart <= 10 * near * np.abs(theirs * scaled).max(), which
    assert np.array_equal(found.products[i], found.products[i].T, equal_nan=True)
    # A difference of squares leaves 8 digits of what lies across.
    if due.offset < 1e3:
        loosely = 1e-7 + near if told else 1e-4
        assert found.offset[i] == pytest.approx(due.offset, rel=loosely), which
    else:
        assert found.offset[i] > 1e2, which


@FEW
@given(seed=SEEDS, q=st.integers(1, 8), power=st.sampled_from([-900, -300, 300, 900]))
def test_what_a_column_is_measured_in_does_not_matter(seed: int, q: int, power: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = ["plain", "dependent", "near", "zero column", "along"]
    factor = np.array([triangle_of(group(rng, q + 9, q, kind)) for kind in kinds])
    theta, limits = rng.choice([-1.0, 0.0], (len(kinds), q)), (np.full(q, -1.0), np.full(q, 1.0))
    scale = 2.0 ** rng.choice([0, power], q)
    scaled = factor * np.append(scale, 1.0)
    due, found = (determined(each, q + 9, theta, limits) for each in (factor, scaled))
    for name in ("finite", "lost", "flat", "held"):
        assert np.array_equal(getattr(found, name), getattr(due, name)), name
    for i in range(len(kinds)):
        near = min(1e-14 + 1e-15 * due.condition[i], 1.0)
        assert found.condition[i] == pytest.approx(due.condition[i], rel=near)
        assert found.offset[i] == pytest.approx(due.offset[i], rel=max(1e-9, 10 * near))
        inverse = found.inverse[i] * scale[:, None]
        size = np.abs(due.inverse[i]).max(axis=1, keepdims=True)
        assert np.isnan(inverse).tolist() == np.isnan(due.inverse[i]).tolist()
        assert np.isnan(inverse).any() or np.abs((inverse - due.inverse[i]) / size).max() <= near


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e160, 1e300])
def test_a_pull_whose_square_is_no_float_is_told(size: float) -> None:
    factor = np.array([[[2.0, 3.0 * size], [0.0, 4.0 * size]]])
    found = determined(factor, 5, np.zeros((1, 1)), unlimited(1))
    assert found.pull[0] == pytest.approx(5.0 * size, rel=1e-15)
    assert found.offset[0] == pytest.approx(3.0 / (4.0 / math.sqrt(4)), rel=1e-15)


def test_the_offset_has_its_digits_far_from_the_minimum() -> None:
    """ψ lies almost wholly in J's column space: a difference of squares is 0."""
    factor = np.array([[[1.0, 1.0], [0.0, 1e-9]], [[1.0, 1.0], [0.0, 1e-15]]])
    found = determined(factor, 3, np.zeros((2, 1)), unlimited(1))
    assert found.offset[0] == pytest.approx(1e9 * math.sqrt(2), rel=1e-15)
    assert found.offset[1] == math.inf


@FEW
@given(seed=SEEDS)
def test_the_offset_is_that_of_the_rows_themselves(seed: int) -> None:
    """‖Qᵀψ‖/√q over ‖ψ − QQᵀψ‖/√(n − q), over the params that no bound holds."""
    rng = np.random.default_rng(seed)
    rows, q = 12, 4
    matrix = rng.standard_normal((rows, q + 1))
    limits = (np.full(q, -1.0), np.full(q, 1.0))
    theta = rng.choice([-1.0, 0.0, 1.0], (1, q))
    found = determined(triangle_of(matrix)[None], rows, theta, limits)
    jacobian, psi = matrix[:, :q], matrix[:, q]
    slope = jacobian.T @ psi
    held = ((theta[0] <= -1) & (slope > 0)) | ((theta[0] >= 1) & (slope < 0))
    assert found.held[0].tolist() == held.tolist()
    kept = jacobian[:, ~held]
    count = kept.shape[1]
    if not count:
        assert found.offset[0] == 0.0
        return
    along = kept @ np.linalg.lstsq(kept, psi, rcond=None)[0]
    due = np.linalg.norm(along) / math.sqrt(count)
    due /= np.linalg.norm(psi - along) / math.sqrt(rows - count)
    assert found.offset[0] == pytest.approx(due, rel=1e-10)


@FEW
@given(seed=SEEDS, spread=st.floats(-12, 0))
def test_the_condition_number_is_bounded_or_itself(seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((30, 4))
    matrix[:, 1] = matrix[:, 0] + 10.0**spread * matrix[:, 1]
    factor = triangle_of(matrix)
    found = determined(factor[None], 30, np.zeros((1, 3)), unlimited(3))
    true = np.linalg.cond(factor[:3, :3] / np.linalg.norm(factor[:3, :3], axis=0))
    near = 1e-9 + 1e-15 * true
    assert true * (1 - near) <= found.condition[0] <= 3 * true * (1 + near)
    if true > DOUBTFUL:
        assert found.condition[0] == pytest.approx(true, rel=near)


def test_a_direction_without_data_involves_the_same_params_however_it_is_turned() -> None:
    """Six equal columns have five such directions, of which no basis is the natural one."""
    rng = np.random.default_rng(0)
    column, apart = rng.standard_normal((2, 20))
    matrix = np.column_stack([*[column * 2.0**k for k in range(6)], apart, rng.standard_normal(20)])
    found = determined(triangle_of(matrix)[None], 20, np.zeros((1, 7)), unlimited(7))
    assert found.lost[0].tolist() == [True] * 6 + [False]
    assert np.isnan(found.inverse).all()
    assert np.isnan(found.products).all()


def test_of_no_params_all_is_known() -> None:
    factor = np.array([[[3.0]], [[np.nan]]])
    found = determined(factor, 5, np.zeros((2, 0)), unlimited(0))
    assert found.finite.tolist() == [True, False]
    assert found.condition.tolist() == [0.0, 1.0]
    assert found.offset.tolist() == [0.0, 0.0]
    assert found.pull[0] == 3.0


def test_only_the_groups_that_are_asked_for_are_filled() -> None:
    rng = np.random.default_rng(1)
    factor = np.array([triangle_of(rng.standard_normal((9, 3))) for _ in range(6)])
    found, theta = determination.determined_of(6, 2), np.zeros((6, 2))
    for each in found:
        each[:] = 0
    order, rows = np.array([5, 3, 1, 0, 2, 4]), np.full(6, 9)
    determination.determine(factor, rows, theta, *unlimited(2), found, order, 1, 3)
    whole = determined(factor, 9, theta, unlimited(2))
    for mine, due in zip(found, whole, strict=True):
        assert np.array_equal(mine[[3, 1]], due[[3, 1]])
        assert not mine[[0, 2, 4, 5]].any()
