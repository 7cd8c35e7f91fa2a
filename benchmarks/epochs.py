"""First-order descent in the engine: an epoch of a small formula beside autograd and torch.optim,
and many epochs of a long line beside reading its data once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.harness import Benchmark, Comparison, Measure, Results, in_turns, seconds
from service import engine
from service.fitting import to_plan
from service.schemas.fit import FitRequest

ROWS = 50
START = {"a": 4.0, "b": 0.8, "c": 0.5}
RATE = 0.01
OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rounds: int
    epochs: int
    """Of the small formula."""
    long: int
    """Rows of the line."""
    line_epochs: int


FULL = Sizes(rounds=5, epochs=3000, long=1_000_000, line_epochs=5000)
QUICK = Sizes(rounds=1, epochs=30, long=10_000, line_epochs=50)

ABOUT = f"""
In the benchmark's own process, in one thread:

- `y = a * exp(-b * x) + c` on {ROWS} rows, {FULL.epochs:,} epochs in the engine, none of them
  recorded, beside the loop of the tutorials: autograd and `torch.optim`. Microseconds an epoch.
  Both must come to the same params.
- {FULL.line_epochs:,} epochs of gradient descent on a line through {FULL.long:,} rows, in the
  engine: beside one epoch of the loop by hand in torch (a prediction, its loss and its gradient),
  which is to read the data once.
"""


def run(sizes: Sizes) -> Results:
    torch.set_num_threads(1)
    return Results([*(_small(name, sizes) for name in OPTIMIZERS), _line(sizes)])


# --- a small formula ------------------------------------------------------------------------------


def _small(name: str, sizes: Sizes) -> Comparison:
    ends: dict[str, list[float]] = {}
    taken = in_turns(
        sizes.rounds, _engine(name, sizes.epochs, ends), _autograd(name, sizes.epochs, ends)
    )
    apart = np.abs(np.subtract(ends["engine"], ends["autograd"])).max()
    if not apart < 1e-9:
        raise RuntimeError(f"{name} came to other params, {apart:.2g} apart")
    what = f"{name}, an epoch on {ROWS} rows"
    return Comparison(what, f"autograd, torch.optim ({name})", "µs", *taken)


def _data() -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    x = np.linspace(0, 5, ROWS)
    y = 3 * np.exp(-0.9 * x) + 0.4 + 0.02 * rng.standard_normal(ROWS)
    return torch.from_numpy(x), torch.from_numpy(y)


def _engine(name: str, epochs: int, ends: dict[str, list[float]]) -> Measure:
    x, y = _data()
    asked = {
        "model": "y = a * exp(-b * x) + c",
        "data": {"x": x.numpy(), "y": y.numpy()},
        "params": START,
        "optimizer": {"name": name, "learning_rate": RATE},
        "epochs": epochs,
        "record_every": epochs,
    }
    task = to_plan(FitRequest.model_validate(asked)).task

    def fit() -> None:
        run = engine.begin(task)
        run.step(epochs)
        ends["engine"] = engine.outcome(run).params.tolist()

    return lambda: 1e6 * seconds(fit) / epochs


def _autograd(name: str, epochs: int, ends: dict[str, list[float]]) -> Measure:
    x, y = _data()

    def fit() -> None:
        params = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in START.values()]
        a, b, c = params
        optimizer = OPTIMIZERS[name](params, lr=RATE)
        for _ in range(epochs):
            loss = ((a * torch.exp(-b * x) + c - y) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        ends["autograd"] = [param.item() for param in params]

    return lambda: 1e6 * seconds(fit) / epochs


# --- a long line ----------------------------------------------------------------------------------


def _line(sizes: Sizes) -> Comparison:
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 10, sizes.long)
    y = 2 * x + 1 + rng.standard_normal(sizes.long)
    asked = {
        "model": "y = w * x + b",
        "data": {"x": x, "y": y},
        "params": {"w": 0.0, "b": 0.0},
        "optimizer": {"name": "sgd", "learning_rate": 0.01},
        "epochs": sizes.line_epochs,
    }
    task = to_plan(FitRequest.model_validate(asked)).task
    tx, ty = torch.from_numpy(x), torch.from_numpy(y)

    def once() -> None:
        residual = 0.5 * tx + 0.5 - ty
        float((residual**2).mean()), float((2 * residual * tx).mean()), float(2 * residual.mean())

    taken = in_turns(
        sizes.rounds,
        lambda: 1e3 * seconds(lambda: engine.begin(task).step(sizes.line_epochs)),
        lambda: 1e3 * seconds(once),
    )
    what = f"{sizes.line_epochs:,} epochs on {sizes.long:,} rows"
    return Comparison(what, "one epoch by hand: the data read once", "ms", *taken)


BENCHMARK = Benchmark(ABOUT, run, FULL, QUICK)
