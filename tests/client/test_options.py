"""The keywords of both clients are the fields of the requests."""

from __future__ import annotations

import inspect

import pytest

from service.client import AsyncDescent, AsyncFit, AsyncJob, Descent, Fit, Job
from service.client import options as client_options
from service.client.fits import FitDocument, GroupedFit
from service.schemas import answers, grouped
from service.schemas.compare import CompareRequest
from service.schemas.compute import GradientRequest, LossRequest, PredictRequest
from service.schemas.fit import FitRequest

GIVEN = {"model", "data", "params"}


@pytest.mark.parametrize(
    ("keywords", "request_", "excluded"),
    [
        (client_options.FitOptions, FitRequest, {"model", "data", "background", "group_by"}),
        (client_options.CompareOptions, CompareRequest, {"models", "data", "background"}),
        (client_options.PredictOptions, PredictRequest, GIVEN),
        (client_options.LossOptions, LossRequest, GIVEN),
        (client_options.GradientCallOptions, GradientRequest, GIVEN),
    ],
)
def test_every_field_is_a_keyword(keywords: type, request_: type, excluded: set[str]) -> None:
    fields = set(request_.model_fields)  # type: ignore[attr-defined]
    assert fields - excluded == set(keywords.__annotations__)


@pytest.mark.parametrize(
    ("blocking", "other"), [(Descent, AsyncDescent), (Job, AsyncJob), (Fit, AsyncFit)]
)
def test_both_clients_have_the_same_signatures(blocking: type, other: type) -> None:
    for name, method in inspect.getmembers(blocking, inspect.isfunction):
        if not name.startswith("_"):
            theirs = inspect.signature(getattr(other, name))
            assert list(inspect.signature(method).parameters) == list(theirs.parameters), name


@pytest.mark.parametrize(
    ("ours", "schema"), [(FitDocument, answers.Fit), (GroupedFit, grouped.GroupedFit)]
)
def test_a_fit_has_every_field_of_its_document(ours: type, schema: type) -> None:
    fields = set(schema.model_fields)  # type: ignore[attr-defined]
    assert fields - {"predict"} <= {name for name in dir(ours) if not name.startswith("_")}
