"""Optimizers, learning-rate schedules and gradients, with the names and options of torch.optim."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from service.schemas.base import Finite, Request
from service.schemas.names import GradientMethod, OptimizerName
from service.schemas.numbers import Fraction, NonNegative, Positive, named


class StepSchedule(Request):
    """Multiplies the rate by `gamma` every `step_size` epochs."""

    name: Literal["step"] = "step"
    step_size: Annotated[int, Field(ge=1)]
    gamma: Positive = 0.1


class MultiStepSchedule(Request):
    """Multiplies the rate by `gamma` at each milestone."""

    name: Literal["multi_step"] = "multi_step"
    milestones: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1, max_length=1000)]
    gamma: Positive = 0.1


class ExponentialSchedule(Request):
    """Multiplies the rate by `gamma` every epoch."""

    name: Literal["exponential"] = "exponential"
    gamma: Positive


class CosineSchedule(Request):
    """Anneals the rate to `eta_min` over `t_max` epochs (default: all of them) along a cosine."""

    name: Literal["cosine"] = "cosine"
    t_max: Annotated[int, Field(ge=1)] | None = None
    eta_min: NonNegative = 0.0


class LinearSchedule(Request):
    """Moves a factor on the rate from `start_factor` to `end_factor` over `total_iters` epochs."""

    name: Literal["linear"] = "linear"
    start_factor: Annotated[Finite, Field(gt=0, le=1)] = 1 / 3
    end_factor: Annotated[Finite, Field(ge=0, le=1)] = 1.0
    total_iters: Annotated[int, Field(ge=1)] = 5


class PolynomialSchedule(Request):
    """Decays the rate to zero over `total_iters` epochs (default: all) as (1 − t/T)^power."""

    name: Literal["polynomial"] = "polynomial"
    total_iters: Annotated[int, Field(ge=1)] | None = None
    power: Positive = 1.0


Schedule = Annotated[
    StepSchedule
    | MultiStepSchedule
    | ExponentialSchedule
    | CosineSchedule
    | LinearSchedule
    | PolynomialSchedule,
    Field(discriminator="name"),
]


class GradientOptions(Request):
    """How the gradient of the loss is computed."""

    method: GradientMethod = "analytic"
    """`analytic`: symbolic derivatives. `autograd`: torch's autograd. `numeric`: central
    differences."""
    delta: Positive | None = None
    """Half the width of the central difference, in units of the param.
    Default: ε^(1/3)·max(1, |param|), ε the precision of `dtype`. Only for `numeric`."""


def _method(value: Any) -> Any:
    return {"method": value} if isinstance(value, str) else value


Gradient = Annotated[
    GradientOptions,
    BeforeValidator(_method, json_schema_input_type=GradientMethod | GradientOptions),
]
"""A method's name, or an object with its options."""


class AutoOptimizer(Request):
    """`exact` where the formula allows it, else a method chosen for the model and the loss."""

    name: Literal["auto"] = "auto"
    gradient: Gradient = GradientOptions()


class ExactOptimizer(Request):
    """Linear least squares by QR in one step, for formulas linear in their free params with mse."""

    name: Literal["exact"] = "exact"


class LevenbergMarquardtOptimizer(Request):
    """Damped least squares by QR, scaled by the Jacobian, within bounds."""

    name: Literal["levenberg_marquardt"] = "levenberg_marquardt"


class LbfgsOptimizer(Request):
    """L-BFGS with a strong-Wolfe line search, within bounds."""

    name: Literal["lbfgs"] = "lbfgs"
    history_size: Annotated[int, Field(ge=1, le=100)] = 10
    """Number of steps in the quasi-Newton approximation."""
    gradient: Gradient = GradientOptions()


class _FirstOrder(Request):
    gradient: Gradient = GradientOptions()
    schedule: Schedule | None = None
    """How the learning rate changes from epoch to epoch. Default: constant."""
    batch_size: Annotated[int, Field(ge=1)] | None = None
    """Rows per mini-batch, drawn without replacement in each epoch. Default: all rows, in order."""


class SgdOptimizer(_FirstOrder):
    """Gradient descent, with torch.optim.SGD's options."""

    name: Literal["sgd"] = "sgd"
    learning_rate: Positive = 1e-3
    momentum: Fraction = 0.0
    dampening: Annotated[Finite, Field(ge=0, le=1)] = 0.0
    nesterov: bool = False
    """Nesterov's momentum; requires `momentum` above 0 and no `dampening`."""
    weight_decay: NonNegative = 0.0


class AdamOptimizer(_FirstOrder):
    """Adam (Kingma and Ba, 2015), with torch.optim.Adam's options."""

    name: Literal["adam"] = "adam"
    learning_rate: Positive = 1e-3
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    eps: Positive = 1e-8
    weight_decay: NonNegative = 0.0
    amsgrad: bool = False


class AdamWOptimizer(_FirstOrder):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019), as torch.optim.AdamW."""

    name: Literal["adamw"] = "adamw"
    learning_rate: Positive = 1e-3
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    eps: Positive = 1e-8
    weight_decay: NonNegative = 1e-2
    amsgrad: bool = False


class RmspropOptimizer(_FirstOrder):
    """RMSprop (Hinton, 2012), with torch.optim.RMSprop's options."""

    name: Literal["rmsprop"] = "rmsprop"
    learning_rate: Positive = 1e-2
    alpha: Fraction = 0.99
    eps: Positive = 1e-8
    weight_decay: NonNegative = 0.0
    momentum: Fraction = 0.0
    centered: bool = False


class AdagradOptimizer(_FirstOrder):
    """Adagrad (Duchi, Hazan and Singer, 2011), with torch.optim.Adagrad's options."""

    name: Literal["adagrad"] = "adagrad"
    learning_rate: Positive = 1e-2
    lr_decay: NonNegative = 0.0
    eps: Positive = 1e-10
    weight_decay: NonNegative = 0.0
    initial_accumulator_value: NonNegative = 0.0


FirstOrderOptimizer = (
    SgdOptimizer | AdamOptimizer | AdamWOptimizer | RmspropOptimizer | AdagradOptimizer
)
SecondOrderOptimizer = ExactOptimizer | LevenbergMarquardtOptimizer | LbfgsOptimizer
AnyOptimizer = AutoOptimizer | SecondOrderOptimizer | FirstOrderOptimizer
_OptimizerObject = Annotated[AnyOptimizer, Field(discriminator="name")]
Optimizer = Annotated[
    _OptimizerObject,
    BeforeValidator(named, json_schema_input_type=OptimizerName | _OptimizerObject),
]
"""An optimizer's name, or an object with its options."""
