"""What a prediction, a loss or a gradient costs: known from the request, before it is begun.

The unit is that of a fit's budget, an operation on one row. A gradient by differences reads the
model 2P + 1 times, P its params.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from service.engine.problem import Model
from service.errors import BudgetExceeded, InvalidRequest
from service.fitting.models import resolve
from service.schemas import compute as wire
from service.schemas.names import GradientMethod

Asked = wire.PredictRequest | wire.LossRequest | wire.GradientRequest

LITTLE = 2**20
"""Operations that nobody has to wait for, a few milliseconds."""
_LEAST_ROWS = 1000
"""Rows that an operation costs at least, however few there are: to call it takes a microsecond."""


class Cost(NamedTuple):
    """Of one request."""

    evaluations: int
    """How often the model is read."""
    operations: int
    """Of all these, a row."""
    pointer: str = "/data"
    """What makes it dear."""
    cure: str = "send"
    """What would make it cheaper, before 'at most so many rows'."""


_GRADIENTS: Mapping[GradientMethod, Callable[[Model], tuple[int, int]]] = {
    "analytic": lambda model: (1, model.operations),
    "autograd": lambda model: (1, model.operations),
    "numeric": lambda model: (2 * model.size + 1, (2 * model.size + 1) * model.operations),
}
"""By method: evaluations, and operations a row. Differences are dearer than their predictions: each
is a call of its own, on few rows mostly."""


def of_prediction(model: Model, request: wire.PredictRequest) -> Cost:
    """With a band, its gradient and gᵀCg too."""
    if request.interval is None:
        return Cost(1, model.forward_operations)
    return Cost(2, model.forward_operations + model.operations + len(request.covariance or ()) ** 2)


def of_loss(model: Model, request: wire.LossRequest) -> Cost:
    """Of the loss itself; its grid has a budget of its own."""
    return Cost(*_times(2 if request.residuals else 1, model))


def of_gradient(model: Model, request: wire.GradientRequest) -> Cost:
    """By the method asked for, and with `check` by all."""
    method = request.gradient.method
    methods = [method, *_GRADIENTS] if request.check else [method]
    costs = [_GRADIENTS[each](model) for each in methods]
    evaluations, operations = (sum(each) for each in zip(*costs, strict=True))
    if request.check:
        return Cost(evaluations, operations, "/check", "leave it out, or send")
    if method == "numeric":
        return Cost(evaluations, operations, "/gradient", "use the method 'analytic', or send")
    return Cost(evaluations, operations)


def check(cost: Cost, rows: int, most: float) -> None:
    """Raises BudgetExceeded where it is more operations than `most`."""
    total = float(rows) * cost.operations
    if total <= most:
        return
    times = f"{cost.evaluations:,} evaluations" if cost.evaluations > 1 else "1 evaluation"
    raise BudgetExceeded(
        f"{times} of {rows:,} rows are {total:.2g} operations, more than the {most:.2g} that one "
        f"answer may cost; {cost.cure} at most {int(most / cost.operations):,} rows at a time",
        pointer=cost.pointer,
    )


def is_little(request: Asked) -> bool:
    """Whether so little is asked for that it can be reckoned where others wait."""
    params = None
    if isinstance(request, wire.PredictRequest):
        params = (request.params or {}).keys()
    try:
        model = resolve(request.model, request.data.keys(), params).formula
    except InvalidRequest:
        # It is refused before anything is reckoned.
        return True
    rows = max(map(len, request.data.values()), default=0)
    return _cost(model, request).operations * max(rows, _LEAST_ROWS) <= LITTLE


def _cost(model: Model, request: Asked) -> Cost:
    if isinstance(request, wire.PredictRequest):
        return of_prediction(model, request)
    if isinstance(request, wire.LossRequest):
        return of_loss(model, request)
    return of_gradient(model, request)


def _times(evaluations: int, model: Model) -> tuple[int, int]:
    return evaluations, evaluations * model.forward_operations
