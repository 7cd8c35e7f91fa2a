"""The handlers that answer errors as RFC 9457 problems, by what their classes say."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from service.api.answers import LastAnswer, ProblemAnswer
from service.api.bodies.table import with_lines
from service.api.http_errors import PROBLEMS, MethodNotAllowed, UnknownRoute
from service.api.middleware.request_ids import request_id
from service.api.validation_errors import MOST
from service.errors import (
    DescentError,
    FieldError,
    InvalidRequest,
    JobFailed,
    QueueFull,
    nearest_hint,
)
from service.schemas.problems import Problem, ProblemError


def register(app: FastAPI) -> None:
    """Registers the handlers that answer errors with a problem."""
    app.add_exception_handler(DescentError, _domain_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _client_disconnected)


def problem(error: type[DescentError], detail: str, **members: Any) -> Problem:
    """The problem of an error of that class."""
    title = " ".join((error.__doc__ or "").split()).rstrip(".")
    return Problem(type=error.type, title=title, status=error.http_status, detail=detail, **members)


def problem_of(kind: str, detail: str, **members: Any) -> Problem:
    """The problem of an error that is known by its `type`, such as that of a failed job."""
    found = problem(PROBLEMS.get(kind, JobFailed), detail, **members)
    return found.model_copy(update={"type": kind})


async def refuse(error: DescentError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the problem of an error, from a middleware."""
    await answer(error, scope)(scope, receive, send)


def answer(error: DescentError, scope: Scope, headers: dict[str, str] | None = None) -> Response:
    """The answer to a request that failed with `error`."""
    errors = error.errors if isinstance(error, InvalidRequest) else ()
    found = with_lines(scope, errors)
    made = problem(
        PROBLEMS.get(error.type, type(error)),
        _detail(error, found),
        errors=[ProblemError(pointer=c.pointer, detail=c.detail) for c in found[:MOST]] or None,
        request_id=request_id(scope),
    )
    headers = dict(headers or {})
    if made.status in {429, 503}:
        wait_s = error.retry_after_s if isinstance(error, QueueFull) else 1
        headers["Retry-After"] = str(wait_s)
    if made.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="descent"'
    # What is left of the body is not read.
    return (LastAnswer if made.status in {408, 413} else ProblemAnswer)(made, headers)


async def _domain_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, DescentError)
    return answer(error, request.scope)


async def _http_error(request: Request, error: Exception) -> Response:
    """The answer to an error of the framework: no such route, or not that method."""
    assert isinstance(error, HTTPException)
    path, headers = request.scope["path"][:80], dict(error.headers or {})
    if error.status_code == 404:
        hint = nearest_hint(path, _paths(request))
        return answer(UnknownRoute(f"no such route: {path}{hint}"), request.scope, headers)
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods(request))
        refused = MethodNotAllowed(f"{path} takes {headers['Allow']}, not {request.method}")
        return answer(refused, request.scope, headers)
    phrase = HTTPStatus(error.status_code).phrase
    made = Problem(
        type=phrase.lower().replace(" ", "-"),
        title=phrase,
        status=error.status_code,
        detail=error.detail,
        request_id=request_id(request.scope),
    )
    return ProblemAnswer(made, headers)


async def _client_disconnected(request: Request, error: Exception) -> Response:
    return Response(status_code=400)


def _detail(error: DescentError, found: tuple[FieldError, ...]) -> str:
    more = len(found) - 1
    first = found[0].detail if found else str(error)
    return f"{first} (and {more} more, see errors)" if more > 0 else first


def _routes(request: Request) -> list[Route]:
    return [route for route in request.app.routes if isinstance(route, Route)]


def _paths(request: Request) -> list[str]:
    return sorted({route.path for route in _routes(request)})


def _methods(request: Request) -> list[str]:
    matching = (r for r in _routes(request) if r.matches(request.scope)[0] is not Match.NONE)
    return sorted({method for route in matching for method in route.methods or ()})
