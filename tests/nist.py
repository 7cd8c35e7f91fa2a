"""The StRD nonlinear regression problems of tests/data/nist, as NIST writes them.

Certified values: https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent / "data" / "nist"

FORMULAS = {
    "BoxBOD": "b1*(1-exp(-b2*x))",
    "Chwirut1": "exp(-b1*x)/(b2+b3*x)",
    "DanWood": "b1*x**b2",
    "Gauss1": "b1*exp(-b2*x) + b3*exp(-(x-b4)**2/b5**2) + b6*exp(-(x-b7)**2/b8**2)",
    "Kirby2": "(b1 + b2*x + b3*x**2) / (1 + b4*x + b5*x**2)",
    "MGH09": "b1*(x**2+x*b2) / (x**2+x*b3+b4)",
    "MGH17": "b1 + b2*exp(-x*b4) + b3*exp(-x*b5)",
    "Misra1a": "b1*(1-exp(-b2*x))",
    "Nelson": "log(y) = b1 - b2*x1*exp(-b3*x2)",
    "Rat43": "b1 / (1+exp(b2-b3*x))**(1/b4)",
    "Roszman1": "b1 - b2*x - atan(b3/(x-b4))/pi",
}
"""Each file's model in the language of formulas."""
DOUBTS = {
    "Chwirut1": ["outliers", "autocorrelated_residuals"],
    "Kirby2": ["autocorrelated_residuals"],
    "Nelson": ["autocorrelated_residuals"],
}
"""What is said of problems whose certified answer leaves a pattern in the residuals."""


@dataclass(frozen=True, slots=True)
class Certified:
    """A problem: its formula and data, two starts, and the certified answer to 11 digits."""

    name: str
    formula: str
    data: dict[str, list[float]]
    starts: tuple[dict[str, float], dict[str, float]]
    params: dict[str, float]
    stderr: dict[str, float]
    rss: float
    residual_std: float
    degrees_of_freedom: int


def verdict(name: str) -> str:
    """How far to trust a problem's certified answer."""
    return "doubtful" if name in DOUBTS else "trustworthy"


@lru_cache
def load(name: str) -> Certified:
    """A problem of the folder by its name."""
    lines = (FOLDER / f"{name}.dat").read_text().splitlines()
    rows = [line.replace("=", " = ").split() for line in lines if line.strip().startswith("b")]
    values = {row[0]: [float(v) for v in row[2:]] for row in rows if row[1] == "="}
    header = next(i for i, line in enumerate(lines) if line.startswith("Data:") and i > 40)
    names = lines[header].removeprefix("Data:").split()
    table = [[float(v) for v in line.split()] for line in lines[header + 1 :] if line.strip()]
    return Certified(
        name=name,
        formula=FORMULAS[name],
        data={column: [row[i] for row in table] for i, column in enumerate(names)},
        starts=(
            {param: value[0] for param, value in values.items()},
            {param: value[1] for param, value in values.items()},
        ),
        params={param: value[2] for param, value in values.items()},
        stderr={param: value[3] for param, value in values.items()},
        rss=_summary(lines, "Residual Sum of Squares"),
        residual_std=_summary(lines, "Residual Standard Deviation"),
        degrees_of_freedom=int(_summary(lines, "Degrees of Freedom")),
    )


def digits(found: float, certified: float) -> float:
    """How many digits agree: −log10 of the relative error, at most 11 (what is certified)."""
    if not math.isfinite(found):
        return 0.0
    error = abs(found - certified) / abs(certified)
    return 11.0 if error == 0 else min(11.0, -math.log10(error))


def _summary(lines: list[str], title: str) -> float:
    return next(float(line.split(":")[1]) for line in lines if line.startswith(title))
