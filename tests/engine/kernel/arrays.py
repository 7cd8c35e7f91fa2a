"""Problems as the arrays that the kernel works on, and matrices of every kind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from service.engine import Problem
from service.engine.formula import Formula
from service.engine.kernel import determination, least_squares, reduction
from service.engine.kernel.least_squares import Rules, State
from service.engine.kernel.losses import NAMES
from service.engine.kernel.marquardt import History
from service.engine.kernel.program import Program
from service.engine.kernel.rows import Data, Model
from service.engine.kernel.types import Floats

SEEDS = st.integers(0, 2**32 - 1)


def model_of(of: Problem) -> Model:
    assert isinstance(of.formula, Formula)
    program = Program.of(of.formula.tape, of.params)
    free = np.flatnonzero(of.free)
    outputs = program.outputs.numpy()
    return Model(
        program.codes.numpy(),
        program.constants.numpy(),
        program.sections.numpy(),
        outputs[np.concatenate(([0], 1 + free))],
        free,
        NAMES.index(of.loss.name),
        of.loss.delta,
    )


def data_of(of: Problem, sizes: Sequence[int] = ()) -> Data:
    """The data, in groups of so many rows; all of them as one."""
    assert isinstance(of.formula, Formula)
    names = Program.of(of.formula.tape, of.params).columns
    target = of.target.cpu().numpy()
    columns = np.empty((len(names), of.rows), target.dtype)
    for row, name in enumerate(names):
        columns[row] = of.columns[name].cpu().numpy()
    ends = np.cumsum(sizes or [of.rows])
    sigma = np.empty(0, target.dtype) if of.sigma is None else of.sigma.cpu().numpy()
    return Data(columns, target, sigma, ends - np.array(sizes or [of.rows]), ends)


def solved(of: Problem, sizes: Sequence[int] = (), *, history: int = 0) -> tuple[State, History]:
    """The answers of groups that all begin at the problem's start."""
    model, data = model_of(of), data_of(of, sizes)
    groups, q = len(data.first), len(model.free)
    initial = np.tile(of.initial.double().cpu().numpy(), (groups, 1))
    state = least_squares.state_of(initial, q)
    rows = np.full((groups, history, 2 + 2 * len(of.params)), np.nan)
    kept = History(rows, np.zeros(groups, dtype=np.int64))
    epsilon = float(np.finfo(data.target.dtype).eps)
    rules = Rules(model.free, epsilon)
    least_squares.solve(model, data, rules, state, kept, np.arange(groups), 0, groups)
    return state, kept


def reduced(of: Problem, theta: Floats, sizes: Sequence[int] = ()) -> reduction.Reduced:
    """Groups at θ (groups, params)."""
    model, data = model_of(of), data_of(of, sizes)
    found = reduction.reduced_of(len(data.first), len(model.free), of.rows)
    reduction.reduce(model, data, theta, found, np.arange(len(theta)), 0, len(theta))
    return found


def determined(
    factor: Floats, rows: int | Sequence[int], theta: Floats, limits: tuple[Floats, Floats]
) -> determination.Determined:
    """What factors (groups, q + 1, q + 1) tell at θ (groups, q)."""
    count, q = theta.shape
    found = determination.determined_of(count, q)
    sizes = np.broadcast_to(np.asarray(rows, dtype=np.int64), (count,)).copy()
    groups = np.arange(count)
    determination.determine(factor, sizes, theta, *limits, found, groups, 0, count)
    return found


def unlimited(q: int) -> tuple[Floats, Floats]:
    return np.full(q, -np.inf), np.full(q, np.inf)


def triangle_of(matrix: Floats) -> Floats:
    """R of QR by LAPACK, as high as it is wide, its diagonal not negative."""
    r = np.zeros((matrix.shape[1],) * 2)
    if not np.isfinite(matrix).all():
        return np.full_like(r, np.nan)
    found = np.linalg.qr(matrix, mode="r")
    r[: len(found)] = found
    return signed(r)


def signed(r: Floats) -> Floats:
    """The same with a diagonal that is not negative: R but for the signs of its rows."""
    diagonal = np.diagonal(r, axis1=-2, axis2=-1)
    return np.asarray(np.where(diagonal < 0, -1.0, 1.0)[..., None] * r)
