"""The worked example's 5,000 epochs beside the torch loops that a person would write."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.client import Callers, calling, post
from benchmarks.harness import (
    Benchmark,
    Comparison,
    Measure,
    Results,
    in_turns,
    worker_threads,
)
from benchmarks.servers import serving
from benchmarks.thermometer import MODEL, T_C, T_U

EPOCHS = 5000
EVERY = 50
RATE = 1e-2
SCALE = 0.1


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rounds: int
    times: int


FULL = Sizes(rounds=5, times=20)
QUICK = Sizes(rounds=1, times=1)

ABOUT = f"""
The [worked example](../tutorial/thermometer.md): {EPOCHS:,} epochs of gradient descent, with 100
rows of history. In float64 its epochs are a closed form; in float32 each is done. Descent is asked
by `POST /fit`, all included, the median of {FULL.times} requests a round; the torch loops run in
the benchmark's own process, their imports done, and record the same rows.
"""

Loop = Callable[[torch.dtype], float]


def with_autograd(dtype: torch.dtype) -> float:
    """The loop of the tutorials: backward, then torch.optim.SGD. The last loss."""
    x, y = _data(dtype)
    params = torch.tensor([1.0, 0.0], dtype=dtype, requires_grad=True)
    optimizer = torch.optim.SGD([params], lr=RATE)
    history = []
    for epoch in range(1, EPOCHS + 1):
        loss = ((params[0] * x + params[1] - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if epoch % EVERY == 0:
            history.append((epoch, loss.item(), *params.tolist()))
    return float(history[-1][1])


def by_hand(dtype: torch.dtype) -> float:
    """The same with the derivatives worked out on paper. The last loss."""
    x, y = _data(dtype)
    w, b = torch.tensor(1.0, dtype=dtype), torch.tensor(0.0, dtype=dtype)
    history = []
    for epoch in range(1, EPOCHS + 1):
        residual = w * x + b - y
        loss = (residual**2).mean()
        w, b = w - RATE * (2 * residual * x).mean(), b - RATE * (2 * residual).mean()
        if epoch % EVERY == 0:
            history.append((epoch, loss.item(), w.item(), b.item()))
    return float(history[-1][1])


def run(sizes: Sizes) -> Results:
    torch.set_num_threads(worker_threads())
    comparisons = []
    with serving() as port, calling() as callers:
        for name, dtype in (("float64", torch.float64), ("float32", torch.float32)):
            ours, autograd, hand = in_turns(
                sizes.rounds,
                _descent(callers, port, name, sizes.times),
                _timed(with_autograd, dtype),
                _timed(by_hand, dtype),
            )
            what = f"{EPOCHS:,} epochs, {name}"
            comparisons += [
                Comparison(what, "torch by hand, no autograd", "ms", ours, hand),
                Comparison(what, "autograd, torch.optim.SGD", "ms", ours, autograd),
            ]
    return Results(comparisons)


def _descent(callers: Callers, port: int, dtype: str, times: int) -> Measure:
    body = {
        "model": MODEL,
        "data": {"t_u": T_U, "t_c": T_C},
        "params": {"w": SCALE, "b": 0.0},
        "scaling": {"t_u": {"scale": SCALE}},
        "optimizer": {"name": "sgd", "learning_rate": RATE},
        "epochs": EPOCHS,
        "record_every": EVERY,
        "dtype": dtype,
    }
    asked = post("/fit", json.dumps(body).encode())

    def measure() -> float:
        seconds, answer = callers.latency(port, asked, times)
        _check(json.loads(answer)["history"]["loss"][-1])
        return 1e3 * seconds

    return measure


def _timed(loop: Loop, dtype: torch.dtype) -> Measure:
    def measure() -> float:
        began = time.perf_counter()
        loss = loop(dtype)
        seconds = time.perf_counter() - began
        _check(loss)
        return 1e3 * seconds

    return measure


def _check(loss: float) -> None:
    """All of them must have come to the same end."""
    if abs(loss - 2.927647) > 1e-5:
        raise RuntimeError(f"the last loss is {loss}, not 2.927647")


def _data(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return torch.tensor(T_U, dtype=dtype) * SCALE, torch.tensor(T_C, dtype=dtype)


BENCHMARK = Benchmark(ABOUT, run, FULL, QUICK)
