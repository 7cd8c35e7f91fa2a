"""Powers and logarithms of x."""

from __future__ import annotations

from service.catalogue.families.record import Family, Meaning

POWER_LAW = Family(
    name="power_law",
    title="Power law",
    formula="y = a * x**b",
    params={
        "a": Meaning("y at x = 1", "[y]/[x]^b"),
        "b": Meaning("exponent", "1"),
    },
    when_to_use="y changes by the same factor whenever x doubles: allometry, scaling. x > 0.",
    reference="Huxley, Nature 114 (1924) 895",
)

LOGARITHMIC = Family(
    name="logarithmic",
    title="Logarithm",
    formula="y = a + b * log(x)",
    params={
        "a": Meaning("y at x = 1", "[y]"),
        "b": Meaning("growth of y when x grows by the factor 2.718…", "[y]"),
    },
    when_to_use="y grows by the same amount whenever x doubles. x > 0.",
    reference="Fechner, Elemente der Psychophysik (1860)",
)
