"""Params that groups share, and their common noise: what of a request has a meaning with them."""

from __future__ import annotations

from service.engine.formula import Formula
from service.engine.problem import Model
from service.errors import InvalidRequest, UnknownName, token
from service.fitting.options import to_loss
from service.fitting.ties import texts_of
from service.schemas.fit import FitRequest
from service.schemas.optimizers import OPTIMIZER_MODELS

OPTIMIZER = "levenberg_marquardt"
"""The only one that fits groups that share params."""


def with_sharing(request: FitRequest, formula: Model) -> FitRequest:
    """The request, with the optimizer that fits groups that share params. Raises InvalidRequest for
    what has no meaning with these."""
    asked = request.group_by
    if asked is None or not asked.is_pooled:
        if asked is not None and asked.shared:
            raise InvalidRequest(
                'groups that share params have one noise, "pooled"; where it differs, send its '
                "standard deviations as `sigma`",
                pointer="/group_by/noise",
            )
        return request
    for i, name in enumerate(asked.shared):
        if name in texts_of(formula):
            raise InvalidRequest(
                f"'{name}' is computed by its `expr` and cannot be shared; share the params in the "
                "expression, and it has one value too",
                pointer=f"/group_by/shared/{i}",
            )
        if name not in formula.params:
            pointer = f"/group_by/shared/{i}"
            raise UnknownName("param", name, formula.params, pointer=pointer)
    if not isinstance(formula, Formula):
        raise InvalidRequest(
            "groups share params, or their noise, with a formula, not with a network",
            pointer="/group_by",
        )
    if not asked.shared:
        return request
    if request.optimizer.name not in ("auto", OPTIMIZER):
        raise InvalidRequest(
            f"groups that share params are fitted by '{OPTIMIZER}', not by "
            f"'{request.optimizer.name}'; use 'auto'",
            pointer="/optimizer",
        )
    if not to_loss(request.loss).is_smooth:
        raise InvalidRequest(
            f"groups that share params are not fitted with the loss '{request.loss.name}', which "
            "has a corner; use 'mse', or 'huber' against outliers",
            pointer="/loss",
        )
    if asked.history:
        raise InvalidRequest(
            "groups that share params are fitted together and have no history of their own; omit "
            "`history`",
            pointer="/group_by/history",
        )
    return request.model_copy(update={"optimizer": OPTIMIZER_MODELS[OPTIMIZER](name=OPTIMIZER)})


def check_inference(request: FitRequest) -> None:
    """Raises InvalidRequest for intervals and covariances that groups with one noise cannot
    have."""
    asked = request.group_by
    if asked is None or not asked.is_pooled:
        return
    if request.covariance != "expected":
        raise InvalidRequest(
            f"groups with one noise have the covariance 'expected', not '{request.covariance}'; "
            'use that, or "noise": "per_group" without shared params',
            pointer="/covariance",
        )
    for name, each in request.report.items() if isinstance(request.report, dict) else ():
        if each.method == "profile":
            raise InvalidRequest(
                "the profile of a report is of groups with noise of their own; with one noise use "
                "the method 'delta', or for the ratio of a param between groups `relative_to` "
                "with the method 'profile'",
                pointer=f"/report/{token(name)}/method",
            )
    if request.confidence_interval.method == "profile" and not asked.shared:
        raise InvalidRequest(
            "with pooled noise, profile intervals are of the shared params, and none is shared; "
            'use the method \'t\', or "noise": "per_group"',
            pointer="/confidence_interval/method",
        )


def shared_positions(request: FitRequest, formula: Model) -> tuple[int, ...] | None:
    """The positions of the shared params; None where each group has its own noise."""
    asked = request.group_by
    if asked is None or not asked.is_pooled:
        return None
    names = set(asked.shared)
    return tuple(i for i, name in enumerate(formula.params) if name in names)
