"""The units of the columns of an answer's table."""

from __future__ import annotations

from collections.abc import Mapping

from service.schemas.answers import Fit
from service.schemas.base import Answer
from service.schemas.compute import Predictions
from service.schemas.grouped import GroupedFit
from service.schemas.unknowns import Unknowns

_BAND = ("stderr", "lower", "upper")
_ENDS = ("", *(f"_{name}" for name in _BAND))


def units_of_columns(answer: Answer, units: Mapping[str, str] | None = None) -> dict[str, str]:
    """The units of the columns of its table, for headers: of predictions, unknowns and groups."""
    known = {**units_of(answer), **(units or {})}
    if isinstance(answer, GroupedFit):
        found = {name + end: unit for name, unit in known.items() for end in _ENDS}
        target = known.get(answer.model.target)
        return found | ({"residual_std": target} if target else {})
    if isinstance(answer, Predictions) and (unit := known.get(answer.target)):
        return known | dict.fromkeys(("prediction", *_BAND), unit)
    if isinstance(answer, Unknowns):
        solved, read = known.get(answer.solve_for), known.get(answer.target)
        found = dict.fromkeys(("estimate", "nominal", "lloq", "uloq", *_BAND), solved or "")
        return {name: unit for name, unit in {**found, "mean": read or ""}.items() if unit}
    return known if isinstance(answer, Predictions) else {}


def units_of(answer: Answer) -> Mapping[str, str]:
    """The units that an answer has of columns and params."""
    if isinstance(answer, Fit | GroupedFit | Predictions | Unknowns):
        return answer.units or {}
    return {}
