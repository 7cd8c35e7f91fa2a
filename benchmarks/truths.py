"""Sensible random truths of each family of the catalogue, for the self-start study.

Any units, any offset, x at random or even or repeated, and never sorted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor


class Draw:
    """Seeded random numbers, and units: x of size `s` and y of size `t`."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.s, self.t = self.log(1e-3, 1e3), self.log(1e-3, 1e3)
        self.rows = round(self.log(40, 120))

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def log(self, low: float, high: float) -> float:
        return math.exp(self.uniform(math.log(low), math.log(high)))

    def sign(self) -> float:
        return 1.0 if self.uniform(0, 1) < 0.5 else -1.0

    def normal(self, rows: int) -> Tensor:
        return torch.randn(rows, generator=self.generator, dtype=torch.float64)

    def places(self) -> Tensor:
        """Places in [0, 1], unsorted: at random, even, or even and thrice each."""
        kind = int(self.uniform(0, 3))
        places = torch.rand(self.rows, generator=self.generator, dtype=torch.float64)
        if kind == 1:
            places = torch.linspace(0, 1, self.rows, dtype=torch.float64)
        if kind == 2:
            places = torch.linspace(0, 1, self.rows // 3, dtype=torch.float64).repeat(3)
        return places[torch.randperm(len(places), generator=self.generator)]

    def interval(self) -> tuple[Tensor, float, float]:
        """x, its low end and its span, which need not begin at 0."""
        low = self.s * self.uniform(-1, 2)
        return low + self.s * self.places(), low, self.s

    def doses(self, decades: float, controls: int = 0) -> Tensor:
        """Places even in the logarithm, up to `s`, and some zeros."""
        x = self.s * 10 ** (decades * (self.places() - 1))
        return torch.cat([x, torch.zeros(controls, dtype=x.dtype)])


Case = tuple[Tensor, list[float]]
"""x and θ, in the order of the family's params."""

Truth = Callable[[Draw], Case]


def linear(draw: Draw) -> Case:
    x, _, span = draw.interval()
    return x, [draw.t / span * draw.uniform(-2, 2), draw.t * draw.uniform(-2, 2)]


def polynomial(draw: Draw) -> Case:
    x, _, span = draw.interval()
    return x, [draw.t * draw.uniform(-2, 2) / span**k for k in range(3)]


def piecewise_linear(draw: Draw) -> Case:
    x, low, span = draw.interval()
    before = draw.uniform(-2, 2)
    after = before + draw.sign() * draw.uniform(1, 4)
    height = draw.t * draw.uniform(-2, 2)
    slope = draw.t / span
    return x, [low + span * draw.uniform(0.25, 0.75), height, slope * before, slope * after]


def exponential_decay(draw: Draw) -> Case:
    x, low, span = draw.interval()
    k = draw.log(1, 12) / span
    height = draw.t * draw.sign() * draw.log(0.3, 3)
    return x, [height * math.exp(k * low), k, draw.t * draw.uniform(-3, 3)]


def double_exponential_decay(draw: Draw) -> Case:
    slow = draw.log(0.5, 2) / draw.s
    fast = slow * draw.log(6, 30)
    heights = [draw.t * draw.log(0.5, 2) for _ in range(2)]
    return draw.s * draw.places(), [heights[0], fast, heights[1], slow]


def exponential_growth(draw: Draw) -> Case:
    x, low, span = draw.interval()
    k = draw.sign() * draw.log(0.5, 8) / span
    return x, [draw.t * draw.sign() * math.exp(-k * low), k]


def power_law(draw: Draw) -> Case:
    b = draw.sign() * draw.uniform(0.3, 3)
    x = draw.doses(draw.uniform(0.5, 2)) if b < 0 else draw.s * draw.places().clamp(min=0.01)
    return x, [draw.t * draw.s**-b, b]


def logarithmic(draw: Draw) -> Case:
    return draw.doses(draw.uniform(0.5, 4)), [draw.t * draw.uniform(-3, 3), draw.t * draw.sign()]


def michaelis_menten(draw: Draw) -> Case:
    x = draw.doses(2) if draw.sign() > 0 else draw.s * draw.places()
    return x, [draw.t, draw.s * draw.log(0.05, 1)]


def langmuir(draw: Draw) -> Case:
    x, (vmax, km) = michaelis_menten(draw)
    return x, [vmax, 1 / km]


def hill(draw: Draw) -> Case:
    x = draw.doses(3, controls=3) if draw.sign() > 0 else draw.s * draw.places()
    return x, [draw.t, draw.s * draw.log(0.05, 0.5), draw.log(0.8, 4)]


def saturating_growth(draw: Draw) -> Case:
    return draw.s * draw.places(), [draw.t * draw.sign(), draw.log(1, 10) / draw.s]


def logistic3(draw: Draw) -> Case:
    x, low, span = draw.interval()
    return x, [draw.t, draw.sign() * draw.log(5, 30) / span, low + span * draw.uniform(0.2, 0.8)]


def logistic4(draw: Draw) -> Case:
    decades = draw.uniform(2, 5)
    c = draw.t * draw.uniform(-1, 1)
    e = draw.s * 10 ** (decades * draw.uniform(-0.65, -0.35))
    b = draw.sign() * draw.log(0.8, 4) * 3 / decades
    return draw.doses(decades, controls=4), [c, c + draw.t, e, b]


def logistic5(draw: Draw) -> Case:
    x, theta = logistic4(draw)
    return x, [*theta, draw.log(0.4, 2.5)]


def gompertz(draw: Draw) -> Case:
    x, low, span = draw.interval()
    return x, [draw.t, draw.log(4, 20) / span, low + span * draw.uniform(0.15, 0.7)]


def weibull(draw: Draw) -> Case:
    a = draw.t * draw.uniform(-2, 2)
    shape, scale = draw.log(0.7, 4), draw.s * draw.uniform(0.2, 0.6)
    return draw.s * draw.places(), [a, draw.t * draw.sign(), scale, shape]


def gaussian(draw: Draw) -> Case:
    x, low, span = draw.interval()
    width = span * draw.log(0.03, 0.2)
    background = draw.t * draw.uniform(-2, 2)
    return x, [draw.t * draw.sign(), low + span * draw.uniform(0.2, 0.8), width, background]


def pseudo_voigt(draw: Draw) -> Case:
    x, (a, centre, width, c) = gaussian(draw)
    return x, [a, draw.uniform(0.1, 0.9), centre, width, c]


def sine(draw: Draw) -> Case:
    x, _, span = draw.interval()
    c = draw.t * draw.uniform(-2, 2)
    return x, [draw.t, draw.log(0.8, 10) / span, draw.uniform(-3, 3), c]


def damped_sine(draw: Draw) -> Case:
    x, (a, f, phi, c) = sine(draw)
    low, span = float(x.min()), float(x.max() - x.min())
    k = draw.log(0.3, 5) / span
    return x, [a * math.exp(k * low), k, max(f, 1.5 / span), phi, c]


def arrhenius(draw: Draw) -> Case:
    x = draw.uniform(250, 350) + draw.uniform(30, 150) * draw.places()
    energy = draw.log(15e3, 120e3)
    return x, [draw.t * math.exp(energy / (8.314 * float(x.mean()))), energy]


def antoine(draw: Draw) -> Case:
    x = draw.uniform(-20, 30) + draw.uniform(80, 160) * draw.places()
    return x, [draw.uniform(3, 9), draw.log(800, 2500), draw.uniform(150, 260)]


def nernst(draw: Draw) -> Case:
    slope = draw.sign() * draw.uniform(0.02, 0.06) * draw.t
    return draw.doses(draw.uniform(2, 5)), [draw.uniform(-1, 1) * draw.t, slope]


def ricker(draw: Draw) -> Case:
    return draw.s * draw.places(), [draw.t / draw.s, draw.log(0.8, 6) / draw.s]


def von_bertalanffy(draw: Draw) -> Case:
    x = draw.s * (0.05 + draw.places())
    return x, [draw.t, draw.log(1, 6) / draw.s, -draw.s * draw.uniform(0, 0.3)]


TRUTHS: Mapping[str, Truth] = {
    truth.__name__: truth
    for truth in (
        linear, polynomial, piecewise_linear, exponential_decay, double_exponential_decay,
        exponential_growth, power_law, logarithmic, michaelis_menten, hill, langmuir,
        saturating_growth, logistic3, logistic4, logistic5, gompertz, weibull, gaussian,
        pseudo_voigt, sine, damped_sine, arrhenius, antoine, nernst, ricker, von_bertalanffy,
    )
} | {"lorentzian": gaussian}  # fmt: skip
"""Each family's truths, by its name."""
