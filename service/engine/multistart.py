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
SCREENED_ROWS = 250
POLISHED_ROWS = 2000
ENOUGH = 4
AT_ONCE = 2**21
"""Entries of the Jacobians that are held together."""
SAME = 1e-6


@dataclass(frozen=True, slots=True)
class Search:
    """A search under way: the candidates yet to polish, and where the others came to."""

    waiting: tuple[Tensor, ...]
    ends: tuple[tuple[Tensor, float], ...] = ()

    @property
    def best(self) -> tuple[Tensor, float]:
        """The lowest end, and its loss."""
        return min(self.ends, key=lambda end: end[1])

    @property
    def agreeing(self) -> int:
        """How many ends have the loss of the lowest."""
        most = self.best[1] * (1 + SAME) + 1e-300
        return sum(loss <= most for _, loss in self.ends)

    @property
    def done(self) -> bool:
        """Whether all candidates are polished, or enough of them agree."""
        return not self.waiting or (bool(self.ends) and self.agreeing >= ENOUGH)


def screen(problem: Problem, guessed: tuple[int, ...], seed: int) -> Search:
    """The search at its start; `guessed` are the positions of the params to choose."""
    generator = torch.Generator().manual_seed(seed)
    small = thinned(problem, SCREENED_ROWS)
    points = _candidates(small, guessed, generator)
    points, losses = _screened(small, points, guessed)
    order = torch.argsort(losses.nan_to_num(nan=math.inf), stable=True)
    return Search(tuple(points[i] for i in _apart(points, order, POLISHED)))


def polish(problem: Problem, search: Search) -> Search:
    """The search with one more candidate polished."""
    point, *waiting = search.waiting
    end = _polished(problem, point)
    ends = (*search.ends, end) if math.isfinite(end[1]) else search.ends
    return Search(tuple(waiting), ends)


def thinned(problem: Problem, most: int) -> Problem:
    """The problem on at most so many of its rows, evenly spread."""
    step = -(-problem.rows // most)
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
    points[:, list(guessed)] = values.to(points)
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
    formula = problem.formula
    together = zip(problem.free_params, linear_params(problem).tolist(), strict=True)
    at = [formula.params.index(name) for name, is_linear in together if is_linear]
    linear = [i for i in at if i in guessed]
    width = max(1, AT_ONCE // (problem.rows * max(1, len(formula.params))))
    parts = [_solved(problem, part, linear) for part in torch.split(points, width)]
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def _solved(problem: Problem, points: Tensor, linear: list[int]) -> tuple[Tensor, Tensor]:
    bound = problem.formula.bind(problem.columns, problem.rows, problem.target)
    if linear and problem.rows > len(linear):
        prediction, jacobian = bound.jacobian(points)
        residual, jacobian = prediction - problem.target, jacobian[..., linear]
        usable = torch.isfinite(jacobian).flatten(1).all(1) & torch.isfinite(residual).all(1)
        scale = torch.linalg.vector_norm(jacobian, dim=1).clamp(min=1e-300)
        scaled = torch.where(usable[:, None, None], jacobian / scale.unsqueeze(1), 0.0)
        wanted = torch.where(usable[:, None], residual, 0.0).unsqueeze(-1)
        points = points.clone()
        points[:, linear] -= (torch.linalg.pinv(scaled) @ wanted).squeeze(-1) / scale
        points = torch.clamp(points, problem.lower, problem.upper)
    residual = bound.predict(points) - problem.target
    return points, problem.loss.value(
        residual if problem.sigma is None else residual / problem.sigma
    )


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
