"""The client's keywords are the fields of the requests, and of both clients the same."""

from __future__ import annotations

import inspect

import pytest

from service.client import AsyncDescent, AsyncFit, AsyncJob, Descent, Fit, Job
from service.client import options as client_options
from service.client.fits import FitDocument, GroupedFit
from service.schemas import answers, grouped
from service.schemas.compute import GradientRequest, LossRequest, PredictRequest
from service.schemas.fit import FitRequest

SAID = {"model", "data", "params"}


@pytest.mark.parametrize(
    ("keywords", "request_", "apart"),
    [
        (client_options.FitOptions, FitRequest, {"model", "data", "background", "group_by"}),
        (client_options.PredictOptions, PredictRequest, SAID),
        (client_options.LossOptions, LossRequest, SAID),
        (client_options.GradientCallOptions, GradientRequest, SAID),
    ],
)
def test_every_field_is_a_keyword(keywords: type, request_: type, apart: set[str]) -> None:
    fields = set(request_.model_fields)  # type: ignore[attr-defined]
    assert fields - apart == set(keywords.__annotations__)


@pytest.mark.parametrize(
    ("blocking", "other"), [(Descent, AsyncDescent), (Job, AsyncJob), (Fit, AsyncFit)]
)
def test_both_clients_take_the_same(blocking: type, other: type) -> None:
    for name, method in inspect.getmembers(blocking, inspect.isfunction):
        if not name.startswith("_"):
            theirs = inspect.signature(getattr(other, name))
            assert list(inspect.signature(method).parameters) == list(theirs.parameters), name


@pytest.mark.parametrize(
    ("ours", "schema"), [(FitDocument, answers.Fit), (GroupedFit, grouped.GroupedFit)]
)
def test_a_fit_has_all_that_its_document_has(ours: type, schema: type) -> None:
    fields = set(schema.model_fields)  # type: ignore[attr-defined]
    assert fields - {"predict"} <= {name for name in dir(ours) if not name.startswith("_")}
