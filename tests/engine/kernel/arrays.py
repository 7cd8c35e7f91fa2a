"""Problems as the tensors that the kernel's operators work on, and matrices of every kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from service.engine import Groups, Problem
from service.engine.kernel import determination, operators
from service.engine.kernel.types import Floats

SEEDS = st.integers(0, 2**32 - 1)


def spans_of(sizes: Sequence[int]) -> Tensor:
    """Groups of so many rows, one after another: (2, groups)."""
    ends = torch.tensor(list(sizes)).cumsum(0)
    return torch.stack([ends - torch.tensor(list(sizes)), ends])


def beside(problems: Sequence[Problem]) -> tuple[Problem, Groups]:
    """Problems of one formula and dtype as one problem of groups, each from its own start."""
    of = problems[0]
    sigma = [each.sigma for each in problems if each.sigma is not None]
    together = replace(
        of,
        columns={x: torch.cat([each.columns[x] for each in problems]) for x in of.columns},
        target=torch.cat([each.target for each in problems]),
        sigma=torch.cat(sigma) if sigma else None,
    )
    initial = torch.stack([each.initial for each in problems])
    return together, Groups(spans_of([each.rows for each in problems]), initial, history=True)


class Reduced(NamedTuple):
    """Groups reduced at their params; the first dimension of all but z is theirs."""

    factor: Floats
    total: Floats
    size: Floats
    spread: Floats
    log_sigma: Floats
    z: Floats


def reduced(
    of: Problem,
    theta: Floats,
    sizes: Sequence[int] = (),
    reduce: Callable[..., Any] = operators.reduce,
) -> Reduced:
    """Groups of so many rows (all rows, if none are named) at θ (groups, params)."""
    data = of.data(spans_of(sizes or [of.rows]))
    found = reduce(of.program, of.loss_number, of.loss.delta, data, torch.from_numpy(theta))
    factor, sums, z = (each.numpy() for each in found)
    total, size, spread, logs = sums.T
    return Reduced(factor, total, size, spread, logs, z)


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
