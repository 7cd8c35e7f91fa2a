"""A bit of everything that the service does with the kernel, in one process of its own.

`python -m tests.engine.kernel.everything` loads the kernel's machine code, does it all, and prints
as JSON for which arguments functions were loaded or compiled in doing so, that had not been before.
With the name of a dtype it does what is of that dtype, and loads nothing beforehand.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from itertools import count, product
from typing import Any, get_args

from numba.core.dispatcher import Dispatcher

from service.engine.kernel import warm
from service.fitting import gradient, loss, predict
from service.jobs.fit_backend import FIT_BACKEND
from service.jobs.messages import Ended, Task
from service.jobs.run_job import run_job
from service.render.scene import PlotInput
from service.render.views.table import scene
from service.schemas.compute import GradientRequest, LossRequest, PredictRequest
from service.schemas.fit import FitRequest
from service.schemas.names import DType, GradientMethod, LossName, OptimizerName, ScheduleName
from service.schemas.plot import PlotRequest
from service.settings import Settings

X = [0.1 * i for i in range(40)]
Y = [3 * math.exp(-0.7 * x) + 0.5 + 0.01 * math.sin(50 * x) for x in X]
CURVE = {"x": X, "y": Y}
DECAY = "y = a * exp(-b * x) + c"
START: dict[str, Any] = {"a": 2, "b": 0.5, "c": 0.1}
GROUPED = {
    "x": X * 3,
    "y": [*Y, *(2 * y for y in Y), *(y + 1 for y in Y)],
    "g": [0] * 40 + [1] * 40 + [2] * 40,
}
ROWS = 70_000
LONG = {
    "x": [i / ROWS for i in range(ROWS)],
    "y": [2 * i / ROWS + 1 + 0.1 * (-1) ** i for i in range(ROWS)],
}
SCHEDULES: dict[str, Any] = {
    "step": {"step_size": 2}, "multi_step": {"milestones": [2]}, "exponential": {"gamma": 0.9},
}  # fmt: skip


def fits() -> Iterator[dict[str, Any]]:
    """Requests for fits."""
    for optimizer, dtype in product(get_args(OptimizerName), get_args(DType)):
        few = {"optimizer": optimizer, "dtype": dtype, "epochs": 1 if optimizer == "exact" else 5}
        line = {"model": "linear"} if optimizer == "exact" else {"model": DECAY, "params": START}
        yield {"data": CURVE, **line, **few}
        yield {"data": CURVE, **line, **few, "sigma": 0.01, "sigma_absolute": True}
        yield {"data": GROUPED, **line, **few, "group_by": {"column": "g", "history": True}}
        if optimizer in ("exact", "levenberg_marquardt", "adam"):
            yield {"data": LONG, "model": "linear", **few}
    for name, optimizer in product(get_args(LossName), ("levenberg_marquardt", "adam", "lbfgs")):
        yield {"data": CURVE, "model": DECAY, "params": START, "loss": name, "optimizer": optimizer}
    for name in get_args(GradientMethod):
        adam = {"name": "adam", "gradient": name, "learning_rate": 0.01}
        yield {"data": CURVE, "model": DECAY, "params": START, "optimizer": adam, "epochs": 3}
    for name in get_args(ScheduleName):
        schedule = {"name": name, **SCHEDULES.get(name, {})}
        sgd = {"name": "sgd", "momentum": 0.5, "schedule": schedule, "batch_size": 8}
        yield {"data": CURVE, "model": DECAY, "params": START, "optimizer": sgd, "epochs": 5}
    yield {"data": CURVE, "model": DECAY}
    yield {"data": GROUPED, "model": DECAY, "group_by": "g"}
    yield {"data": LONG, "model": DECAY, "epochs": 10}
    yield {"data": CURVE, "model": {"name": "exponential_decay"}, "scaling": "standardize"}
    yield {"data": {"y": Y}, "model": "y = c"}
    yield {
        "data": {**CURVE, "z": X[::-1]},
        "model": "log(y) = a * x + b * z**2 + where(x < 1, c, 0)",
    }
    bounds = {"a": {"value": 2, "min": 0, "max": 2.5}, "b": {"value": 0.7, "fixed": True}}
    profile = {"confidence_interval": {"method": "profile"}}
    yield {"data": CURVE, "model": DECAY, "params": bounds, **profile}
    fixed = {name: {"value": value, "fixed": True} for name, value in START.items()}
    yield {"data": CURVE, "model": DECAY, "params": fixed, "optimizer": "adam", "epochs": 2}
    network = {"name": "mlp", "hidden": [3]}
    for optimizer, dtype in product(("levenberg_marquardt", "adam", "lbfgs"), get_args(DType)):
        few = {"optimizer": optimizer, "dtype": dtype, "epochs": 4}
        yield {"data": CURVE, "model": network, **few}
        yield {"data": CURVE, "model": network, **few, "loss": "mae", "sigma": 0.1}


def fit(request: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request for a fit, by slices and over checkpoints as a worker does it."""
    sent: list[Any] = []
    ticks = count()
    task = Task("job_1", FitRequest.model_validate(request), 1e9, 50)
    run_job(task, sent.append, lambda: False, lambda: 0.1 * next(ticks), FIT_BACKEND)
    assert isinstance(sent[-1], Ended), (request, sent[-1])
    answer: dict[str, Any] = json.loads(bytes(sent[-1].fit))
    return answer


def rest(dtype: str) -> None:
    """What is done without a job, with the params of one."""
    made = fit({"data": CURVE, "model": DECAY, "params": START, "dtype": dtype})
    body = {**made["predict"], "data": CURVE}
    common = {"model": DECAY, "params": made["params"], "data": CURVE, "dtype": dtype}
    for kind in (None, "confidence", "prediction"):
        predict(PredictRequest.model_validate({**body, "interval": kind}), 10**6)
    surface = {name: {"min": 0, "max": 1, "steps": 3} for name in ("a", "b")}
    asked = {**common, "residuals": True, "surface": surface, "sigma": 0.1}
    loss(LossRequest.model_validate(asked), Settings())
    for method in get_args(GradientMethod):
        asked = {**common, "gradient": method, "check": True, "explain": True, "loss": "huber"}
        gradient(GradientRequest.model_validate(asked), 10**6)
    for view in ("fit", "residuals", "path", "losses"):
        history = {"history": made["history"], "start": START} if view == "path" else {}
        scene(PlotInput(PlotRequest.model_validate({**body, "view": view, **history})))


def signatures() -> set[str]:
    """The functions of the kernel that can be called by now, and for what."""
    modules = [m for name, m in sys.modules.items() if name.startswith("service.engine.kernel.")]
    found = [f for module in modules for f in vars(module).values() if isinstance(f, Dispatcher)]
    return {f"{f.py_func.__name__}{signature}" for f in found for signature in f.signatures}


def main(only: str | None = None) -> None:
    """Loads, does it all, and prints what was missing; or does what is of one dtype alone."""
    if only is None:
        warm.call_all()
    before = signatures()
    for request in fits():
        if only in (None, request.get("dtype", "float64")):
            fit(request)
    for dtype in get_args(DType):
        if only in (None, dtype):
            rest(dtype)
    print(json.dumps(sorted(signatures() - before)))


if __name__ == "__main__":
    main(*sys.argv[1:])
