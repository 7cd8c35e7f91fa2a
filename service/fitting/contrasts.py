"""Quantities of each group relative to those of a reference group: the reports `…_ratio`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from service.engine.diagnostics.pooled import PooledFits
from service.engine.formula import Formula
from service.engine.inference import contrasts
from service.engine.inference.ratio_profiles import MOST_GROUPS, ratio_limits
from service.engine.inference.reparametrised import NO_LIMIT
from service.engine.kernel.types import Bools
from service.engine.problem import Model, Task
from service.errors import InvalidRequest, UnknownName
from service.fitting.groups import Groups, Key
from service.fitting.reports import Asked
from service.fitting.ties import texts_of
from service.schemas.fit import FitRequest
from service.schemas.grouped import GroupedReport
from service.schemas.options import GroupOptions, Param, RelativeTo

_AT = "/group_by/relative_to"
_NO_PROFILE = "its profile did not end within the budget, or the fit of a group failed"
_UNBOUNDED = (
    "the denominator does not differ significantly from 0 (g ≥ 1), so the interval is unbounded"
)


def check_relative(request: FitRequest, formula: Model, report: Asked, groups: Groups) -> None:
    """Raises InvalidRequest for a reference that is no group, and for groups without one noise."""
    asked = request.group_by
    if asked is None or asked.relative_to is None:
        return
    if not asked.is_pooled:
        raise InvalidRequest(
            "quantities are relative to those of a group with the same noise; add "
            '"noise": "pooled", or share params',
            pointer=_AT,
        )
    position(groups, asked.relative_to)
    known = _texts(asked, formula, report)
    if not known:
        raise InvalidRequest(
            "the groups share every param and there is no `report`, so nothing of one is relative "
            "to another; omit `relative_to`, or share fewer params",
            pointer=_AT,
        )
    for i, name in enumerate(asked.relative_to.of or ()):
        if name not in known:
            raise UnknownName("param or report", name, known, pointer=f"{_AT}/of/{i}")
    for name in asked.relative_to.of or known:
        if f"{name}_ratio" in known:
            raise InvalidRequest(
                f"'{name}_ratio' is the ratio of '{name}' to that of the reference; give the "
                "report another name",
                pointer="/report",
            )
    if asked.relative_to.method == "profile":
        _check_profiles(request, formula, asked, groups)


def _check_profiles(
    request: FitRequest, formula: Model, asked: GroupOptions, groups: Groups
) -> None:
    """Raises InvalidRequest for ratios whose profiles cannot be computed."""
    assert asked.relative_to is not None
    at, cure = f"{_AT}/method", "use the method 'fieller'"
    own = [n for n in formula.params if n not in asked.shared]
    for name in asked.relative_to.of or own:
        if name not in own:
            raise InvalidRequest(
                f"a profile is of the ratio of a param that each group has for itself, and "
                f"'{name}' is none: name such params in `of`, or {cure}",
                pointer=at,
            )
    what = {
        "`bins`": request.bins, "`prior`": request.prior, "`constraints`": request.constraints,
        "`sigma_x`": request.sigma_x, "`scaling`": request.scaling,
        "tied params": isinstance(formula, Formula) and formula.ties,
        "priors of params": any(isinstance(p, Param) and p.prior for p in request.params.values()),
    }  # fmt: skip
    for part, given in what.items():
        if given:
            raise InvalidRequest(
                f"the profile of a ratio does not allow {part}; {cure}", pointer=at
            )
    if len(groups.keys) > MOST_GROUPS:
        raise InvalidRequest(
            f"profiles of ratios are for at most {MOST_GROUPS} groups, not {len(groups.keys):,}; "
            f"select some by `rows`, or {cure}",
            pointer=at,
        )


def position(groups: Groups, asked: RelativeTo) -> int:
    """The reference group. Raises InvalidRequest where there is none."""
    wanted = _text(tuple(asked.key) if isinstance(asked.key, list) else asked.key)
    keys = [_text(key) for key in groups.keys]
    if wanted in keys:
        return keys.index(wanted)
    raise UnknownName("group", wanted, keys, pointer=_AT)


def _text(key: Key) -> str:
    parts = key if isinstance(key, tuple) else (key,)
    return ", ".join(f"{part:g}" if isinstance(part, float | int) else str(part) for part in parts)


def _texts(asked: GroupOptions, formula: Model, report: Asked) -> dict[str, str]:
    """The expressions of the quantities that a group may have relative to another, by name."""
    own = [name for name in formula.params if name not in asked.shared]
    names = {name: name for name in (*own, *texts_of(formula))}
    return names | dict(report.texts)


def relative(
    task: Task, request: FitRequest, formula: Formula, report: Asked, groups: Groups,
    found: PooledFits, order: list[int], failed: Bools,
) -> Mapping[str, GroupedReport]:  # fmt: skip
    """The ratios as columns; `order` has the positions of the own and the shared free params."""
    asked = request.group_by
    if asked is None or asked.relative_to is None:
        return {}
    options, pooled, level = asked.relative_to, found.pooled, request.confidence_interval.level
    texts = _texts(asked, formula, report)
    is_profile = options.method == "profile"
    own = [name for name in formula.params if name not in asked.shared]
    names = options.of or (own if is_profile else list(texts))
    derived = formula.derived(tuple((f"{name}_ratio", texts[name]) for name in names))
    values, gradients = derived.read(torch.from_numpy(found.theta).double())
    reference = position(groups, options)
    spread = contrasts.Spread(pooled.local_covariance, pooled.covariance, pooled.t(level))
    local = order[: len(pooled.local)]
    made = {}
    for m, name in enumerate(names):
        result = contrasts.ratios(
            values[:, m], gradients[:, m][:, order], spread, reference, inverse=options.inverse
        )
        if is_profile:
            result = _profiled(task, found, result, name, reference, level, inverse=options.inverse)
        lost = ~np.isfinite(result.stderr)
        reasons = np.full(len(values), None, dtype=np.object_)
        if is_profile:
            reasons[~(np.isfinite(result.lower) & np.isfinite(result.upper))] = _NO_PROFILE
        reasons[result.unbounded] = NO_LIMIT if is_profile else _UNBOUNDED
        reasons[lost] = pooled.reason or "a group has no covariance; see its diagnostics"
        if not derived.depends[m][local].any():
            reasons[:] = "it is the same in all groups"
        reasons[reference] = "it is the reference"
        reasons[failed] = "the fit of this group failed"
        if failed[reference]:
            reasons[:] = "the fit of the reference failed"
        without: Bools = lost | failed | failed[reference]
        without[reference] = True
        if not derived.depends[m][local].any():
            without[:] = True
        stderr = np.where(without, np.nan, result.stderr)
        key = _text(groups.keys[reference])
        made[f"{name}_ratio"] = GroupedReport.model_construct(
            expr=f"{name}[{key}] / {name}" if options.inverse else f"{name} / {name}[{key}]",
            meaning=None, level=level, method=options.method, log=False,
            value=np.where(failed | failed[reference], np.nan, result.value).tolist(),
            stderr=stderr.tolist(),
            lower=np.where(np.isnan(stderr), np.nan, result.lower).tolist(),
            upper=np.where(np.isnan(stderr), np.nan, result.upper).tolist(),
            reason=reasons.tolist(),
        )  # fmt: skip
    return made


def _profiled(
    task: Task, found: PooledFits, by_fieller: contrasts.Ratios, name: str, reference: int,
    level: float, *, inverse: bool,
) -> contrasts.Ratios:  # fmt: skip
    """The ratios with the limits of their profiles."""
    limits = ratio_limits(task, found.theta, name, reference, level, inverse=inverse)
    return replace(by_fieller, lower=limits.lower, upper=limits.upper, unbounded=limits.open)
