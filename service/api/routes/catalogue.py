"""GET /models, /losses, /optimizers and /diagnostics: the catalogue, and when to use each entry."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fastapi import APIRouter
from starlette.responses import Response

from service import fitting
from service.api import negotiation, openapi, queries
from service.api.answers import json_answer
from service.api.direct_route import DirectRoute
from service.api.queries import FormQuery
from service.api.state import Request
from service.schemas.base import Answer
from service.schemas.catalogue import (
    DiagnosticEntry,
    DiagnosticList,
    LossList,
    ModelList,
    OptimizerList,
)

router = APIRouter(tags=["catalogue"], default_response_class=Response, route_class=DirectRoute)


@router.get(
    "/models",
    operation_id="list_models",
    summary="The model families",
    responses={200: openapi.forms(ModelList, "All families"), **openapi.refusals(406, 422, 500)},
    openapi_extra=openapi.query(FormQuery),
)
async def list_models(request: Request) -> Response:
    """Each with its formula, what its params mean, and when to use it."""
    return await _list(request, fitting.model_list)


@router.get(
    "/losses",
    operation_id="list_losses",
    summary="The losses",
    responses={200: openapi.forms(LossList, "All losses"), **openapi.refusals(406, 422, 500)},
    openapi_extra=openapi.query(FormQuery),
)
async def list_losses(request: Request) -> Response:
    """Each with its reduction and its options."""
    return await _list(request, fitting.loss_list)


@router.get(
    "/optimizers",
    operation_id="list_optimizers",
    summary="The optimizers",
    responses={
        200: openapi.forms(OptimizerList, "All optimizers"),
        **openapi.refusals(406, 422, 500),
    },
    openapi_extra=openapi.query(FormQuery),
)
async def list_optimizers(request: Request) -> Response:
    """Each with its options and their defaults."""
    return await _list(request, fitting.optimizer_list)


@router.get(
    "/diagnostics",
    operation_id="list_diagnostics",
    summary="The diagnostics of a fit, and the verdicts",
    responses={
        200: openapi.forms(DiagnosticList, "All diagnostics"),
        **openapi.refusals(406, 422, 500),
    },
    openapi_extra=openapi.query(FormQuery),
)
async def list_diagnostics(request: Request) -> Response:
    """Each with its condition, its severity, why it matters, and the remedy."""
    return await _list(request, fitting.diagnostic_list)


@router.get(
    "/diagnostics/{code}",
    operation_id="explain_diagnostic",
    summary="What a diagnostic of a fit means",
    responses={
        200: openapi.forms(DiagnosticEntry, "That diagnostic"),
        **openapi.refusals(404, 406, 422, 500),
    },
    openapi_extra=openapi.query(FormQuery),
)
async def explain_diagnostic(request: Request, code: str) -> Response:
    """Its condition, its severity, why it matters, and the remedy."""
    return await _list(request, partial(fitting.diagnostic, code))


async def _list(request: Request, entries: Callable[[], Answer]) -> Response:
    form = negotiation.form(request)
    queries.read(request, FormQuery)
    if form == "json":
        return json_answer(entries(), headers=negotiation.VARY)
    return await negotiation.answer(request, form, entries())


def markdown() -> str:
    """The table of docs/diagnostics.md."""
    head = ["| code | seen | severity | why it matters | what cures it |", "|---|---|---|---|---|"]
    rows = [
        f"| `{e.code}` | {e.seen} | {e.severity} | {e.why_it_matters} | {e.cure} |"
        for e in fitting.diagnostic_list().diagnostics
    ]
    return "\n".join([*head, *rows])
