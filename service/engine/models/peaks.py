"""Peaks on a constant background. Without a background, fix c at 0."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from service.engine.models.family import Family, Meaning, Report
from service.engine.models.grids import (
    Grid,
    bounded_exp,
    centres,
    params,
    search,
    span,
    span_frame,
    thinned,
    with_axis,
)


def _bell(v: Tensor, m: Tensor, s: Tensor) -> Tensor:
    """1 at m, a half at the distance e^s."""
    return bounded_exp(-math.log(2) * ((v - m) * bounded_exp(-s)).square())


def _witch(v: Tensor, m: Tensor, s: Tensor) -> Tensor:
    """1 at m, a half at the distance e^s."""
    return 1 / (1 + ((v - m) * bounded_exp(-s)).square())


def _peaks(shares: Tensor, share_step: float) -> Grid:
    """Centres, logs of the half-width at half the height, and shares of the Lorentzian."""
    return with_axis(centres(span(-6.0, 0.6, 12), -0.25, 1.25, reach=1.0), shares, share_step)


def _basis(v: Tensor, m: Tensor, s: Tensor, share: Tensor) -> list[Tensor]:
    u = ((v - m) * bounded_exp(-s)).square()
    share = share.clamp(0.0, 1.0)
    return [torch.ones_like(v), share / (1 + u) + (1 - share) * bounded_exp(-math.log(2) * u)]


def _guess(x: Tensor, y: Tensor, grid: Grid) -> tuple[Tensor, ...]:
    """Height, share of the Lorentzian, centre, half-width and background, each (groups,)."""
    frame = span_frame(x, y)
    found = search(_basis, *thinned(frame), grid)
    m, s, share = found.at.unbind(-1)
    c, a = (frame.size.unsqueeze(-1) * found.coefficients).unbind(-1)
    return a, share.clamp(0.0, 1.0), frame.low + frame.width * m, s.exp() * frame.width, c


def guess_gaussian(x: Tensor, y: Tensor) -> Tensor:
    """a, mu, sigma and c over a grid of mu and log(sigma)."""
    a, _, mu, hwhm, c = _guess(x, y, _peaks(torch.zeros(1, dtype=torch.float64), 0.0))
    return params(a, mu, hwhm / math.sqrt(2 * math.log(2)), c)


def guess_lorentzian(x: Tensor, y: Tensor) -> Tensor:
    """a, x0, hwhm and c over a grid of x0 and log(hwhm)."""
    a, _, x0, hwhm, c = _guess(x, y, _peaks(torch.ones(1, dtype=torch.float64), 0.0))
    return params(a, x0, hwhm, c)


def guess_pseudo_voigt(x: Tensor, y: Tensor) -> Tensor:
    """a, eta, x0, hwhm and c over a grid of eta, x0 and log(hwhm).

    Only shares from 0 to 1: beyond, two wide shapes that nearly cancel fit the noise.
    """
    return params(*_guess(x, y, _peaks(*span(0.0, 1.0, 3))))


GAUSSIAN = Family(
    name="gaussian",
    title="Gaussian peak",
    formula="y = a * exp(-0.5 * ((x - mu) / sigma)**2) + c",
    params={
        "a": Meaning("height above the background", "[y]"),
        "mu": Meaning("centre", "[x]"),
        "sigma": Meaning("standard deviation; the full width at half height is 2.355·sigma", "[x]"),
        "c": Meaning("background", "[y]"),
    },
    guess=guess_gaussian,
    when_to_use="A peak broadened by many small causes: chromatography, counting, optics.",
    reference="Gauss, Theoria motus (1809)",
    reports={
        "fwhm": Report("2 * sqrt(2 * log(2)) * abs(sigma)", "full width at half height", "[x]"),
        "area": Report("a * abs(sigma) * sqrt(2 * pi)", "area above the background", "[x]·[y]"),
    },
)

LORENTZIAN = Family(
    name="lorentzian",
    title="Lorentzian peak",
    formula="y = a / (1 + ((x - x0) / hwhm)**2) + c",
    params={
        "a": Meaning("height above the background", "[y]"),
        "x0": Meaning("centre", "[x]"),
        "hwhm": Meaning("half width at half height", "[x]"),
        "c": Meaning("background", "[y]"),
    },
    guess=guess_lorentzian,
    when_to_use="A resonance or a line broadened by its lifetime: wide wings.",
    reference="Lorentz, Proceedings KNAW 8 (1906) 591",
    reports={
        "fwhm": Report("2 * abs(hwhm)", "full width at half height", "[x]"),
        "area": Report("pi * a * abs(hwhm)", "area above the background", "[x]·[y]"),
    },
)

PSEUDO_VOIGT = Family(
    name="pseudo_voigt",
    title="Pseudo-Voigt peak",
    formula=(
        "y = a * (eta / (1 + ((x - x0) / hwhm)**2)"
        " + (1 - eta) * exp(-log(2) * ((x - x0) / hwhm)**2)) + c"
    ),
    params={
        "a": Meaning("height above the background", "[y]"),
        "eta": Meaning("share of the Lorentzian, 0 to 1", "1"),
        "x0": Meaning("centre", "[x]"),
        "hwhm": Meaning("half width at half height, of both shapes", "[x]"),
        "c": Meaning("background", "[y]"),
    },
    guess=guess_pseudo_voigt,
    when_to_use="A line between Gaussian and Lorentzian: X-ray diffraction, spectroscopy.",
    reference="Wertheim et al., Review of Scientific Instruments 45 (1974) 1369",
    reports={
        "fwhm": Report("2 * abs(hwhm)", "full width at half height", "[x]"),
        "area": Report(
            "a * abs(hwhm) * (eta * pi + (1 - eta) * sqrt(pi / log(2)))",
            "area above the background",
            "[x]·[y]",
        ),
    },
)
