"""The plot requests for the picture of a comparison: one of each curve that is drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from service.errors import InvalidRequest
from service.fitting.comparison.requests import fit_request
from service.fitting.from_groups import label_of, place_of, values_of_key
from service.fitting.from_job import model_of, of_body
from service.fitting.groups import to_groups
from service.fitting.plot_data import select
from service.fitting.rates import is_of_rates, rates
from service.fitting.row_filter import only, with_rows
from service.schemas.compare import Candidate, Catalogue, CompareRequest
from service.schemas.comparisons import ComparedModel, Comparison, GroupedComparison
from service.schemas.fit import FitRequest
from service.schemas.options import Param, Tied
from service.schemas.plot import PlotRequest

MOST_CURVES = 6
"""Models, or hypotheses, whose curves are drawn: the first."""
MOST_GROUPS = 6


@dataclass(frozen=True, slots=True)
class ComparedCurve:
    """The curve of one model; of a hypothesis, that of one group, or of all if they share it."""

    label: str
    group: str | None
    request: PlotRequest


@dataclass(frozen=True, slots=True)
class ComparedWeight:
    """A model with its weight; None where it has none."""

    label: str
    weight: float | None


@dataclass(frozen=True, slots=True)
class ComparedPlot:
    """What the picture of a comparison shows."""

    title: str
    whole: PlotRequest
    """All rows, with the first curve."""
    curves: tuple[ComparedCurve, ...]
    weights: tuple[ComparedWeight, ...]
    criterion: str
    notes: tuple[str, ...] = ()


def plot_of_models(asked: PlotRequest) -> ComparedPlot:
    """The picture of the `models` of a plot request."""
    models = asked.models or []
    curves = [
        ComparedCurve(
            each.label,
            None,
            asked.model_copy(
                update={"model": each.model, "params": each.params, "scaling": each.scaling}
            ),
        )
        for each in models
    ]
    weights = [ComparedWeight(each.label, each.weight) for each in models]
    title = asked.title or f"{len(models)} models"
    return _compared(title, curves, weights, None)


def plot_of_comparison(
    asked: PlotRequest,
    request: CompareRequest,
    answer: Comparison | GroupedComparison,
    group: str | None,
) -> ComparedPlot:
    """The picture of a job: the models over the data; where curves of groups are compared, each
    hypothesis' curve of each group; of models compared in each group, those of one. Raises
    InvalidRequest where there is nothing to draw."""
    if isinstance(answer, GroupedComparison):
        return _of_one_group(asked, request, answer, group)
    if group is not None:
        raise InvalidRequest(
            "query parameter 'group' is of models compared in each group, which these are not"
        )
    weights = [ComparedWeight(m.label, m.weight) for m in answer.models]
    if request.compares_curves:
        curves, whole, notes = _of_hypotheses(asked, request, answer)
        title = asked.title or f"{answer.models[0].model.formula}, by {_columns(request)}"
        made = _compared(title, curves, weights, answer.criterion, notes)
        return made if whole is None else replace(made, whole=whole)
    fitted = (_of_model(asked, request, model) for model in answer.models)
    title = asked.title or f"{len(answer.models)} models of {answer.target}"
    return _compared(title, [c for c in fitted if c is not None], weights, answer.criterion)


def _compared(
    title: str, curves: list[ComparedCurve], weights: list[ComparedWeight],
    criterion: str | None, notes: Iterable[str] = (),
) -> ComparedPlot:  # fmt: skip
    labels = list(dict.fromkeys(each.label for each in curves))
    if not labels:
        raise InvalidRequest("none of the models was fitted: there is no curve to draw")
    shown = labels[:MOST_CURVES]
    more = len(labels) - len(shown)
    said = [f"{more:,} more curves are not drawn"] if more else []
    return ComparedPlot(
        title=title,
        whole=curves[0].request,
        curves=tuple(each for each in curves if each.label in shown),
        weights=tuple(weights),
        criterion={"aicc": "AICc"}.get(criterion or "", (criterion or "").upper()),
        notes=(*notes, *said),
    )


def _of_model(
    asked: PlotRequest, request: CompareRequest, model: ComparedModel
) -> ComparedCurve | None:
    if model.predict is None or not all(map(math.isfinite, model.params.values())):
        return None
    own = fit_request(request, _candidate(request, model.index))
    filled = _data(asked, own) | of_body(model.predict)
    plain = {"covariance": None, "residual_std": None, "noise": None, "sigma_scale": None}
    return ComparedCurve(model.label, None, asked.model_copy(update=filled | plain))


def _of_hypotheses(
    asked: PlotRequest, request: CompareRequest, answer: Comparison
) -> tuple[list[ComparedCurve], PlotRequest | None, list[str]]:
    """The curves, all rows with the first of them, and notes."""
    own = fit_request(request, _candidate(request, 0))
    whole = with_rows(own)
    groups = to_groups(whole.group_by, whole.data, 2**62)  # type: ignore[arg-type]
    code_of = {values_of_key(key): code for code, key in enumerate(groups.keys)}
    curves, every = list[ComparedCurve](), None
    for model in answer.models:
        if model.groups is None:
            continue
        for place, key in enumerate(model.groups.values[:MOST_GROUPS]):
            values = {**model.params, **_at(model.groups.params, place)}
            if every is None or not model.groups.params:
                over_all = _curve(asked, whole, whole, model.model.formula, values)
                every = every or over_all
            if not model.groups.params:
                if over_all is not None:
                    curves.append(ComparedCurve(model.label, None, over_all))
                break
            rows = only(whole, groups.codes == code_of[key])
            made = _curve(asked, rows, whole, model.model.formula, values)
            if made is not None:
                curves.append(ComparedCurve(model.label, label_of(model.groups, place), made))
    more = len(groups.keys) - MOST_GROUPS
    return curves, every, [f"{more:,} more groups are not drawn"] if more > 0 else []


def _of_one_group(
    asked: PlotRequest, request: CompareRequest, answer: GroupedComparison, group: str | None
) -> ComparedPlot:
    if group is None:
        raise InvalidRequest(
            "the models are compared in each group, and the picture is of one: name it in `group`",
            pointer="/group",
        )
    place = place_of(answer, group)
    curves, weights = list[ComparedCurve](), list[ComparedWeight]()
    for model in sorted(answer.models, key=lambda m: m.rank[place] or 10**6):
        own = fit_request(request, _candidate(request, model.index))
        whole = with_rows(own)
        groups = to_groups(whole.group_by, whole.data, 2**62)  # type: ignore[arg-type]
        code_of = {values_of_key(key): code for code, key in enumerate(groups.keys)}
        rows = only(whole, groups.codes == code_of[answer.values[place]])
        weights.append(ComparedWeight(model.label, _number(model.weight[place])))
        made = _curve(asked, rows, whole, model.model.formula, _at(model.params, place))
        if made is not None:
            curves.append(ComparedCurve(model.label, None, made))
    title = asked.title or f"{len(weights)} models of {answer.target}  ·  {label_of(answer, place)}"
    return _compared(title, curves, weights, answer.criterion)


def _curve(
    asked: PlotRequest, rows: FitRequest, whole: FitRequest, formula: str, values: dict[str, float]
) -> PlotRequest | None:
    """The plot request of one group; None where it could not be fitted. A scaling is that of the
    rows of all groups."""
    if not all(map(math.isfinite, values.values())):
        return None
    ties = {n: p.expr for n, p in whole.params.items() if isinstance(p, Param) and p.expr}
    params = {n: v for n, v in values.items() if n not in ties}
    update: dict[str, Any] = {
        **_data(asked, rows.model_copy(update={"group_by": None})),
        "model": model_of(formula),
        "params": {**params, **{n: Tied(expr=expr) for n, expr in ties.items()}},
    }
    if whole.scaling is not None:
        every = asked.model_copy(
            update={**update, "data": dict(whole.data), "scaling": whole.scaling}
        )
        update["scaling"] = select(every, 1).scales
    return asked.model_copy(update=update)


def _data(asked: PlotRequest, own: FitRequest) -> dict[str, Any]:
    made: dict[str, Any] = {
        "data": dict(own.data),
        "rows": own.rows,
        "sigma": own.sigma,
        "units": asked.units or own.units,
    }
    if is_of_rates(own):
        made |= {**rates(own.model_copy(update={"group_by": None}), None, "fit"), "sigma": None}
    return made


def _candidate(request: CompareRequest, index: int) -> Candidate:
    """The model at that place; of the catalogue a stand-in, since its request has data alone."""
    if isinstance(request.models, Catalogue):
        return Candidate(model="linear")
    return request.models[index]


def _at(columns: Mapping[str, list[float]], place: int) -> dict[str, float]:
    return {name: column[place] for name, column in columns.items()}


def _columns(request: CompareRequest) -> str:
    assert request.group_by is not None
    column = request.group_by.column
    return column if isinstance(column, str) else ", ".join(column)


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
