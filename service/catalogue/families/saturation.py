"""Curves that start at 0 and saturate: binding, enzymes, adsorption, charging."""

from __future__ import annotations

from service.catalogue.families.record import Family, Meaning

MICHAELIS_MENTEN = Family(
    name="michaelis_menten",
    title="Michaelis-Menten",
    formula="y = Vmax * x / (Km + x)",
    params={
        "Vmax": Meaning("rate at saturation", "[y]"),
        "Km": Meaning("x at half of Vmax", "[x]"),
    },
    when_to_use="The rate of an enzyme against its substrate; binding to one kind of site.",
    reference="Michaelis and Menten, Biochemische Zeitschrift 49 (1913) 333",
)

LANGMUIR = Family(
    name="langmuir",
    title="Langmuir isotherm",
    formula="y = qmax * K * x / (1 + K * x)",
    params={
        "qmax": Meaning("capacity of the full surface", "[y]"),
        "K": Meaning("equilibrium constant of adsorption", "1/[x]"),
    },
    when_to_use="Adsorption in one layer against pressure or concentration.",
    reference="Langmuir, J. Am. Chem. Soc. 40 (1918) 1361",
)

HILL = Family(
    name="hill",
    title="Hill equation",
    formula="y = Vmax / (1 + (K / x)**n)",
    params={
        "Vmax": Meaning("y at saturation", "[y]"),
        "K": Meaning("x at half of Vmax", "[x]"),
        "n": Meaning("Hill coefficient: above 1 cooperative, below 0 falling", "1"),
    },
    when_to_use="Saturation that sets in steeply: cooperative binding, a response from 0. x ≥ 0.",
    reference="Hill, J. Physiol. 40 (1910) iv",
)

SATURATING_GROWTH = Family(
    name="saturating_growth",
    title="Saturating growth",
    formula="y = a * (1 - exp(-k * x))",
    params={
        "a": Meaning("plateau at large x", "[y]"),
        "k": Meaning("rate; 1/k is the time constant", "1/[x]"),
    },
    when_to_use="y rises from 0 to a plateau at a speed proportional to what is left.",
    reference="NIST StRD, Misra1a; Mitscherlich, Landwirtschaftliche Jahrbücher 38 (1909) 537",
)
