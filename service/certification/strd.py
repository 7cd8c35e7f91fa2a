"""NIST's Statistical Reference Datasets for nonlinear regression, in the files that NIST publishes.

Certified values: https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from service.certification.case import DATA, Case, Figure, Source

_GAUSS = "b1*exp(-b2*x) + b3*exp(-(x-b4)**2/b5**2) + b6*exp(-(x-b7)**2/b8**2)"
_LANCZOS = "b1*exp(-b2*x) + b3*exp(-b4*x) + b5*exp(-b6*x)"
_CUBICS = "(b1 + b2*x + b3*x**2 + b4*x**3) / (1 + b5*x + b6*x**2 + b7*x**3)"
FORMULAS = {
    "Bennett5": "b1*(b2+x)**(-1/b3)",
    "BoxBOD": "b1*(1-exp(-b2*x))",
    "Chwirut1": "exp(-b1*x)/(b2+b3*x)",
    "Chwirut2": "exp(-b1*x)/(b2+b3*x)",
    "DanWood": "b1*x**b2",
    "ENSO": "b1 + b2*cos(2*pi*x/12) + b3*sin(2*pi*x/12) + b5*cos(2*pi*x/b4)"
    " + b6*sin(2*pi*x/b4) + b8*cos(2*pi*x/b7) + b9*sin(2*pi*x/b7)",
    "Eckerle4": "(b1/b2)*exp(-0.5*((x-b3)/b2)**2)",
    "Gauss1": _GAUSS,
    "Gauss2": _GAUSS,
    "Gauss3": _GAUSS,
    "Hahn1": _CUBICS,
    "Kirby2": "(b1 + b2*x + b3*x**2) / (1 + b4*x + b5*x**2)",
    "Lanczos1": _LANCZOS,
    "Lanczos2": _LANCZOS,
    "Lanczos3": _LANCZOS,
    "MGH09": "b1*(x**2+x*b2) / (x**2+x*b3+b4)",
    "MGH10": "b1*exp(b2/(x+b3))",
    "MGH17": "b1 + b2*exp(-x*b4) + b3*exp(-x*b5)",
    "Misra1a": "b1*(1-exp(-b2*x))",
    "Misra1b": "b1*(1-(1+b2*x/2)**(-2))",
    "Misra1c": "b1*(1-(1+2*b2*x)**(-0.5))",
    "Misra1d": "b1*b2*x*((1+b2*x)**(-1))",
    "Nelson": "log(y) = b1 - b2*x1*exp(-b3*x2)",
    "Rat42": "b1 / (1+exp(b2-b3*x))",
    "Rat43": "b1 / (1+exp(b2-b3*x))**(1/b4)",
    "Roszman1": "b1 - b2*x - atan(b3/(x-b4))/pi",
    "Thurber": _CUBICS,
}
"""Each file's model in the language of formulas."""
PARAM_DIGITS, ERROR_DIGITS = 6.0, 4.0
"""Digits that must agree, of the 11 certified ones: of params, and of standard errors and the
residual standard deviation."""
_FEWER = {"Lanczos1": 2.0}
"""The same of standard errors, where double precision has no more."""
_NOTES = {
    "Lanczos1": "The residuals are so small that rounding the data to float64 changes their "
    "standard deviation by 4e-4: two digits of the errors must agree.",
}


@dataclass(frozen=True, kw_only=True)
class Printed:
    """A problem with its certified results as NIST prints them."""

    name: str
    formula: str
    data: dict[str, list[float]]
    printed: dict[str, str]
    printed_stderr: dict[str, str]
    printed_residual_std: str

    @property
    def params(self) -> dict[str, float]:
        """The certified params."""
        return {name: float(text) for name, text in self.printed.items()}

    @property
    def stderr(self) -> dict[str, float]:
        """Their certified standard errors."""
        return {name: float(text) for name, text in self.printed_stderr.items()}

    @property
    def residual_std(self) -> float:
        """The certified residual standard deviation."""
        return float(self.printed_residual_std)


@dataclass(frozen=True, kw_only=True)
class Problem(Printed):
    """A nonlinear problem, with two starts."""

    starts: tuple[dict[str, float], dict[str, float]]
    printed_rss: str
    degrees_of_freedom: int

    @property
    def rss(self) -> float:
        """The certified residual sum of squares."""
        return float(self.printed_rss)


@cache
def load(name: str) -> Problem:
    """A problem by its name."""
    lines = (DATA / "nist" / f"{name}.dat").read_text(encoding="ascii").splitlines()
    rows = [line.replace("=", " = ").split() for line in lines if line.strip().startswith("b")]
    values = {row[0]: row[2:] for row in rows if len(row) == 6 and row[1] == "="}
    header = next(i for i, line in enumerate(lines) if line.startswith("Data:") and i > 40)
    names = lines[header].removeprefix("Data:").split()
    table = [[float(v) for v in line.split()] for line in lines[header + 1 :] if line.strip()]
    return Problem(
        name=name,
        formula=FORMULAS[name],
        data={column: [row[i] for row in table] for i, column in enumerate(names)},
        starts=(
            {param: float(value[0]) for param, value in values.items()},
            {param: float(value[1]) for param, value in values.items()},
        ),
        printed={param: value[2] for param, value in values.items()},
        printed_stderr={param: value[3] for param, value in values.items()},
        printed_rss=_summary(lines, "Residual Sum of Squares"),
        printed_residual_std=_summary(lines, "Residual Standard Deviation"),
        degrees_of_freedom=int(_summary(lines, "Degrees of Freedom")),
    )


def _summary(lines: list[str], title: str) -> str:
    return next(line.split(":")[1].strip() for line in lines if line.startswith(title))


def nonlinear_cases() -> list[Case]:
    """Every problem from both of its starts."""
    return [_case(load(name), start) for name in FORMULAS for start in (1, 2)]


def _case(problem: Problem, start: int) -> Case:
    url = f"https://www.itl.nist.gov/div898/strd/nls/data/{problem.name.lower()}.shtml"
    errors, needed = problem.printed_stderr.items(), _FEWER.get(problem.name, ERROR_DIGITS)
    return Case(
        name=f"{problem.name}-{start}",
        title=f"NIST StRD {problem.name}, from start {start}",
        source=Source("NIST/ITL, Statistical Reference Datasets, nonlinear regression", url),
        route="/fit",
        body={
            "model": problem.formula,
            "data": problem.data,
            "params": problem.starts[start - 1],
        },
        certified=(
            *(Figure(f"/params/{n}", text, PARAM_DIGITS) for n, text in problem.printed.items()),
            *(Figure(f"/statistics/stderr/{n}", text, needed) for n, text in errors),
            Figure("/statistics/residual_std", problem.printed_residual_std, needed),
        ),
        note=_NOTES.get(problem.name),
    )
