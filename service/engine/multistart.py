"""Starts for params that nobody gave a value and no family can guess: a seeded search.

Candidates are drawn on the scales that the data suggest, the params that the prediction is linear
in are solved for, and Levenberg–Marquardt polishes the most promising few. Source: the separable
screening of Golub and Pereyra, Inverse Problems 19 (2003) R1, over random multi-starts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from service.engine.marquardt import Marquardt, linear_params
from service.engine.optimizers.levenberg_marquardt import LevenbergMarquardt
from service.engine.problem import Options, Problem, Task, Tolerance

CANDIDATES = 512
POLISHED = 12
POLISH_EPOCHS = 60
SCREENED_ROWS = 1000
SAME = 1e-6


@dataclass(frozen=True, slots=True)
class Search:
    """The start found, and how many of the polished candidates came to the same loss."""

    start: Tensor
    agreeing: int
    tried: int


def search(problem: Problem, guessed: tuple[int, ...], seed: int) -> Search:
    """The most promising start; `guessed` are the positions of the params to choose."""
    generator = torch.Generator().manual_seed(seed)
    small = _thinned(problem)
    points = _candidates(small, guessed, generator)
    points, losses = _screened(small, points, guessed)
    order = torch.argsort(losses.nan_to_num(nan=math.inf), stable=True)
    chosen = [points[i] for i in _apart(points, order, POLISHED)]
    ends = [_polished(problem, point) for point in chosen]
    ends = [end for end in ends if math.isfinite(end[1])]
    if not ends:
        return Search(problem.initial, 0, len(chosen))
    best, loss = min(ends, key=lambda end: end[1])
    agreeing = sum(end[1] <= loss * (1 + SAME) + 1e-300 for end in ends)
    return Search(best, agreeing, len(chosen))


def _thinned(problem: Problem) -> Problem:
    """The problem on at most a thousand of its rows, evenly spread."""
    step = -(-problem.rows // SCREENED_ROWS)
    if step == 1:
        return problem
    return replace(
        problem,
        columns={name: column[::step] for name, column in problem.columns.items()},
        target=problem.target[::step],
        sigma=None if problem.sigma is None else problem.sigma[::step],
    )


def _candidates(problem: Problem, guessed: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Params to try, (CANDIDATES, params): the first all ones, then on the data's own scales."""
    scales = torch.tensor(_scales(problem), dtype=torch.float64)
    shape = (CANDIDATES, len(guessed))
    picked = torch.randint(len(scales), shape, generator=generator)
    spread = torch.randn(shape, generator=generator, dtype=torch.float64)
    sign = torch.where(torch.rand(shape, generator=generator) < 0.3, -1.0, 1.0)
    values = sign * scales[picked] * 10 ** (0.5 * spread)
    values[0] = 1.0
    points = problem.initial.expand(CANDIDATES, -1).clone()
    points[:, list(guessed)] = values.to(points.dtype)
    return torch.clamp(points, problem.lower, problem.upper)


def _scales(problem: Problem) -> list[float]:
    """Magnitudes that params of these data may have: 1, and those of x, 1/x, y and y/x."""
    y = float(problem.target.abs().max()) or 1.0
    scales = [1.0, 1.0, y]
    for column in problem.columns.values():
        for size in (float(column.abs().max()), float(column.std(correction=0))):
            if size > 0 and math.isfinite(1 / size):
                scales += [size, 1 / size, 5 / size, y / size]
    return scales


def _screened(problem: Problem, points: Tensor, guessed: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """The candidates with their linear params solved for, and their losses."""
    formula, names = problem.formula, problem.free_params
    linear = [
        formula.params.index(name)
        for name, is_linear in zip(names, linear_params(problem).tolist(), strict=True)
        if is_linear and formula.params.index(name) in guessed
    ]
    bound = formula.bind(problem.columns, problem.rows, problem.target)
    if linear and problem.rows > len(linear):
        prediction, jacobian = bound.jacobian(points)
        residual, jacobian = prediction - problem.target, jacobian[..., linear]
        usable = torch.isfinite(jacobian).flatten(1).all(1) & torch.isfinite(residual).all(1)
        scale = torch.linalg.vector_norm(jacobian, dim=1).clamp(min=1e-300)
        scaled = torch.where(usable[:, None, None], jacobian / scale.unsqueeze(1), 0.0)
        wanted = torch.where(usable[:, None], residual, 0.0).unsqueeze(-1)
        step = (torch.linalg.pinv(scaled) @ wanted).squeeze(-1) / scale
        points[:, linear] -= step
        points = torch.clamp(points, problem.lower, problem.upper)
    residual = bound.predict(points) - problem.target
    z = residual if problem.sigma is None else residual / problem.sigma
    return points, problem.loss.value(z)


def _apart(points: Tensor, order: Tensor, count: int) -> list[int]:
    """The first so many candidates in that order that are not next to one already taken."""
    taken: list[int] = []
    for i in order.tolist():
        near = any(
            bool(((points[i] - points[j]).abs() <= 0.05 * points[j].abs()).all()) for j in taken
        )
        if not near:
            taken.append(i)
        if len(taken) == count:
            break
    return taken


def _polished(problem: Problem, point: Tensor) -> tuple[Tensor, float]:
    """Where Levenberg–Marquardt comes to from there, and its loss."""
    options = Options(
        "levenberg_marquardt",
        LevenbergMarquardt(),
        epochs=POLISH_EPOCHS,
        record_every=POLISH_EPOCHS,
        tolerance=Tolerance(params=1e-8),
    )
    run = Marquardt(Task(replace(problem, initial=point), options))
    run.step(POLISH_EPOCHS)
    best = run.result().best
    return best.params, best.loss
