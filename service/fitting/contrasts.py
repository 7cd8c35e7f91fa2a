"""Quantities of each group relative to those of a reference group: the reports `…_ratio`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from service.engine.diagnostics.pooled import PooledFits
from service.engine.formula import Formula
from service.engine.inference import contrasts
from service.engine.kernel.types import Bools
from service.engine.problem import Model
from service.errors import InvalidRequest, UnknownName
from service.fitting.groups import Groups, Key
from service.fitting.reports import Asked
from service.fitting.ties import texts_of
from service.schemas.fit import FitRequest
from service.schemas.grouped import GroupedReport
from service.schemas.options import GroupOptions, RelativeTo

_AT = "/group_by/relative_to"


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
    request: FitRequest, formula: Formula, report: Asked, groups: Groups, found: PooledFits,
    order: list[int], failed: Bools,
) -> Mapping[str, GroupedReport]:  # fmt: skip
    """The ratios as columns; `order` has the positions of the own and the shared free params."""
    asked = request.group_by
    if asked is None or asked.relative_to is None:
        return {}
    options, pooled, level = asked.relative_to, found.pooled, request.confidence_interval.level
    texts = _texts(asked, formula, report)
    names = options.of or list(texts)
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
        lost = ~np.isfinite(result.stderr)
        reasons = np.full(len(values), None, dtype=np.object_)
        reasons[result.unbounded] = (
            "the denominator does not differ significantly from 0 (g ≥ 1), so the interval is "
            "unbounded"
        )
        reasons[lost] = pooled.reason or "a group has no covariance; see its diagnostics"
        if not derived.depends[m][local].any():
            reasons[:] = "it is the same in all groups"
        reasons[reference] = "it is the reference"
        reasons[failed] = "the fit of this group failed"
        if failed[reference]:
            reasons[:] = "the fit of the reference failed"
        without: Bools = (reasons != None) & ~result.unbounded  # noqa: E711
        stderr = np.where(without, np.nan, result.stderr)
        key = _text(groups.keys[reference])
        made[f"{name}_ratio"] = GroupedReport.model_construct(
            expr=f"{name}[{key}] / {name}" if options.inverse else f"{name} / {name}[{key}]",
            meaning=None, level=level, method="fieller", log=False,
            value=np.where(failed | failed[reference], np.nan, result.value).tolist(),
            stderr=stderr.tolist(),
            lower=np.where(np.isnan(stderr), np.nan, result.lower).tolist(),
            upper=np.where(np.isnan(stderr), np.nan, result.upper).tolist(),
            reason=reasons.tolist(),
        )  # fmt: skip
    return made
