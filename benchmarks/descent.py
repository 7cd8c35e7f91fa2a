"""First-order descent on a nonlinear formula, beside autograd and torch.optim."""

from __future__ import annotations

import time

import numpy as np
import torch

from benchmarks.harness import Benchmark, Comparison, Measure, in_turns, run_async
from service import engine
from service.schemas.fit import FitRequest
from service.translate import to_plan

EPOCHS = 3000
ROWS = 50
ROUNDS = 5
START = {"a": 4.0, "b": 0.8, "c": 0.5}
RATES = {"sgd": 0.01, "adam": 0.01}

ABOUT = f"""
`y = a * exp(-b * x) + c` on {ROWS} rows, {EPOCHS:,} epochs in the engine, none of them recorded,
beside the loop of the tutorials: autograd and `torch.optim`. Microseconds an epoch. Both must come
to the same params.
"""


def run() -> list[Comparison]:
    torch.set_num_threads(1)
    return run_async(_run())


async def _run() -> list[Comparison]:
    results = []
    for name in RATES:
        taken = await in_turns(ROUNDS, _engine(name), _torch(name))
        what = f"{name}, an epoch on {ROWS} rows"
        results.append(Comparison(what, f"autograd, torch.optim ({name})", "µs", *taken))
    return results


def _data() -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    x = np.linspace(0, 5, ROWS)
    y = 3 * np.exp(-0.9 * x) + 0.4 + 0.02 * rng.standard_normal(ROWS)
    return torch.from_numpy(x), torch.from_numpy(y)


_ENDS: dict[str, list[float]] = {}


def _engine(name: str) -> Measure:
    x, y = _data()
    asked = {
        "model": "y = a * exp(-b * x) + c",
        "data": {"x": x.numpy(), "y": y.numpy()},
        "params": START,
        "optimizer": {"name": name, "learning_rate": RATES[name]},
        "epochs": EPOCHS,
        "record_every": EPOCHS,
    }
    task = to_plan(FitRequest.model_validate(asked)).task

    async def measure() -> float:
        began = time.perf_counter()
        run = engine.start(task)
        run.step(EPOCHS)
        seconds = time.perf_counter() - began
        _ENDS[name] = run.result().params.tolist()
        return 1e6 * seconds / EPOCHS

    return measure


def _torch(name: str) -> Measure:
    optimizers = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
    x, y = _data()

    async def measure() -> float:
        params = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in START.values()]
        a, b, c = params
        optimizer = optimizers[name](params, lr=RATES[name])
        began = time.perf_counter()
        for _ in range(EPOCHS):
            loss = ((a * torch.exp(-b * x) + c - y) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        seconds = time.perf_counter() - began
        apart = max(abs(p.item() - q) for p, q in zip(params, _ENDS[name], strict=True))
        if apart > 1e-9:
            raise RuntimeError(f"{name} came to other params, {apart:.2g} apart")
        return 1e6 * seconds / EPOCHS

    return measure


BENCHMARK = Benchmark(ABOUT, run)
