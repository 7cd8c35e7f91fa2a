"""How to fit: the optimizer with its options, and when it ends."""

from __future__ import annotations

from dataclasses import dataclass

from service.catalogue.optimizers import OPTIMIZERS, FirstOrder, Optimizer
from service.catalogue.optimizers.lbfgs import Lbfgs
from service.catalogue.options import NoOptions
from service.catalogue.schedules import Constant, Schedule

Settings = NoOptions | Lbfgs | FirstOrder
"""The options of an optimizer: those of a first-order one are its update rule."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """A fit has converged when any tolerance above zero is met; 0 disables one.

    loss: |Δloss| ≤ tolerance·loss; params: ‖Δθ‖ ≤ tolerance·‖θ‖; gradient: the largest |gradient| ≤
    tolerance × the largest of the first epoch.
    """

    loss: float = 0.0
    params: float = 0.0
    gradient: float = 0.0

    @property
    def any(self) -> bool:
        """Whether one is enabled."""
        return bool(self.loss or self.params or self.gradient)


@dataclass(frozen=True, slots=True)
class GradientMethod:
    """How gradients are computed: analytic, autograd, or numeric with its `delta`."""

    method: str = "analytic"
    delta: float | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """How to fit. `settings` are the options of the optimizer; `schedule` and `batch_size` are for
    first-order ones."""

    optimizer: str
    settings: Settings
    epochs: int
    record_every: int
    tolerance: Tolerance = Tolerance()
    gradient: GradientMethod = GradientMethod()
    batch_size: int | None = None
    on_divergence: str = "stop"
    seed: int = 0
    search: tuple[int, ...] = ()
    """Positions of the params whose start is to be searched for."""
    challenge: bool | None = None
    """Whether the minimum is compared with those from other starts; None if not needed."""
    schedule: Schedule = Constant()

    @property
    def method(self) -> Optimizer:
        """The optimizer's record."""
        return OPTIMIZERS[self.optimizer]

    @property
    def rule(self) -> FirstOrder:
        """The update rule of a first-order optimizer."""
        assert not isinstance(self.settings, NoOptions | Lbfgs)
        return self.settings
