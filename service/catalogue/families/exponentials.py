"""Exponentials: decay to a plateau, double decay, growth.

Rates rather than time constants, as in Prism and in SciPy's example of `curve_fit`: a rate passes
through 0 where a time constant passes through infinity.
"""

from __future__ import annotations

from service.catalogue.families.record import Family, Meaning

EXPONENTIAL_DECAY = Family(
    name="exponential_decay",
    title="Exponential decay to a plateau",
    formula="y = a * exp(-k * x) + c",
    params={
        "a": Meaning("height above the plateau at x = 0", "[y]"),
        "k": Meaning("rate; 1/k is the time constant, log(2)/k the half-life", "1/[x]"),
        "c": Meaning("plateau at large x", "[y]"),
    },
    when_to_use="y falls, or rises, towards a plateau at a speed proportional to what is left.",
    reference="Motulsky and Christopoulos, Fitting Models to Biological Data (2004)",
)

EXPONENTIAL_GROWTH = Family(
    name="exponential_growth",
    title="Exponential growth",
    formula="y = a * exp(k * x)",
    params={
        "a": Meaning("y at x = 0", "[y]"),
        "k": Meaning("rate; log(2)/k is the doubling time", "1/[x]"),
    },
    when_to_use="y grows by the same factor for each unit of x.",
    reference="Malthus, An Essay on the Principle of Population (1798)",
)

DOUBLE_EXPONENTIAL_DECAY = Family(
    name="double_exponential_decay",
    title="Two exponential decays",
    formula="y = a1 * exp(-k1 * x) + a2 * exp(-k2 * x)",
    params={
        "a1": Meaning("height of the fast decay at x = 0", "[y]"),
        "k1": Meaning("rate of the fast decay", "1/[x]"),
        "a2": Meaning("height of the slow decay at x = 0", "[y]"),
        "k2": Meaning("rate of the slow decay", "1/[x]"),
    },
    when_to_use="Two processes decay side by side to 0: a drug's distribution and elimination.",
    reference="Pinheiro and Bates, Mixed-Effects Models in S and S-PLUS (2000), SSbiexp",
)
