"""Comparison of curves: one model, whose groups share different params.

Each hypothesis is a fit of all groups with one noise. One that shares more than another, and all
that this one shares, is nested in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from service.errors import InvalidRequest
from service.fitting.likelihoods import with_bins
from service.fitting.models import resolve
from service.fitting.plan import Plan, usable
from service.fitting.ties import ties_of
from service.schemas.compare import Catalogue, CompareRequest
from service.schemas.fit import FitRequest

_NEEDS = (
    "curves are compared between groups with one model: give `models` with one entry, and the "
    "column of the groups as `group_by`"
)


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """Which params the groups share."""

    label: str
    shared: tuple[str, ...]
    pointer: str
    """Its place in the request."""


def check_curves(request: CompareRequest) -> None:
    """Raises InvalidRequest where the request has no curves to compare."""
    if request.null is None:
        if request.alternative is not None:
            raise InvalidRequest(
                "`alternative` needs the `null` that it is compared with", pointer="/alternative"
            )
        return
    if isinstance(request.models, Catalogue) or len(request.models) != 1:
        raise InvalidRequest(_NEEDS, pointer="/models")
    if request.group_by is None:
        raise InvalidRequest(_NEEDS, pointer="/group_by")
    if request.nested:
        raise InvalidRequest(
            "whether curves are nested follows from the params that they share; omit `nested`",
            pointer="/nested",
        )


def hypotheses(request: CompareRequest, fit: FitRequest) -> list[Hypothesis]:
    """The hypotheses of a request. Raises InvalidRequest for one that occurs twice."""
    resolved = resolve(fit.model, usable(with_bins(fit)), ties=ties_of(fit.params))
    params, found = tuple(resolved.formula.params), list[Hypothesis]()
    for pointer, asked in request.hypotheses:
        shared = params if asked.shared == "all" else tuple(dict.fromkeys(asked.shared))
        label = asked.label or _label(shared, params)
        for other in found:
            if set(other.shared) == set(shared):
                raise InvalidRequest(
                    f"'{label}' shares the same params as '{other.label}'; omit one of them",
                    pointer=pointer,
                )
            if other.label == label:
                raise InvalidRequest(
                    f"two hypotheses are named '{label}'", pointer=f"{pointer}/label"
                )
        found.append(Hypothesis(label, shared, pointer))
    return found


def _label(shared: Sequence[str], params: Sequence[str]) -> str:
    if not shared:
        return "separate"
    return "one curve" if set(shared) == set(params) else f"{', '.join(shared)} shared"


def fit_of(fit: FitRequest, hypothesis: Hypothesis) -> FitRequest:
    """The request of the fit of all groups under that hypothesis."""
    assert fit.group_by is not None
    asked = fit.group_by.model_copy(update={"shared": list(hypothesis.shared), "noise": "pooled"})
    return fit.model_copy(update={"group_by": asked})


def placed(error: InvalidRequest, hypothesis: Hypothesis) -> InvalidRequest:
    """The error with its pointers to shared params in that hypothesis."""
    old, new = "/group_by/shared", f"{hypothesis.pointer}/shared"
    error.errors = tuple(
        replace(each, pointer=new + each.pointer.removeprefix(old))
        if each.pointer.startswith(old)
        else each
        for each in error.errors
    )
    return error


def check_groups(plan: Plan) -> None:
    """Raises InvalidRequest where there is only one group."""
    if plan.groups is not None and len(plan.groups.keys) < 2:
        raise InvalidRequest(
            f"column '{plan.groups.by[0]}' has one value, so there is one curve and nothing to "
            "compare it with",
            pointer="/group_by",
        )


def free_params(plan: Plan) -> int:
    """Number of free params of all groups, each shared one counted once; a group of fewer rows
    than params has as many as rows."""
    task = plan.task
    own = task.fits.sizes.clamp(max=len(task.local_places)).sum()
    return int(own) + len(task.shared_places)


def shared_of(plan: Plan) -> frozenset[str]:
    """The free params that the groups share."""
    names = plan.task.problem.params
    return frozenset(names[i] for i in plan.task.shared_places.tolist())
