"""Two lines that meet at a break."""

from __future__ import annotations

from service.catalogue.families.record import Family, Meaning

PIECEWISE_LINEAR = Family(
    name="piecewise_linear",
    title="Two lines that meet",
    formula="y = where(x < x0, y0 + k1 * (x - x0), y0 + k2 * (x - x0))",
    params={
        "x0": Meaning("the break", "[x]"),
        "y0": Meaning("y at the break", "[y]"),
        "k1": Meaning("slope before the break", "[y]/[x]"),
        "k2": Meaning("slope after the break", "[y]/[x]"),
    },
    when_to_use="One slope up to a threshold, another beyond it.",
    reference="Hudson, J. Am. Stat. Assoc. 61 (1966) 1097",
)
