"""Sigmoids: growth against time, response against dose.

Over a dose, which is 0 or more, they are functions of log(x): `logistic4`, `logistic5` and
`weibull`. Over a time they are functions of x: `logistic3` and `gompertz`.
"""

from __future__ import annotations

from service.catalogue.families.record import Family, Meaning, Report

LOGISTIC3 = Family(
    name="logistic3",
    title="Logistic growth",
    formula="y = L / (1 + exp(-k * (x - x0)))",
    params={
        "L": Meaning("upper limit", "[y]"),
        "k": Meaning("growth rate; below 0 y falls", "1/[x]"),
        "x0": Meaning("x at half of L, where y is steepest", "[x]"),
    },
    when_to_use="Growth from 0 to a limit, symmetrical about its middle.",
    reference="Verhulst, Mémoires de l'Académie de Bruxelles 18 (1845) 1; R's SSlogis",
    reports={
        "x_half": Report("x0", "x at half of the limit", "[x]"),
        "steepest_slope": Report("L * k / 4", "slope at x0", "[y]/[x]"),
        "rise_time": Report("2 * log(9) / abs(k)", "x from 10 % to 90 % of the limit", "[x]"),
    },
)

LOGISTIC4 = Family(
    name="logistic4",
    title="Dose-response, four params (LL.4)",
    formula="y = c + (d - c) / (1 + (x / e)**b)",
    params={
        "c": Meaning("lower limit", "[y]"),
        "d": Meaning("upper limit", "[y]"),
        "e": Meaning("ED50 or EC50: the dose half-way between the limits", "[x]"),
        "b": Meaning("slope at e: above 0 y falls with the dose, below 0 it rises", "1"),
    },
    when_to_use="Response against dose (not its logarithm); a control has x = 0.",
    reference="Ritz et al., PLoS ONE 10 (2015) e0146021, LL.4 of drc",
    log_x=True,
    reports={
        "ec10": Report(
            "e * 9**(-1 / abs(b))", "dose of 10 % of the effect, relative to the limits", "[x]"
        ),
        "ec50": Report("e", "dose of half of the effect, relative to the limits", "[x]"),
        "ec90": Report(
            "e * 9**(1 / abs(b))", "dose of 90 % of the effect, relative to the limits", "[x]"
        ),
    },
)

LOGISTIC5 = Family(
    name="logistic5",
    title="Dose-response, five params (LL.5)",
    formula="y = c + (d - c) / (1 + (x / e)**b)**f",
    params={
        "c": Meaning("lower limit", "[y]"),
        "d": Meaning("upper limit", "[y]"),
        "e": Meaning("location; the ED50 where f = 1", "[x]"),
        "b": Meaning("slope: above 0 y falls with the dose, below 0 it rises", "1"),
        "f": Meaning("asymmetry; 1 is logistic4", "1"),
    },
    when_to_use="Response against many doses, where one end of the curve is visibly steeper.",
    reference="Gottschalk and Dunn, Analytical Biochemistry 343 (2005) 54; LL.5 of drc",
    log_x=True,
    reports={
        "ec10": Report(
            "e * (where(b > 0, 10 / 9, 10)**(1 / f) - 1)**(1 / b)",
            "dose of 10 % of the effect, relative to the limits",
            "[x]",
        ),
        "ec50": Report(
            "e * (2**(1 / f) - 1)**(1 / b)",
            "dose of half of the effect, relative to the limits",
            "[x]",
        ),
        "ec90": Report(
            "e * (where(b > 0, 10, 10 / 9)**(1 / f) - 1)**(1 / b)",
            "dose of 90 % of the effect, relative to the limits",
            "[x]",
        ),
    },
)

GOMPERTZ = Family(
    name="gompertz",
    title="Gompertz growth",
    formula="y = a * exp(-exp(-k * (x - x0)))",
    params={
        "a": Meaning("upper limit", "[y]"),
        "k": Meaning("growth rate", "1/[x]"),
        "x0": Meaning("x of the steepest growth, where y = 0.37·a", "[x]"),
    },
    when_to_use="Growth from 0 to a limit that is fast early and slow late: tumours, animals.",
    reference="Gompertz, Phil. Trans. 115 (1825) 513; Tjørve, PLoS ONE 12 (2017) e0178691",
    reports={
        "x_half": Report("x0 - log(log(2)) / k", "x at half of the limit", "[x]"),
        "steepest_slope": Report("a * k * exp(-1)", "slope at x0", "[y]/[x]"),
        "lag": Report("x0 - 1 / k", "x at which the steepest tangent meets 0", "[x]"),
    },
)

WEIBULL = Family(
    name="weibull",
    title="Weibull growth",
    formula="y = a - drop * exp(-(x / scale)**shape)",
    params={
        "a": Meaning("limit at large x", "[y]"),
        "drop": Meaning("a less y at x = 0", "[y]"),
        "scale": Meaning("x at which 63 % of the drop is made good", "[x]"),
        "shape": Meaning("1 is exponential; above 1 sigmoid, below 1 stretched", "1"),
    },
    when_to_use="Growth, release or (drop < 0) decay of any asymmetry; stretched decay. x ≥ 0.",
    reference="Ratkowsky, Nonlinear Regression Modeling (1983); R's SSweibull",
    reports={
        "x_half": Report(
            "scale * log(2)**(1 / shape)", "x at which half of the drop is made good", "[x]"
        ),
    },
)
