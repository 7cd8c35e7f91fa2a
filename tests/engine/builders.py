"""Problems, tasks and runs for the tests of the engine, written shortly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from service.catalogue.losses import LOSSES
from service.catalogue.options import NoOptions
from service.engine import Options, Problem, Result, Rows, Task, begin, outcome
from service.engine.fit_options import Settings, Tolerance
from service.engine.formula import Formula, read_formula
from service.engine.kernel import operators
from service.engine.kernel.program import Program
from service.engine.losses import Loss
from tests.devices import put

Columns = Mapping[str, Sequence[float]]


def formula(text: str, columns: Columns | Sequence[str] = ("x", "y")) -> Formula:
    return read_formula(text, frozenset(columns))


def loss_of(name: str, delta: float | None = None) -> Loss:
    return Loss(LOSSES[name], LOSSES[name].default if delta is None else delta)


def problem(
    text: str,
    data: Columns,
    params: Mapping[str, float],
    *,
    dtype: torch.dtype = torch.float64,
    loss: str = "mse",
    delta: float | None = None,
    sigma: Sequence[float] | None = None,
    sigma_absolute: bool = False,
    fixed: Sequence[str] = (),
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> Problem:
    """A problem; `params` are the initial values, `bounds` by name."""
    model = formula(text, data)
    columns = {name: torch.tensor(data[name], dtype=torch.float64).to(dtype) for name in data}
    limits = bounds or {}
    infinite = (-torch.inf, torch.inf)

    def of(values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=dtype)

    made = Problem(
        formula=model,
        columns={name: columns[name] for name in model.inputs},
        target=model.explained(columns, of([0.0])[0]),
        initial=of([params[name] for name in model.params]),
        lower=of([limits.get(name, infinite)[0] for name in model.params]),
        upper=of([limits.get(name, infinite)[1] for name in model.params]),
        free=tuple(name not in fixed for name in model.params),
        loss=loss_of(loss, delta),
        sigma=None if sigma is None else of(sigma),
        sigma_absolute=sigma_absolute,
    )
    return put(made)


def task(
    of: Problem, optimizer: str, settings: Settings, epochs: int = 1000, **options: Any
) -> Task:
    options.setdefault("record_every", 1)
    return Task(of, Options(optimizer=optimizer, settings=settings, epochs=epochs, **options))


def finish(a_task: Task) -> tuple[Rows, Result]:
    """The recorded rows and the result of a run that goes to its end."""
    run = begin(a_task)
    rows = run.step(a_task.options.epochs)
    return rows, outcome(run)


def exactly(of: Problem) -> Result:
    return finish(task(of, "exact", NoOptions(), 1))[1]


def marquardt(of: Problem, epochs: int = 1000, params: float = 1e-10) -> Result:
    settings = NoOptions()
    tolerance = Tolerance(params=params)
    return finish(task(of, "levenberg_marquardt", settings, epochs, tolerance=tolerance))[1]


def predictions(text: str, columns: Columns, **params: float) -> list[float]:
    """f(x; θ) in float64 at each row."""
    model = read_formula(text, frozenset(columns), frozenset(params))
    read: list[float] = _read(model, model.forward, columns, params)[0].tolist()
    return read


def jacobian(text: str, columns: Columns, **params: float) -> dict[str, list[float]]:
    """∂f/∂param by the tape, float64, at each row."""
    model = read_formula(text, frozenset(columns), frozenset(params))
    _, *slopes = _read(model, model.full, columns, params).tolist()
    return dict(zip(model.params, slopes, strict=True))


def _read(
    model: Formula, program: Program, columns: Columns, params: Mapping[str, float]
) -> Tensor:
    """The outputs of a program, (outputs, rows); one row where there is no column."""
    rows = len(next(iter(columns.values()))) if columns else 1
    held = [columns[name] for name in model.inputs]
    inputs = torch.tensor(held, dtype=torch.float64).reshape(len(held), rows)
    theta = torch.tensor([[params[name] for name in model.params]], dtype=torch.float64)
    read: Tensor = operators.read(program.tensors, inputs, theta)[:, 0]
    return read
