"""The record of an optimizer, and the protocol of first-order update rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from service.catalogue.options import NoOptions, Option, options_of
from service.catalogue.tensors import Tensor

Solver = Literal["exact", "levenberg_marquardt", "lbfgs", "first_order"]
"""The algorithms, by the names of `engine/solvers/table.py`."""


@dataclass(frozen=True, slots=True)
class Optimizer:
    """An optimizer: with g the gradient of the loss and r the residuals in its formula."""

    name: str
    description: str
    formula: str
    when_to_use: str
    reference: str
    solver: Solver | None
    """The algorithm. None: an optimizer is chosen for the problem."""
    settings: type = NoOptions
    """Its options. Those of a `first_order` one are a `FirstOrder` rule."""
    has_gradient: bool = False
    """Whether the method of the gradient can be chosen."""
    is_direct: bool = False
    """Whether it solves least squares in one step: for mse, without bounds, and a formula that is
    linear in its free params."""
    is_grouped: bool = False
    """Whether it fits many groups at once on any device."""
    searches: bool = False
    """Whether a start that is not given is searched for."""
    challenges: bool = False
    """Whether the minima of many groups are compared with those from other starts."""
    epochs: int = 1000
    """Default of `epochs`."""
    records: int | None = None
    """The default of `record_every` records about that many epochs. None: it records all."""
    tolerance: float = 0.0
    """Default of `tolerance.params`."""

    @property
    def options(self) -> tuple[Option, ...]:
        return options_of(self.settings)

    @property
    def is_first_order(self) -> bool:
        """Whether it has a learning rate, a schedule and mini-batches."""
        return self.solver == "first_order"


class State(NamedTuple):
    """The state of an update rule: updates done so far, and running sums of the shape of θ."""

    done: int
    sums: tuple[Tensor, ...]


class FirstOrder(Protocol):
    """A first-order update rule with its options set: a pure function of tensors of the shape
    (params,), with the arithmetic of torch.optim. Its state can be stopped, moved and resumed bit
    for bit. The kernel has compiled code for those that `engine/kernel/updates.py` names; any other
    is stepped in torch."""

    @property
    def learning_rate(self) -> float: ...
    def start(self, theta: Tensor) -> State:
        """The state before the first update."""
        ...

    def update(
        self, theta: Tensor, gradient: Tensor, state: State, rate: float
    ) -> tuple[Tensor, State]:
        """θ and the state after an update at that rate."""
        ...


def first_order(
    name: str, settings: type[FirstOrder], *, description: str, formula: str, when_to_use: str,
    reference: str,
) -> Optimizer:  # fmt: skip
    """The record of a first-order optimizer."""
    values: dict[str, Any] = {"has_gradient": True, "records": 1000}
    return Optimizer(
        name, description, formula, when_to_use, reference, "first_order", settings, **values
    )
