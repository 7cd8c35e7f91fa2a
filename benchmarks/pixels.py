"""Gpufit's own problem: two-dimensional Gaussians on 5 × 5 pixels."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.harness import Benchmark, Comparison, Results, in_turns, peer
from service import engine
from service.catalogue.losses import LOSSES
from service.catalogue.options import NoOptions
from service.engine.fit_options import Tolerance
from service.engine.formula import read_formula
from service.engine.losses import Loss
from service.engine.problem import Problem

SIDE = 5
START = {"a": 500.0, "x0": 2.0, "y0": 2.0, "s": 1.0, "b": 10.0}


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rounds: int
    cpu: int
    cuda: int
    """A GPU is not filled by fewer."""
    by_scipy: int


FULL = Sizes(rounds=3, cpu=20_000, cuda=1_000_000, by_scipy=500)
QUICK = Sizes(rounds=1, cpu=100, cuda=100, by_scipy=5)

ABOUT = f"""
Gpufit's own problem (Przybylski et al., Scientific Reports 7 (2017) 15722): {SIDE}×{SIDE} pixels, a
Gaussian of 5 params, float32, at most 10 iterations, tolerance 1e-4, {FULL.cpu:,} of them in
the engine, on the CPU; beside a loop of SciPy's `curve_fit` ({FULL.by_scipy} of them). Gpufit's
published figure, on a GPU, is 3.04 million fits per second. Where there is a GPU,
`python -m benchmarks pixels` measures {FULL.cuda:,} fits on that too, with the way there and
back; it has not been run on one yet.
"""


def run(sizes: Sizes) -> Results:
    torch.set_num_threads(1)
    fits = {"cpu": sizes.cpu, "cuda": sizes.cuda}
    return Results([_on(each, name, fits[each], sizes) for each, name in devices().items()])


def devices() -> dict[str, str]:
    """Those of this machine, and what they are called in the table."""
    found = {"cpu": ""}
    if torch.cuda.is_available():
        found["cuda"] = f", on {torch.cuda.get_device_name()}"
    return found


def made(fits: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The pixels' places (rows,) each, and their values (fits, rows)."""
    generator = torch.Generator().manual_seed(0)
    grid = torch.arange(SIDE, dtype=torch.float32)
    u, v = (each.flatten() for each in torch.meshgrid(grid, grid, indexing="xy"))
    centre = 2 + 0.4 * (torch.rand((fits, 2), generator=generator) - 0.5)
    square = (u - centre[:, :1]) ** 2 + (v - centre[:, 1:]) ** 2
    clean = 500 * torch.exp(-square / 2) + 10
    return u, v, torch.poisson(clean, generator=generator)


def _on(device: str, name: str, fits: int, sizes: Sizes) -> Comparison:
    u, v, z = made(fits)
    task = to_task(u, v, z)

    def ours() -> float:
        began = time.perf_counter()
        fitted(task, device)
        return fits / (time.perf_counter() - began)

    def scipy() -> float:
        return _by_scipy(u.numpy(), v.numpy(), z.numpy()[: sizes.by_scipy])

    taken = in_turns(sizes.rounds, ours, peer("scipy", scipy))
    what = f"{fits:,} Gaussians of 25 pixels{name}"
    return Comparison(what, "SciPy curve_fit", "fits/s", *taken)


def to_task(u: torch.Tensor, v: torch.Tensor, z: torch.Tensor) -> engine.Task:
    """The fits of all pixels, on the CPU."""
    fits = len(z)
    infinite = torch.full((5,), torch.inf)
    text = "z = a * exp(-((u - x0)**2 + (v - y0)**2) / (2 * s**2)) + b"
    formula = read_formula(text, frozenset({"u", "v", "z"}))
    start = torch.tensor([START[name] for name in formula.params])
    problem = Problem(
        formula, {"u": u.repeat(fits), "v": v.repeat(fits)}, z.flatten(), start,
        -infinite, infinite, (True,) * 5, Loss(LOSSES["mse"], 1.0),
    )  # fmt: skip
    options = engine.Options("levenberg_marquardt", NoOptions(), 10, 10, Tolerance(1e-4, 1e-4))
    codes = torch.arange(fits).repeat_interleave(SIDE * SIDE)
    return engine.grouped(problem, options, codes, start.repeat(fits, 1))


def fitted(task: engine.Task, device: str) -> torch.Tensor:
    """The params (fits, params), back on the CPU."""
    run = engine.begin(task.to(device))
    while not run.done:
        run.step(10)
    result = run.result()
    assert isinstance(result, engine.GroupedResult)
    return result.ends.theta


def _by_scipy(u: np.ndarray, v: np.ndarray, z: np.ndarray) -> float:
    from scipy.optimize import curve_fit

    def peak(at: np.ndarray, a: float, x0: float, y0: float, s: float, b: float) -> np.ndarray:
        value = a * np.exp(-((at[0] - x0) ** 2 + (at[1] - y0) ** 2) / (2 * s**2)) + b
        return np.asarray(value)

    at = np.stack([u, v]).astype(np.float64)
    began = time.perf_counter()
    for each in z.astype(np.float64):
        curve_fit(peak, at, each, p0=list(START.values()), ftol=1e-4, xtol=1e-4)
    return len(z) / (time.perf_counter() - began)


BENCHMARK = Benchmark(ABOUT, run, FULL, QUICK)
