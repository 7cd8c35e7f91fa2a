"""Long data: descents whose epochs cost nothing, a Gaussian on ten million rows, a line on a
million."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from benchmarks.client import latency, request
from benchmarks.harness import Benchmark, Comparison, Measure, in_turns, run_async
from benchmarks.servers import DESCENT, running

LONG = 1_000_000
LONGER = 10_000_000
EPOCHS = 5000
ROUNDS = 5

ABOUT = f"""
- {EPOCHS:,} epochs of gradient descent on a line through {LONG:,} rows, in the engine: beside one
  epoch of the loop by hand in torch (a prediction, its loss and its gradient), which is to read the
  data once.
- A Gaussian on a background through {LONGER:,} rows, 4 params, Levenberg-Marquardt to 1e-8, in the
  engine with its statistics; beside SciPy's `curve_fit` with its Jacobian. Each in a process of its
  own, whose memory is the peak beyond what the data take.
- `POST /fit` of a line through {LONG:,} rows, sent as JSON and as an Arrow stream, all included;
  beside `json.loads`, `numpy.array` and `numpy.linalg.lstsq` in-process.
"""

Floats = npt.NDArray[np.float64]


def line() -> tuple[Floats, Floats]:
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 10, LONG)
    return x, 2 * x + 1 + rng.standard_normal(LONG)


def run() -> list[Comparison]:
    return run_async(_run())


async def _run() -> list[Comparison]:
    return [*(await _epochs()), *(await _longer()), *(await _bodies())]


# --- epochs that cost nothing ---------------------------------------------------------------------


async def _epochs() -> list[Comparison]:
    import torch

    from service import engine
    from service.schemas.fit import FitRequest
    from service.translate import to_plan

    torch.set_num_threads(1)
    x, y = line()
    asked = {"data": {"x": x, "y": y}, "params": {"w": 0.0, "b": 0.0}, "model": "y = w * x + b"}
    rates = {"optimizer": {"name": "sgd", "learning_rate": 0.01}, "epochs": EPOCHS}
    task = to_plan(FitRequest.model_validate({**asked, **rates})).task
    tx, ty = torch.from_numpy(x), torch.from_numpy(y)

    async def ours() -> float:
        began = time.perf_counter()
        engine.start(task).step(EPOCHS)
        return 1e3 * (time.perf_counter() - began)

    async def once() -> float:
        began = time.perf_counter()
        residual = 0.5 * tx + 0.5 - ty
        float((residual**2).mean()), float((2 * residual * tx).mean()), float(2 * residual.mean())
        return 1e3 * (time.perf_counter() - began)

    taken = await in_turns(ROUNDS, ours, once)
    what = f"{EPOCHS:,} epochs on {LONG:,} rows"
    return [Comparison(what, "one epoch by hand: the data read once", "ms", *taken)]


# --- ten million rows, each peer in a process of its own ------------------------------------------


async def _longer() -> list[Comparison]:
    found: dict[str, list[tuple[float, float]]] = {"engine": [], "scipy": []}
    for _ in range(3):
        for name in found:
            command = [sys.executable, "-m", "benchmarks.long", name]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            seconds, mib = map(float, said.split())
            found[name].append((seconds, mib))
    what, other = f"a Gaussian on {LONGER:,} rows", "SciPy curve_fit, its Jacobian given"
    times, sizes = zip(*([zip(*found[name], strict=True) for name in found]), strict=True)
    return [
        Comparison(what, other, "s", *times),
        Comparison(f"its memory beyond the data, {LONGER:,} rows", other, "MiB", *sizes),
    ]


def _alone(name: str) -> None:
    """One fit of ten million rows; prints its seconds and its peak MiB beyond the data."""
    fit = {"engine": _by_engine, "scipy": _by_scipy}[name]
    rng = np.random.default_rng(0)
    x = np.linspace(-3, 3, LONGER)
    y = rng.standard_normal(LONGER)
    y *= 0.05
    for part in range(0, LONGER, 10**6):
        rows = slice(part, part + 10**6)
        y[rows] += 2.5 * np.exp(-0.5 * ((x[rows] - 0.3) / 0.9) ** 2) + 0.1
    do = fit(x, y)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    params = do()
    seconds = time.perf_counter() - began
    if np.abs(params - [2.5, 0.3, 0.9, 0.1]).max() > 1e-3:
        raise RuntimeError(f"{name} came to {params}")
    print(seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


def _by_engine(x: Floats, y: Floats) -> Callable[[], Floats]:
    import torch

    from service import engine
    from service.engine.formula import read_formula
    from service.engine.losses import LOSSES, Loss
    from service.engine.optimizers.levenberg_marquardt import LevenbergMarquardt
    from service.engine.problem import Problem, Tolerance
    from service.engine.inference.statistics import summarise
    from service.jobs.memory import keep

    torch.set_num_threads(1)
    keep()
    infinite = torch.full((4,), torch.inf, dtype=torch.float64)
    problem = Problem(
        read_formula("y = a*exp(-0.5*((x - mu)/sigma)**2) + c", frozenset({"x", "y"})),
        {"x": torch.from_numpy(x)},
        torch.from_numpy(y),
        torch.tensor([2.0, 0.0, 1.0, 0.0], dtype=torch.float64),
        -infinite,
        infinite,
        (True,) * 4,
        Loss(LOSSES["mse"], 1.0),
    )
    options = engine.Options(
        "levenberg_marquardt", LevenbergMarquardt(), 1000, 1, Tolerance(1e-8, 1e-8)
    )

    def do() -> Floats:
        run = engine.start(engine.Task(problem, options))
        run.step(1000)
        result = run.result()
        summarise(problem, result.params)
        return np.asarray(result.params.numpy())

    return do


def _by_scipy(x: Floats, y: Floats) -> Callable[[], Floats]:
    from scipy.optimize import curve_fit

    from benchmarks.groups import curve, slopes

    def do() -> Floats:
        start = [2.0, 0.0, 1.0, 0.0]
        return np.asarray(
            curve_fit(curve, x, y, p0=start, jac=slopes, ftol=1e-8, xtol=1e-8, method="lm")[0]
        )

    return do


# --- bodies ---------------------------------------------------------------------------------------


async def _bodies() -> list[Comparison]:
    import pyarrow as pa

    x, y = line()
    text = json.dumps({"data": {"x": x.tolist(), "y": y.tolist()}}).encode()
    table = pa.table({"x": x, "y": y})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=LONG)
    arrow = bytes(sink.getvalue())
    with running(*DESCENT) as port:
        ours = [
            _asked(port, request("/fit", text)),
            _asked(port, request("/fit", arrow, "application/vnd.apache.arrow.stream")),
        ]
        by_json, by_arrow, plain = await in_turns(ROUNDS, *ours, _plain(text))
    other = "json.loads, numpy, lstsq"
    size = f"{LONG:,} rows"
    return [
        Comparison(f"{size} of JSON, {len(text) / 1e6:.0f} MB", other, "ms", by_json, plain),
        Comparison(f"{size} as Arrow, {len(arrow) / 1e6:.0f} MB", other, "ms", by_arrow, plain),
    ]


def _asked(port: int, asked: bytes) -> Measure:
    async def measure() -> float:
        seconds, answer = await latency(port, asked)
        _check(json.loads(answer)["params"]["w"])
        return 1e3 * seconds

    return measure


def _plain(text: bytes) -> Measure:
    async def measure() -> float:
        began = time.perf_counter()
        data = json.loads(text)["data"]
        x, y = np.array(data["x"]), np.array(data["y"])
        w = np.linalg.lstsq(np.stack([x, np.ones_like(x)], axis=1), y, rcond=None)[0][0]
        seconds = time.perf_counter() - began
        _check(float(w))
        return 1e3 * seconds

    return measure


def _check(w: float) -> None:
    if abs(w - 2.0) > 0.01:
        raise RuntimeError(f"the slope is {w}, not 2")


BENCHMARK = Benchmark(ABOUT, run)

if __name__ == "__main__":
    _alone(sys.argv[1])
