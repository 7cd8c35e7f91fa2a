"""Curves that start at 0 and saturate: binding, enzymes, adsorption, charging."""

from __future__ import annotations

from service.catalogue.families.record import Family, Meaning, Report

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
    reports={
        "efficiency": Report("Vmax / Km", "slope at x = 0", "[y]/[x]"),
        "x90": Report("9 * Km", "x at 90 % of Vmax", "[x]"),
    },
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
    reports={
        "x_half": Report("1 / K", "x at half of the capacity", "[x]"),
        "initial_slope": Report("qmax * K", "slope at x = 0", "[y]/[x]"),
    },
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
    reports={
        "ec10": Report("K * 9**(-1 / abs(n))", "x at 10 % of the effect", "[x]"),
        "ec50": Report("K", "x at half of the effect", "[x]"),
        "ec90": Report("K * 9**(1 / abs(n))", "x at 90 % of the effect", "[x]"),
    },
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
    reports={
        "half_time": Report("log(2) / k", "x at half of the plateau", "[x]"),
        "time_constant": Report("1 / k", "x at 63 % of the plateau", "[x]"),
        "initial_slope": Report("a * k", "slope at x = 0", "[y]/[x]"),
    },
)
