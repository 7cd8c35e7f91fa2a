"""Peaks on a constant background. Where there is none, fix c at 0."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from service.engine.models.family import Family, Meaning
from service.engine.models.grids import (
    Allowed,
    Basis,
    Found,
    Frame,
    bounded_exp,
    centres,
    params,
    search,
    span,
    span_frame,
    thinned,
)


def _bell(v: Tensor, m: Tensor, s: Tensor) -> Tensor:
    """1 at m, a half at the distance e^s."""
    return bounded_exp(-math.log(2) * ((v - m) * bounded_exp(-s)).square())


def _witch(v: Tensor, m: Tensor, s: Tensor) -> Tensor:
    """1 at m, a half at the distance e^s."""
    return 1 / (1 + ((v - m) * bounded_exp(-s)).square())


def _peak(
    x: Tensor, y: Tensor, basis: Basis, allowed: Allowed | None = None
) -> tuple[Frame, Found]:
    """The best centre and log of the half-width at half the height, over a grid of both."""
    frame = span_frame(x, y)
    v, thin = thinned(frame)
    scales, step = span(-6.2, 0.4, 14)
    return frame, search(basis, v, thin, centres(scales, step, -0.2, 1.2, 0.8, 0.1), allowed)


def _guess_peak(x: Tensor, y: Tensor, basis: Basis, widths: float) -> Tensor:
    """Height, centre, width in half-widths, and background."""
    frame, found = _peak(x, y, basis)
    m, s = found.at.unbind(-1)
    c, a = (frame.size.unsqueeze(-1) * found.coefficients).unbind(-1)
    return params(a, frame.low + frame.width * m, widths * s.exp() * frame.width, c)


def guess_gaussian(x: Tensor, y: Tensor) -> Tensor:
    """a, mu, sigma and c."""
    return _guess_peak(
        x,
        y,
        lambda v, m, s: [torch.ones_like(v), _bell(v, m, s)],
        1 / math.sqrt(2 * math.log(2)),
    )


def guess_lorentzian(x: Tensor, y: Tensor) -> Tensor:
    """a, x0, hwhm and c."""
    return _guess_peak(x, y, lambda v, m, s: [torch.ones_like(v), _witch(v, m, s)], 1.0)


def guess_pseudo_voigt(x: Tensor, y: Tensor) -> Tensor:
    """a, eta, x0, hwhm and c: linear in both heights, eta·a and (1 − eta)·a.

    Only shares from 0 to 1 are tried: beyond, two wide shapes that nearly cancel fit the noise.
    """

    def basis(v: Tensor, m: Tensor, s: Tensor) -> list[Tensor]:
        return [torch.ones_like(v), _witch(v, m, s), _bell(v, m, s)]

    def allowed(coefficients: Tensor) -> Tensor:
        return coefficients[..., 1] * coefficients[..., 2] >= 0

    frame, found = _peak(x, y, basis, allowed)
    m, s = found.at.unbind(-1)
    c, witch, bell = (frame.size.unsqueeze(-1) * found.coefficients).unbind(-1)
    a = witch + bell
    eta = torch.where(a == 0, 0.5, witch / torch.where(a == 0, 1.0, a))
    return params(a, eta, frame.low + frame.width * m, s.exp() * frame.width, c)


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
)
