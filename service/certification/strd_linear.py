"""NIST's linear problems whose data are known for certain: a rational fit of these data, in 80
digits, gives NIST's certified params and standard errors to all their 15 digits.

Wampler's are closed form; Longley's and Filip's data are NIST's
(https://www.itl.nist.gov/div898/strd/lls/lls.shtml).
"""

from __future__ import annotations

from functools import cache

from service.certification.case import Case, Figure, Source, read
from service.certification.strd import ERROR_DIGITS, PARAM_DIGITS, Printed

_FEWER = {"Wampler5": 5.0}
"""Digits of params that must agree, where double precision has no more."""
_NOTES = {
    "Wampler5": "The noise is up to ten million beside a constant of 1, of which rounding the data "
    "and the sums leaves six digits or a little less: five of the params must agree.",
}


@cache
def linear_problems() -> tuple[Printed, ...]:
    """All of `data/linear.json`."""
    return tuple(
        Printed(
            name=each["name"],
            formula=each["formula"],
            data={name: [float(v) for v in column] for name, column in each["data"].items()},
            printed=each["params"],
            printed_stderr=each["stderr"],
            printed_residual_std=each["residual_std"],
        )
        for each in read("linear.json")
    )


def linear_cases() -> list[Case]:
    """Every problem."""
    return list(map(_case, linear_problems()))


def _case(problem: Printed) -> Case:
    errors = problem.printed_stderr.items()
    needed = _FEWER.get(problem.name, PARAM_DIGITS)
    url = f"https://www.itl.nist.gov/div898/strd/lls/data/{problem.name}.shtml"
    return Case(
        name=problem.name,
        title=f"NIST StRD {problem.name}",
        source=Source("NIST/ITL, Statistical Reference Datasets, linear regression", url),
        route="/fit",
        body={"model": problem.formula, "data": problem.data},
        certified=(
            *(Figure(f"/params/{n}", text, needed) for n, text in problem.printed.items()),
            *(Figure(f"/statistics/stderr/{n}", text, ERROR_DIGITS) for n, text in errors),
            Figure("/statistics/residual_std", problem.printed_residual_std, ERROR_DIGITS),
        ),
        note=_NOTES.get(problem.name),
    )
