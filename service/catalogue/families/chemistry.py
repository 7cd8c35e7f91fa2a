"""Chemistry against temperature and concentration."""

from __future__ import annotations

from service.catalogue.families.record import Family, Meaning

GAS_CONSTANT = 8.31446261815324
"""J/(mol K), exact in the SI of 2019."""

ARRHENIUS = Family(
    name="arrhenius",
    title="Arrhenius equation",
    formula=f"y = A * exp(-Ea / ({GAS_CONSTANT} * x))",
    params={
        "A": Meaning("pre-exponential factor", "[y]"),
        "Ea": Meaning("activation energy", "J/mol, with x in kelvin"),
    },
    when_to_use="A rate constant against the absolute temperature in kelvin.",
    reference="Arrhenius, Z. phys. Chem. 4 (1889) 226; CODATA 2018 for R",
)

NERNST = Family(
    name="nernst",
    title="Nernst equation",
    formula="y = E0 + S * log10(x)",
    params={
        "E0": Meaning("potential at activity 1", "[y]"),
        "S": Meaning("slope a decade: log(10)·R·T/(z·F), 59.16 mV/z at 25 °C", "[y]"),
    },
    when_to_use="The potential of an electrode against activity or concentration. x > 0.",
    reference="Nernst, Z. phys. Chem. 4 (1889) 129; IUPAC, Pure Appl. Chem. 66 (1994) 2527",
)

ANTOINE = Family(
    name="antoine",
    title="Antoine equation",
    formula="log10(y) = A - B / (C + x)",
    params={
        "A": Meaning("log10 of the pressure at infinite temperature", "log10 of [y]"),
        "B": Meaning("steepness", "[x]"),
        "C": Meaning("minus the temperature of the pole", "[x]"),
    },
    when_to_use="Vapour pressure against temperature; residuals are those of its log10. y > 0.",
    reference="Antoine, Comptes rendus 107 (1888) 681; NIST Chemistry WebBook",
)
