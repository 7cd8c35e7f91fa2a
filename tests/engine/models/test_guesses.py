"""Guesses: in any units, for many groups at once, and never non-finite."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmarks.self_start import data_set
from service.catalogue.families import FAMILIES
from service.engine.models import guess
from tests.engine.models.curves import curve

OFFSET = {
    "linear", "polynomial", "piecewise_linear", "exponential_decay", "logarithmic", "logistic4",
    "logistic5", "weibull", "gaussian", "lorentzian", "pseudo_voigt", "sine", "damped_sine",
    "antoine", "nernst",
}  # fmt: skip
"""The families that hold y + c when they hold y."""
SHIFT = {
    "linear", "polynomial", "piecewise_linear", "exponential_decay", "double_exponential_decay",
    "exponential_growth", "logistic3", "gompertz", "gaussian", "lorentzian", "pseudo_voigt", "sine",
    "damped_sine", "antoine", "von_bertalanffy",
}  # fmt: skip
"""The families that hold x + d when they hold x."""
RISING = {"logistic5"}
"""The families that do not hold −y when they hold y."""


@pytest.mark.parametrize(("s", "t"), [(1e-6, 1e9), (1e7, 1e-5), (3.0, -0.7)])
@pytest.mark.parametrize("name", FAMILIES)
def test_other_units_carry_the_guess_along(name: str, s: float, t: float):
    x, y, _ = data_set(name, 2)
    t = abs(t) if name in RISING else t
    size, span = float(y.abs().max()), float(x.max() - x.min())
    c = 3 * t * size if name in OFFSET else 0.0
    d = -0.4 * s * span if name in SHIFT else 0.0
    before = curve(name, x.unsqueeze(0), _guess(name, x, y))
    after = curve(name, (s * x + d).unsqueeze(0), _guess(name, s * x + d, t * y + c))
    torch.testing.assert_close((after - c) / t, before, rtol=0, atol=2e-3 * size)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_order_of_the_rows_does_not_matter(name: str):
    x, y, _ = data_set(name, 4)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    before = curve(name, x.unsqueeze(0), _guess(name, x, y))
    after = curve(name, x.unsqueeze(0), _guess(name, x[order], y[order]))
    torch.testing.assert_close(after, before, rtol=0, atol=1e-3 * float(y.abs().max()))


@pytest.mark.parametrize("name", FAMILIES)
def test_groups_are_guessed_as_if_alone(name: str):
    sets = [data_set(name, seed)[:2] for seed in range(4)]
    rows = min(len(x) for x, _ in sets)
    x = torch.stack([x[:rows] for x, _ in sets])
    y = torch.stack([y[:rows] for _, y in sets])
    together = guess(FAMILIES[name], x, y)
    alone = torch.cat([guess(FAMILIES[name], x[i : i + 1], y[i : i + 1]) for i in range(len(x))])
    assert together.shape == (4, len(FAMILIES[name].params))
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=0)


EVEN = [float(i) for i in range(12)]
WAVE = [(i * 7 % 5) - 1.7 for i in range(12)]
NASTY: dict[str, tuple[list[float], list[float]]] = {
    "constant y": (EVEN, [4.0] * 12),
    "y is 0": (EVEN, [0.0] * 12),
    "one x": ([3.0] * 12, WAVE),
    "x is 0": ([0.0] * 12, WAVE),
    "all is 0": ([0.0] * 12, [0.0] * 12),
    "negative x": ([-1.0 - i for i in EVEN], WAVE),
    "huge units": ([1e150 * (1 + i) for i in EVEN], [1e150 * v for v in WAVE]),
    "tiny units": ([1e-150 * (1 + i) for i in EVEN], [1e-150 * v for v in WAVE]),
    "nearly too large": ([1e308 * (i - 5) / 6 for i in EVEN], [2e307 * v for v in WAVE]),
    "smaller than normal": ([5e-324 * i for i in EVEN], [5e-324 * round(v) for v in WAVE]),
    "far from 0": ([1e9 + i for i in EVEN], WAVE),
    "one far point": ([*EVEN[:-1], 1e12], WAVE),
    "one high point": (EVEN, [*WAVE[:-1], 1e12]),
    "two values of x": ([float(i % 2) for i in range(12)], WAVE),
    "noise": (EVEN, WAVE),
}
"""Columns x and y of 12 rows."""


@pytest.mark.parametrize("name", FAMILIES)
def test_a_guess_is_finite_whatever_the_data(name: str):
    x, y = (
        torch.tensor(column, dtype=torch.float64) for column in zip(*NASTY.values(), strict=True)
    )
    guesses = guess(FAMILIES[name], x, y)
    bad = ~torch.isfinite(guesses).all(dim=-1)
    assert [case for case, is_bad in zip(NASTY, bad.tolist(), strict=True) if is_bad] == []


@pytest.mark.parametrize("x", [[2.0], [0.0], [1.0, 2.0], [0.0, 0.0], [0.0, 3.0]])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_guess_is_finite_however_few_the_rows(name: str, x: list[float]):
    y = torch.tensor([3.0, 5.0], dtype=torch.float64)[: len(x)]
    assert bool(torch.isfinite(_guess(name, torch.tensor(x, dtype=torch.float64), y)).all())


@pytest.mark.parametrize("name", FAMILIES)
def test_long_data_are_thinned_and_still_guessed(name: str):
    """What the guess leaves is the noise and little else: the truth would leave 1."""
    x, _, theta = data_set(name, 5)
    steps = torch.linspace(0, 1, 3000, dtype=torch.float64)
    x = x.min() + (x.max() - x.min()) * steps
    if float(x[0]) == 0:
        x = x + x[1] / 2
    exact = curve(name, x.unsqueeze(0), theta.unsqueeze(0))[0]
    noise = torch.randn(3000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    noise = noise * 0.05 * (exact.max() - exact.min())
    rest = curve(name, x.unsqueeze(0), _guess(name, x, exact + noise))[0] - exact - noise
    assert float(rest.norm() / noise.norm()) < 1.05


def _guess(name: str, x: Tensor, y: Tensor) -> Tensor:
    return guess(FAMILIES[name], x.unsqueeze(0), y.unsqueeze(0))
