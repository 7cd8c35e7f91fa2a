"""Peaks on a constant background. Without a background, fix c at 0."""

from __future__ import annotations

from service.catalogue.families.record import Family, Meaning

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
    when_to_use="A line between Gaussian and Lorentzian: X-ray diffraction, spectroscopy.",
    reference="Wertheim et al., Review of Scientific Instruments 45 (1974) 1369",
)
