"""The plot requests for pictures of a job by groups: one of each group that is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic_core import from_json

from service.errors import InvalidRequest, UnknownName
from service.fitting.from_job import history_of, model_of
from service.fitting.grouped_curves import Curves
from service.fitting.groups import Key, to_groups
from service.fitting.rates import is_of_rates, rates
from service.fitting.row_filter import only, with_rows
from service.schemas.fit import FitRequest
from service.schemas.grouped import GroupedFit, Keyed, values_of
from service.schemas.noise import KnownNoise, NoiseModel
from service.schemas.options import Scale, Tied
from service.schemas.plot import PlotRequest


@dataclass(frozen=True, slots=True)
class GroupPlot:
    """The plot request of one group."""

    label: str
    """The key, with the names of its columns."""
    verdict: str
    request: PlotRequest
    is_fitted: bool
    """Whether its params are numbers; else they are 0."""


def group_of(fit: GroupedFit, text: str) -> int:
    """The place of the group with that key as text. Raises UnknownName."""
    return place_of(fit.groups, text)


def place_of(groups: Keyed, text: str) -> int:
    """The place of the group with that key as text; of several columns a JSON array. Raises
    UnknownName."""
    keys = groups.values
    for read in (str, float, from_json):
        try:
            return keys.index(values_of(read(text)))
        except ValueError:
            continue
    known = [_text(key[0]) if len(key) == 1 else _several(key) for key in keys]
    raise UnknownName("group", text, known, pointer="/group")


def plots_of_groups(
    asked: PlotRequest, request: FitRequest, fit: GroupedFit, places: Sequence[int]
) -> list[GroupPlot]:
    """The plot requests of the groups at these places of the answer. `asked.title` is that of the
    whole."""
    if is_of_rates(request) and asked.view == "path":
        rates(request, None, asked.view)
    assert request.group_by is not None
    whole = with_rows(request)
    groups = to_groups(whole.group_by, whole.data, 2**62)  # type: ignore[arg-type]
    code_of = {values_of_key(key): code for code, key in enumerate(groups.keys)}
    curves, keys = Curves.of(fit), fit.groups.values
    found = []
    for place in places:
        code = code_of[keys[place]]
        own = only(whole, groups.codes == code).model_copy(update={"group_by": None})
        filled = _filled(asked, own, fit, curves, place)
        is_fitted = bool(np.isfinite(curves.theta[place]).all())
        label = label_of(fit.groups, place)
        found.append(GroupPlot(label, fit.groups.verdict[place], filled, is_fitted))
    return found


def _filled(
    asked: PlotRequest, own: FitRequest, fit: GroupedFit, curves: Curves, place: int
) -> PlotRequest:
    body, theta = fit.predict, curves.theta[place]
    ties = dict(curves.ties)
    values = np.where(np.isfinite(theta), theta, 0.0).tolist()
    params = {
        n: Tied(expr=ties[n]) if n in ties else v for n, v in zip(curves.names, values, strict=True)
    }
    scaling = {name: Scale.model_validate(scale) for name, scale in (body.scaling or {}).items()}
    filled: dict[str, Any] = {
        "model": model_of(body.model),
        "data": dict(own.data),
        "sigma": None if isinstance(own.sigma, NoiseModel) else own.sigma,
        "sigma_x": own.sigma_x,
        "loss": own.loss,
        "units": asked.units or own.units,
        "params": params,
        "scaling": scaling or None,
        **_bands(curves, place),
    }
    if is_of_rates(own):
        filled |= {**rates(own, None, asked.view), "sigma": None}
    return asked.model_copy(update=filled | _history(asked, fit, place))


def _history(asked: PlotRequest, fit: GroupedFit, place: int) -> dict[str, Any]:
    """The group's history, which `loss` and `path` require."""
    if asked.view not in ("loss", "path"):
        return {}
    if fit.groups.history is None:
        raise InvalidRequest(
            f"the view '{asked.view}' requires the groups' history: fit with \"history\": true in "
            "`group_by`"
        )
    return {"history": history_of(fit.groups.history[place])}


def _bands(curves: Curves, place: int) -> dict[str, Any]:
    """What the bands of one group need; nothing where the fit has no covariance of it."""
    if curves.covariance is None or curves.degrees_of_freedom is None:
        return {}
    covariance, degrees = curves.covariance[place], float(curves.degrees_of_freedom[place])
    if not np.isfinite(covariance).all() or degrees < 1:
        return {}
    made: dict[str, Any] = {
        "covariance": {
            a: dict(zip(curves.free, row, strict=True))
            for a, row in zip(curves.free, covariance.tolist(), strict=True)
        },
        "degrees_of_freedom": int(min(degrees, 10**12)),
    }
    if curves.noise is not None and curves.sigma_scale is not None:
        assert curves.noise_values is not None
        own = dict(zip(curves.noise_names, curves.noise_values[place].tolist(), strict=True))
        scale = float(curves.sigma_scale[place])
        if math.isfinite(scale) and all(map(math.isfinite, own.values())):
            made |= {"noise": KnownNoise(expr=curves.noise, params=own), "sigma_scale": scale}
    elif curves.residual_std is not None and math.isfinite(curves.residual_std[place]):
        made["residual_std"] = float(curves.residual_std[place])
    return made


def label_of(groups: Keyed, place: int) -> str:
    """The key of a group, with the names of its columns."""
    return ", ".join(
        f"{column} {_text(value)}"
        for column, value in zip(groups.columns, groups.values[place], strict=True)
    )


def values_of_key(key: Key) -> tuple[float | str | None, ...]:
    """The values of a key, one for each grouping column."""
    return key if isinstance(key, tuple) else (key,)


def _text(value: float | str | None) -> str:
    if value is None:
        return "(none)"
    return f"{value:.15g}" if isinstance(value, float | int) else value


def _several(key: Sequence[float | str | None]) -> str:
    return "[" + ", ".join(f'"{v}"' if isinstance(v, str) else _text(v) for v in key) + "]"
