"""The table of error -> HTTP status, and the handlers that answer errors as RFC 9457 problems."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import errors, fitting
from service.api.answers import LastAnswer, ProblemAnswer
from service.api.concurrency import TooManyAnswers, TooManyBytes, TooManyPictures, TooManyStreams
from service.api.negotiation import NotAcceptable, UnknownPicture
from service.api.reading import bodies
from service.api.reading.table import MalformedBody
from service.api.request_id import request_id
from service.api.validation_errors import MOST
from service.errors import Complaint, DescentError, InvalidRequest, QueueFull, nearest_hint
from service.schemas.problems import Problem, ProblemError

logger = logging.getLogger(__name__)

STATUS: Mapping[type[DescentError], int] = {
    errors.InvalidRequest: 422,
    errors.InvalidFormula: 422,
    errors.UnknownName: 422,
    errors.UnknownDiagnostic: 404,
    errors.InvalidData: 422,
    errors.BudgetExceeded: 422,
    errors.UnknownJob: 404,
    errors.JobStillRunning: 409,
    errors.IdempotencyConflict: 422,
    errors.QueueFull: 429,
    errors.QuotaExceeded: 429,
    errors.Unauthorized: 401,
    errors.CrossOrigin: 403,
    errors.Misdirected: 421,
    TooManyStreams: 429,
    TooManyBytes: 429,
    MalformedBody: 400,
    TooManyPictures: 429,
    TooManyAnswers: 429,
    NotAcceptable: 406,
    UnknownPicture: 404,
    errors.OutOfMemory: 503,
    errors.NotReady: 503,
    errors.JobFailed: 500,
    errors.WorkerLost: 503,
}
"""The HTTP status of each domain error."""

_FRAMEWORK = {
    400: ("malformed-json", "The body is not JSON"),
    404: ("unknown-route", "There is no such route"),
    405: ("method-not-allowed", "The route does not take this method"),
    408: ("request-timeout", "The body did not arrive in time"),
    413: ("body-too-large", "The body is too large"),
    415: ("unsupported-media-type", "The body's media type is not supported"),
}
"""Type and title of HTTPExceptions by status."""

_BY_TYPE = {error.type: error for error in STATUS}


def register(app: FastAPI) -> None:
    """Registers the handlers that answer errors with a problem."""
    app.add_exception_handler(DescentError, _domain_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _client_disconnected)


def problem_of(kind: str, detail: str, **members: Any) -> Problem:
    """The problem of a domain error, known by its `type`."""
    error = _BY_TYPE.get(kind, errors.JobFailed)
    return Problem(type=kind, title=_title(error), status=STATUS[error], detail=detail, **members)


class UnexpectedErrorMiddleware:
    """Answers an unexpected exception with a 500 that reveals nothing, and logs the traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched_send)
        except Exception as error:
            if started or scope["type"] != "http":
                raise
            if fitting.is_out_of_memory(error):
                # The frames' memory is freed first: logging needs memory too.
                traceback.clear_frames(error.__traceback__)
                logger.error("out of memory [%s]: %s", request_id(scope), error)
                await refuse(errors.OutOfMemory(), scope, receive, send)
                return
            request = Request(scope)
            # Not decoded: it could contain line breaks that forge log lines.
            path = scope.get("raw_path", b"").decode("latin-1")
            logger.exception("%s %s [%s]", request.method, path, request_id(request.scope))
            answer = ProblemAnswer(_internal_error(request))
            await answer(scope, receive, send)


async def refuse(error: DescentError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the problem of an error, from a middleware."""
    await _answer(error, scope)(scope, receive, send)


async def _domain_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, DescentError)
    return _answer(error, request.scope)


def _answer(error: DescentError, scope: Scope) -> Response:
    complaints = error.complaints if isinstance(error, InvalidRequest) else ()
    found = bodies.with_lines(scope, complaints)
    problem = problem_of(
        error.type,
        _detail(error, found),
        errors=[ProblemError(pointer=c.pointer, detail=c.detail) for c in found[:MOST]] or None,
        request_id=request_id(scope),
    )
    wait_s = error.retry_after_s if isinstance(error, QueueFull) else 1
    headers = {"Retry-After": str(wait_s)} if problem.status in {429, 503} else {}
    if problem.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="descent"'
    return ProblemAnswer(problem, headers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    detail = error.detail
    if error.status_code == 404:
        path = request.scope["path"]
        detail = f"no such route: {path[:80]}{nearest_hint(path[:80], _paths(request))}"
    elif error.status_code == 405:
        headers["Allow"] = ", ".join(_methods(request))
        detail = f"{request.scope['path'][:80]} takes {headers['Allow']}, not {request.method}"
    phrase = HTTPStatus(error.status_code).phrase
    kind, title = _FRAMEWORK.get(error.status_code, (phrase.lower().replace(" ", "-"), phrase))
    problem = Problem(
        type=kind,
        title=title,
        status=error.status_code,
        detail=detail,
        request_id=request_id(request.scope),
    )
    answer = LastAnswer if error.status_code in {408, 413} else ProblemAnswer
    return answer(problem, headers)


async def _client_disconnected(request: Request, error: Exception) -> Response:
    return Response(status_code=400)


def _internal_error(request: Request) -> Problem:
    return Problem(
        type="internal-error",
        title="Internal Server Error",
        status=500,
        detail="something went wrong here, not in the request; the server's log has the details",
        request_id=request_id(request.scope),
    )


def _title(error: type[DescentError]) -> str:
    return " ".join((error.__doc__ or "").split()).rstrip(".")


def _detail(error: DescentError, found: tuple[Complaint, ...]) -> str:
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
