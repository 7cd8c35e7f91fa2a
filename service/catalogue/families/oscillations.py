"""Oscillations, steady and damped.

Their candidates are the peaks of a periodogram: y is binned evenly over x and transformed (after
Press and Rybicki, Astrophysical Journal 338 (1989) 277), and the least squares at its highest
peaks, on the rows as they are, decides (Lomb, Astrophysics and Space Science 39 (1976) 447).
"""

from __future__ import annotations

from service.catalogue.families.record import Family, Meaning

SINE = Family(
    name="sine",
    title="Sine with an offset",
    formula="y = a * sin(2 * pi * f * x + phi) + c",
    params={
        "a": Meaning("amplitude", "[y]"),
        "f": Meaning("frequency; 1/f is the period", "1/[x]"),
        "phi": Meaning("phase at x = 0", "rad"),
        "c": Meaning("mean level", "[y]"),
    },
    when_to_use="A steady oscillation of one frequency.",
    reference="IEEE Std 1057-2017, four-parameter sine fit",
)

DAMPED_SINE = Family(
    name="damped_sine",
    title="Damped sine with an offset",
    formula="y = a * exp(-k * x) * sin(2 * pi * f * x + phi) + c",
    params={
        "a": Meaning("amplitude at x = 0", "[y]"),
        "k": Meaning("rate of damping; 1/k is the time constant", "1/[x]"),
        "f": Meaning("frequency; 1/f is the period", "1/[x]"),
        "phi": Meaning("phase at x = 0", "rad"),
        "c": Meaning("level at rest", "[y]"),
    },
    when_to_use="An oscillation that dies away: a pendulum, a ringing circuit.",
    reference="Landau and Lifshitz, Mechanics, 3rd ed. (1976), section 25",
)
