"""GET /models, /losses and /optimizers: what there is, and when to use it."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from service import translate
from service.api import openapi
from service.api.answers import json_answer
from service.api.direct_route import DirectRoute
from service.api.state import Request
from service.schemas.catalogue import LossList, ModelList, OptimizerList

router = APIRouter(tags=["catalogue"], default_response_class=Response, route_class=DirectRoute)


@router.get(
    "/models",
    operation_id="list_models",
    summary="The families of models",
    responses={200: openapi.answer(ModelList, "All families"), **openapi.refusals(500)},
)
async def list_models(request: Request) -> Response:
    """Each with its formula, what its params mean, and when to use it."""
    return json_answer(translate.model_list())


@router.get(
    "/losses",
    operation_id="list_losses",
    summary="The losses",
    responses={200: openapi.answer(LossList, "All losses"), **openapi.refusals(500)},
)
async def list_losses(request: Request) -> Response:
    """Each with its reduction and its options."""
    return json_answer(translate.loss_list())


@router.get(
    "/optimizers",
    operation_id="list_optimizers",
    summary="The optimizers",
    responses={200: openapi.answer(OptimizerList, "All optimizers"), **openapi.refusals(500)},
)
async def list_optimizers(request: Request) -> Response:
    """Each with its options and their defaults."""
    return json_answer(translate.optimizer_list())
