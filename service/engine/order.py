"""The record of constraints on the order of params: see `engine.differences`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from service.engine.kernel.types import Bools, Floats


@dataclass(frozen=True, slots=True)
class Step:
    """θ_child = θ_parent + sign·φ_child."""

    parent: int
    child: int
    sign: int
    text: str
    """The constraint as it was given."""


@dataclass(frozen=True, eq=False)
class Order:
    """Steps in an order in which each parent is known before its child, of P params."""

    params: int
    steps: tuple[Step, ...]
    trees: tuple[tuple[int, ...], ...]
    """The params of each tree, smallest first, so that no constraint is against their order."""

    @cached_property
    def matrix(self) -> Floats:
        """A of θ = Aφ, (P, P)."""
        found = np.eye(self.params)
        for step in self.steps:
            found[step.child] = found[step.parent]
            found[step.child, step.child] = step.sign
        return found

    @cached_property
    def inverse(self) -> Floats:
        """A⁻¹."""
        found = np.eye(self.params)
        for step in self.steps:
            found[step.child] = 0.0
            found[step.child, step.child] = step.sign
            found[step.child, step.parent] = -step.sign
        return found

    def start(self, theta: Floats) -> Floats:
        """φ of starts (fits, P), with those against the order sorted, and within d ≥ 0."""
        theta = theta.copy()
        for tree in self.trees:
            own = list(tree)
            against = (self.slack(theta, own) < 0).any(axis=1)
            chosen = np.ix_(np.flatnonzero(against), np.array(own))
            theta[chosen] = np.sort(theta[chosen], axis=1)
        phi: Floats = theta @ self.inverse.T
        for step in self.steps:
            phi[:, step.child] = np.maximum(phi[:, step.child], 0.0)
        return phi

    def at(self, theta: Floats) -> Floats:
        """φ of θ (fits, P), 0 where a constraint holds it."""
        phi: Floats = theta @ self.inverse.T
        active = self.is_active(theta)
        for i, step in enumerate(self.steps):
            phi[active[:, i], step.child] = 0.0
        return phi

    def slack(self, theta: Floats, among: list[int] | None = None) -> Floats:
        """b − a of each constraint a ≤ b, of all or of those among some params, (…, constraints):
        0 where it holds the fit, below 0 outside."""
        chosen = [s for s in self.steps if among is None or s.child in among]
        pairs = [s.sign * (theta[..., s.child] - theta[..., s.parent]) for s in chosen]
        return np.stack(pairs, axis=-1)

    def is_active(self, theta: Floats) -> Bools:
        """Which constraints hold the fit, (…, constraints)."""
        size = np.stack(
            [np.abs(theta[..., s.child]) + np.abs(theta[..., s.parent]) for s in self.steps],
            axis=-1,
        )
        active: Bools = np.abs(self.slack(theta)) <= 4 * np.finfo(float).eps * size
        return active
