"""The `optimizer` of a request: a name, or an object with options, a learning-rate `schedule` and a
`gradient`. Made from the catalogue's records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import BeforeValidator, Field

from service.catalogue.optimizers import OPTIMIZERS
from service.catalogue.optimizers import Optimizer as Record
from service.catalogue.schedules import SCHEDULES
from service.schemas.base import Request
from service.schemas.entries import by_class_name, models_of
from service.schemas.names import GradientMethod, OptimizerName
from service.schemas.numbers import Positive, named


class ScheduleOptions(Request):
    """A learning-rate schedule with its options."""

    name: str
    """Its name."""


SCHEDULE_MODELS = models_of(
    ((schedule, ScheduleOptions) for schedule in SCHEDULES.values()), "Schedule", __name__
)
globals().update(by_class_name(SCHEDULE_MODELS))

if TYPE_CHECKING:
    Schedule = ScheduleOptions
else:
    Schedule = Annotated[
        Union[tuple(SCHEDULE_MODELS.values())],  # noqa: UP007
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


class OptimizerOptions(Request):
    """An optimizer with its options."""

    name: str
    """Its name."""


class WithGradient(OptimizerOptions):
    """An optimizer for which the method of the gradient can be chosen."""

    gradient: Gradient = GradientOptions()
    """How the gradient is computed: a method's name, or an object."""


class FirstOrderOptions(WithGradient):
    """A first-order optimizer."""

    schedule: Schedule | None = None
    """How the learning rate changes from epoch to epoch. Default: constant."""
    batch_size: Annotated[int, Field(ge=1)] | None = None
    """Rows per mini-batch, drawn without replacement in each epoch. Default: all rows, in order."""
    learning_rate: Positive


def _base(optimizer: Record) -> type[OptimizerOptions]:
    if optimizer.is_first_order:
        return FirstOrderOptions
    return WithGradient if optimizer.has_gradient else OptimizerOptions


OPTIMIZER_MODELS = models_of(
    ((optimizer, _base(optimizer)) for optimizer in OPTIMIZERS.values()), "Optimizer", __name__
)
globals().update(by_class_name(OPTIMIZER_MODELS))

AUTOMATIC: OptimizerOptions = OPTIMIZER_MODELS["auto"](name="auto")

if TYPE_CHECKING:
    Optimizer = OptimizerOptions
else:
    _Object = Annotated[
        Union[tuple(OPTIMIZER_MODELS.values())],  # noqa: UP007
        Field(discriminator="name"),
    ]
    Optimizer = Annotated[
        _Object, BeforeValidator(named, json_schema_input_type=OptimizerName | _Object)
    ]
