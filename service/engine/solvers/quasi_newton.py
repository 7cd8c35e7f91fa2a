"""L-BFGS with a strong-Wolfe line search, projected onto bounds.

The direction is −Hg by the two-loop recursion over the last steps, among the params that no bound
holds back; the step along it satisfies the strong Wolfe conditions where no bound is met, and
Armijo's where one is. Sources: Nocedal and Wright, Numerical Optimization, 2nd ed., 7.4
(two loops), 3.5 and 3.6 (line search); Bertsekas, SIAM J. Control Optim. 20 (1982) 221 (bounds).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from service.catalogue.optimizers.lbfgs import Lbfgs

ARMIJO = 1e-4
CURVATURE = 0.9
TRIALS = 40
IDLE = 5

Evaluate = Callable[[Tensor], tuple[Tensor, Tensor]]
"""θ (params,) -> loss, ∂loss/∂θ."""


@dataclass(frozen=True, slots=True)
class State:
    """The params with their loss and gradient, and the recent steps and gradient changes."""

    theta: Tensor
    loss: float
    gradient: Tensor
    steps: tuple[Tensor, ...] = ()
    changes: tuple[Tensor, ...] = ()
    idle: int = 0
    """Consecutive steps that lowered the loss by no more than rounding."""
    stuck: bool = False
    """No step along the last direction lowered the loss, not even along −g."""


@dataclass(frozen=True, slots=True)
class Point:
    """A trial on the line: its length, params, loss, gradient, and slope along the line."""

    length: float
    theta: Tensor
    loss: float
    gradient: Tensor
    slope: float


def begin(evaluate: Evaluate, theta: Tensor) -> State:
    """The state at the start."""
    loss, gradient = evaluate(theta)
    return State(theta, float(loss), gradient)


def advance(
    evaluate: Evaluate, state: State, settings: Lbfgs, lower: Tensor, upper: Tensor
) -> State:
    """One step: the direction, the line search, and the update of the approximation."""
    held = ((state.theta <= lower) & (state.gradient > 0)) | (
        (state.theta >= upper) & (state.gradient < 0)
    )
    gradient = torch.where(held, torch.zeros_like(state.gradient), state.gradient)
    direction = torch.where(held, torch.zeros_like(gradient), -_times_inverse(state, gradient))
    if float(direction @ gradient) >= 0:
        state = replace(state, steps=(), changes=())
        direction = -gradient
    point = _search(evaluate, state, direction, lower, upper)
    if point is None:
        if state.steps:
            return replace(state, steps=(), changes=())
        return replace(state, stuck=True)
    step, change = point.theta - state.theta, point.gradient - state.gradient
    steps, changes = state.steps, state.changes
    if float(step @ change) > 1e-12 * float(step.norm() * change.norm()):
        steps = (*steps, step)[-settings.history_size :]
        changes = (*changes, change)[-settings.history_size :]
    least = 4 * torch.finfo(state.theta.dtype).eps * abs(state.loss)
    idle = state.idle + 1 if state.loss - point.loss <= least else 0
    return State(point.theta, point.loss, point.gradient, steps, changes, idle, idle >= IDLE)


def _times_inverse(state: State, vector: Tensor) -> Tensor:
    """H·vector, H the approximation of the inverse Hessian from the recent steps."""
    if not state.steps:
        return vector / max(float(vector.abs().sum()), 1.0)
    pairs = list(zip(state.steps, state.changes, strict=True))
    weights = []
    for step, change in reversed(pairs):
        weight = step @ vector / (step @ change)
        weights.append(weight)
        vector = vector - weight * change
    step, change = pairs[-1]
    vector = vector * (step @ change) / (change @ change)
    for (step, change), weight in zip(pairs, reversed(weights), strict=True):
        vector = vector + step * (weight - change @ vector / (step @ change))
    return vector


def _search(
    evaluate: Evaluate, state: State, direction: Tensor, lower: Tensor, upper: Tensor
) -> Point | None:
    """A point that lowers the loss sufficiently; None if rounding prevents it."""

    def at(length: float) -> Point:
        theta = torch.clamp(state.theta + length * direction, lower, upper)
        loss, gradient = evaluate(theta)
        return Point(length, theta, float(loss), gradient, float(gradient @ direction))

    start = Point(0.0, state.theta, state.loss, state.gradient, float(state.gradient @ direction))
    low, high, length, best = start, None, 1.0, None
    for _ in range(TRIALS):
        point = at(length)
        at_bound = bool(((point.theta <= lower) | (point.theta >= upper)).any())
        promised = float(state.gradient @ (point.theta - state.theta))
        enough = point.loss <= state.loss + ARMIJO * promised
        if enough and (best is None or point.loss < best.loss):
            best = point
        if not enough or not point.loss < torch.inf or (low.length > 0 and point.loss >= low.loss):
            high = point
        elif at_bound or abs(point.slope) <= CURVATURE * abs(start.slope):
            return point
        elif point.slope >= 0:
            high = point
        else:
            low = point
        if high is None:
            length *= 2
            continue
        length = _between(low, high)
        if abs(high.length - low.length) <= 1e-12 * max(1.0, abs(low.length)):
            break
    return best if best is not None and best.loss < state.loss else None


def _between(low: Point, high: Point) -> float:
    """The minimum of the parabola through the lower point's slope, kept well inside."""
    width = high.length - low.length
    bend = high.loss - low.loss - low.slope * width
    inside = -low.slope * width * width / (2 * bend) if bend > 0 else 0.5 * width
    inside = min(max(inside, 0.1 * width), 0.9 * width) if inside == inside else 0.5 * width
    return low.length + inside
