"""Problems as exceptions."""

from __future__ import annotations

import pytest

from service.client import errors
from service.schemas.problems import Problem
from service.schemas.problems import ProblemError as FieldError


def problem(status: int, kind: str = "x", **more: object) -> Problem:
    return Problem.model_validate(
        {"type": kind, "title": "No", "status": status, "detail": "because", **more}
    )


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (400, "malformed-json", errors.InvalidRequestError),
        (413, "body-too-large", errors.InvalidRequestError),
        (422, "unknown-name", errors.InvalidRequestError),
        (401, "about:blank", errors.AccessError),
        (404, "unknown-job", errors.NotFoundError),
        (409, "job-still-running", errors.ConflictError),
        (409, "job-cancelled", errors.FitFailedError),
        (429, "queue-full", errors.ServiceUnavailable),
        (500, "internal-error", errors.ServerError),
        (500, "job-failed", errors.FitFailedError),
        (503, "not-ready", errors.ServiceUnavailable),
        (503, "worker-lost", errors.FitFailedError),
    ],
)
def test_exception_by_problem(status: int, kind: str, expected: type[errors.ProblemError]) -> None:
    error = errors.of_problem(problem(status, kind))
    assert type(error) is expected
    assert isinstance(error, errors.ClientError)
    assert (error.status, error.type) == (status, kind)


def test_the_message_has_places_and_remedies() -> None:
    found = [FieldError(pointer="/model", detail="unknown"), FieldError(pointer="", detail="other")]
    error = errors.of_problem(problem(422, errors=found))
    assert str(error).splitlines() == ["No: because", "  /model: unknown", "  the body: other"]
    assert [each.pointer for each in error.errors] == ["/model", ""]
    alone = [FieldError(pointer="/model", detail="because")]
    assert str(errors.of_problem(problem(422, errors=alone))) == "No: because"


def test_every_exception_is_exported_and_documented() -> None:
    import service.client

    kinds = {name for name, kind in vars(errors).items() if _is_error(kind)}
    assert kinds <= set(service.client.__all__)
    assert all(name in (errors.__doc__ or "") for name in kinds)


def _is_error(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, errors.ClientError)
