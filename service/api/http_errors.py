"""Errors that only an HTTP service has, beside those of `service.errors`; and the table of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from service.errors import LATER, DescentError, InvalidRequest, QueueFull, UnknownName


class MalformedRequest(DescentError):
    """The request is not valid HTTP/1.1."""

    type = "malformed-request"
    http_status = 400
    meaning = "The request is not valid HTTP/1.1."
    remedy = "Check the client, or a proxy in between."


class MalformedJson(DescentError):
    """The body is not JSON."""

    type = "malformed-json"
    http_status = 400
    meaning = "The body is not JSON."
    remedy = "The detail says where it stops being."


class MalformedBody(InvalidRequest):
    """The body is not what its Content-Type says."""

    type = "malformed-body"
    http_status = 400
    meaning = "The body is not of the form that its Content-Type says."
    remedy = "The detail says why."


class UnknownRoute(DescentError):
    """There is no such route."""

    type = "unknown-route"
    http_status = 404
    meaning = "There is no such path."
    remedy = "The nearest is named."


class UnknownPicture(UnknownName):
    """There is no such picture of a job."""

    type = "unknown-picture"
    http_status = 404
    meaning = "There is no such picture of a job."
    remedy = "The nearest is named."


class MethodNotAllowed(DescentError):
    """The route does not take this method."""

    type = "method-not-allowed"
    http_status = 405
    meaning = "The path does not take that method."
    remedy = "`Allow` lists those it takes."


class NotAcceptable(DescentError):
    """None of the media types that the request accepts is available."""

    type = "not-acceptable"
    http_status = 406
    meaning = "The answer is not available in a media type that `Accept` allows."
    remedy = "The detail lists the available ones; `?format=` selects one too."


class RequestTimeout(DescentError):
    """The request did not arrive in time."""

    type = "request-timeout"
    http_status = 408
    meaning = "The head or the body of the request arrived too slowly."
    remedy = "Send it again, faster."


class JobCancelled(DescentError):
    """The job was cancelled."""

    type = "job-cancelled"
    http_status = 409
    meaning = "The job was cancelled before it had a result."
    remedy = "Send the fit again."


class BodyTooLarge(DescentError):
    """The body is too large."""

    type = "body-too-large"
    http_status = 413
    meaning = "The body is longer than the limit."
    remedy = "Send fewer rows, or a binary form."


class UnsupportedMediaType(DescentError):
    """The body's media type is not supported."""

    type = "unsupported-media-type"
    http_status = 415
    meaning = "Bodies of that Content-Type are not supported."
    remedy = "The detail lists those that are."


class TooManyStreams(QueueFull):
    """No room for another event stream just now; try again later."""

    type = "too-many-streams"
    http_status = 429
    meaning = "The limit of open event streams is reached."
    remedy = LATER


class TooManyBytes(QueueFull):
    """No room for another large body just now; try again later."""

    type = "too-many-bytes"
    http_status = 429
    meaning = "The limit of large bodies in progress is reached."
    remedy = LATER


class TooManyAnswers(QueueFull):
    """No room for another long answer just now; try again later."""

    type = "too-many-answers"
    http_status = 429
    meaning = "The limit of long answers in progress is reached."
    remedy = LATER


class TooManyPictures(QueueFull):
    """No room for another picture or long table just now; try again later."""

    type = "too-many-pictures"
    http_status = 429
    meaning = "The limit of pictures and long tables in progress is reached."
    remedy = LATER


class TooManyCertifications(QueueFull):
    """A certification is running; try again later."""

    type = "too-many-certifications"
    http_status = 429
    meaning = "A certification is running already; one runs at a time."
    remedy = LATER


class HeadTooLarge(DescentError):
    """The request line and headers are too long."""

    type = "head-too-large"
    http_status = 431
    meaning = "The request line and headers are too long."
    remedy = "Send fewer or shorter headers."


class InternalError(DescentError):
    """Internal Server Error"""

    type = "internal-error"
    http_status = 500
    meaning = "An internal error; the request is not at fault."
    remedy = "Give the operator the `request_id`: the log has the rest."


class NotSupported(DescentError):
    """This part of HTTP is not implemented here."""

    type = "not-implemented"
    http_status = 501
    meaning = "The request needs a part of HTTP that this server does not implement."
    remedy = "The detail says which; send the request without it."


class TooManyConnections(DescentError):
    """Too many connections are open."""

    type = "too-many-connections"
    http_status = 503
    meaning = "Too many connections are open."
    remedy = LATER


def _below(error: type[DescentError]) -> Iterator[type[DescentError]]:
    for each in error.__subclasses__():
        yield each
        yield from _below(each)


PROBLEMS: Mapping[str, type[DescentError]] = {
    error.type: error
    for error in sorted(_below(DescentError), key=lambda error: (error.http_status, error.type))
    if "type" in vars(error)
}
"""Every error with a type of its own, in the order of the documentation."""
