"""GET /models, /losses, /likelihoods, /optimizers, /diagnostics: the catalogue of all entries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from fastapi import APIRouter
from starlette.responses import Response

from service import fitting
from service.api import head as heads
from service.api import openapi, queries, writing
from service.api.direct_route import DirectRoute
from service.api.queries import FormQuery
from service.api.state import Request
from service.catalogue.pictures import VIEWS
from service.schemas.base import Answer
from service.schemas.catalogue import (
    DiagnosticEntry,
    DiagnosticList,
    LikelihoodEntry,
    LikelihoodList,
    LossEntry,
    LossList,
    ModelList,
    OptimizerEntry,
    OptimizerList,
    OptionEntry,
    ScheduleEntry,
)

_Entry = LossEntry | LikelihoodEntry | OptimizerEntry | ScheduleEntry

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
    "/likelihoods",
    operation_id="list_likelihoods",
    summary="The likelihoods of counts",
    responses={
        200: openapi.forms(LikelihoodList, "All likelihoods"),
        **openapi.refusals(406, 422, 500),
    },
    openapi_extra=openapi.query(FormQuery),
)
async def list_likelihoods(request: Request) -> Response:
    """Each with its deviance, its variance and its options."""
    return await _list(request, fitting.likelihood_list)


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
    head = heads.read(request)
    queries.read(request, FormQuery)
    return await writing.answer(request, head, entries())


def markdown() -> str:
    """The table of docs/reference/diagnostics.md."""
    rows = [
        (f"`{e.code}`", e.seen, e.severity, e.why_it_matters, e.cure)
        for e in fitting.diagnostic_list().diagnostics
    ]
    return _table(("code", "seen", "severity", "why it matters", "what cures it"), rows)


def catalogue_markdown() -> Mapping[str, str]:
    """The tables of docs/reference/catalogue.md, by their headings."""
    models, optimizers = fitting.model_list().models, fitting.optimizer_list()
    named: Mapping[str, Sequence[_Entry]] = {
        "Losses": fitting.loss_list().losses,
        "Likelihoods": fitting.likelihood_list().likelihoods,
        "Optimizers": optimizers.optimizers,
        "Learning-rate schedules": optimizers.schedules,
    }
    families = [
        (f"`{e.name}`", e.title, _code(e.formula), e.when_to_use, e.reference) for e in models
    ]
    heads = ("name", "formula", "options", "when to use it", "reference")
    tables = {"Models": _table(("name", "title", "formula", *heads[3:]), families)}
    for title, entries in named.items():
        rows = [
            (f"`{e.name}`", _code(e.formula), _options(e.options), e.when_to_use, e.reference)
            for e in entries
        ]
        tables[title] = _table(heads, rows)
    return tables


def views_markdown() -> str:
    """The table of docs/reference/pictures.md."""
    rows = [
        (_code(view.name), view.description, ", ".join(map(_code, view.requires)) or "nothing")
        for view in VIEWS.values()
    ]
    return _table(("view", "shows", "requires"), rows)


def _options(options: Sequence[OptionEntry]) -> str:
    """Their names and defaults."""
    return ", ".join(
        f"`{e.name}`" + ("" if e.default is None else f" ({_default(e.default)})") for e in options
    )


def _default(value: object) -> str:
    if isinstance(value, dict):
        return str(next(iter(value.values())))
    return str(value).lower() if isinstance(value, bool) else f"{value:.4g}"


def _code(text: str) -> str:
    return f"`{text}`"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *([c.replace("|", "\\|") for c in row] for row in rows)]
    text = ["| " + " | ".join(line) + " |" for line in lines]
    text[1] = text[1].replace(" ", "")
    return "\n".join(text)
