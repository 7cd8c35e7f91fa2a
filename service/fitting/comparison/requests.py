"""The requests of the fits of a comparison."""

from __future__ import annotations

from typing import Any

from service.catalogue.families import FAMILIES
from service.schemas.compare import Candidate, CompareRequest
from service.schemas.fit import FitRequest

_OWN = {"model", "params", "optimizer", "scaling", "epochs", "tolerance", "challenge"}
_SHARED = CompareRequest.model_fields.keys() - {
    "models", "criterion", "tests", "nested", "null", "alternative", "report",
}  # fmt: skip


def fit_request(request: CompareRequest, candidate: Candidate) -> FitRequest:
    """The request of one fit."""
    own = {name: getattr(candidate, name) for name in FitRequest.model_fields.keys() & _OWN}
    shared = {name: getattr(request, name) for name in FitRequest.model_fields.keys() & _SHARED}
    return FitRequest.model_construct(**own, **shared, report=_report(request, candidate))


def _report(request: CompareRequest, candidate: Candidate) -> Any:
    """The model's own report, or that of all: `default` are none where the family has none."""
    if candidate.report is not None or request.report != "default":
        return candidate.report or request.report
    model = candidate.model
    family = FAMILIES.get(model.strip() if isinstance(model, str) else model.name)
    return "default" if family is not None and family.reports else None
