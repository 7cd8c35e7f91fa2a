"""openapi.json: the routes' descriptions joined with the schemas of their bodies and answers.

Bodies do not pass through FastAPI, for speed, so each route describes them by these functions:
requests in pydantic's validation mode, answers in its serialization mode.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Any, get_args

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from service.api.bodies import forms as body_forms
from service.api.forms import FORMS, JSON
from service.api.middleware.api_keys import is_open
from service.api.openapi_schemas import Untitled, component_schemas
from service.api.queries import Query
from service.schemas import jobs, problems
from service.schemas.base import Answer

Part = dict[str, Any]

TAGS = [
    {"name": "fits", "description": "Fit a model to data."},
    {"name": "compute", "description": "The parts of a fit, one at a time and without state."},
    {"name": "jobs", "description": "Every fit is a job: watch, cancel or delete it."},
    {"name": "pictures", "description": "The fit, its loss, its residuals, its path, drawn."},
    {
        "name": "catalogue",
        "description": "The available models, losses, optimizers and diagnostics.",
    },
    {
        "name": "operations",
        "description": "Health checks, metrics, certified cases.",
    },
]

_PROBLEMS = {
    400: "The body is not what its Content-Type says",
    401: "The server requires an API key, and the request has none that is valid",
    403: "The request is a change sent by a web page of another origin",
    404: "No job, picture or diagnostic has that name",
    406: "No media type that `Accept` allows is available; `detail` lists those that are",
    409: "The job's status does not allow it",
    408: "The body paused for too long; the connection closes",
    413: "The body is too large; the connection closes",
    415: "The body's Content-Type or Content-Encoding is not supported",
    421: "The server does not accept the request's Host",
    422: "The request is not valid; `errors` says where and what to write instead",
    429: "A limit of jobs, streams, bodies or requests is reached; retry later",
    500: "The fit failed, or an internal error",
    503: "Starting, stopping, or a process that worked on the request was lost",
}
_KEYS = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, where the server requires one.",
    },
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same in a separate header.",
    },
}
_HEADERS = {
    "X-Request-ID": "The request's id in the server's log; the caller's own, if it sent one.",
    "Retry-After": "Seconds after which to retry.",
    "Location": "Where the job is.",
    "Server-Timing": "Milliseconds in the queue and in the fit (W3C Server Timing).",
    "Preference-Applied": "The preferences that were honoured (RFC 7240).",
    "Idempotent-Replayed": "`true` if the job is that of an earlier request with the same key.",
}


def body(
    schema: type[BaseModel], examples: Mapping[str, Part], headers: Sequence[Part] = ()
) -> Part:
    """A request body in every format, with request headers, as FastAPI's `openapi_extra`."""
    json_content = {"schema": _ref(schema), "examples": dict(examples)}
    content = {"application/json": json_content, **body_forms.content()}
    return {
        "requestBody": {"required": True, "content": content},
        "parameters": [*headers, *body_forms.parameters(schema)],
    }


def header(
    name: str, description: str, example: str | None = None, *, pattern: str | None = None
) -> Part:
    """An optional request header. Swagger UI sends its example with each trial, so a header that
    changes later requests has none."""
    described = {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string"} if pattern is None else {"type": "string", "pattern": pattern},
    }
    return described if example is None else {**described, "example": example}


def query(schema: type[Query]) -> Part:
    """The parameters of a query string, as FastAPI's `openapi_extra`."""
    properties = schema.model_json_schema(schema_generator=Untitled)["properties"]
    return {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": False,
                "description": part.pop("description"),
                "schema": _without_null(part),
            }
            for name, part in properties.items()
        ]
    }


def answer(schema: type[Answer] | UnionType, description: str, *headers: str) -> Part:
    """A JSON answer, of one kind or of several, with its headers, as one of FastAPI's
    `responses`."""
    kinds = get_args(schema) or (schema,)
    any_of = {"anyOf": [_ref(kind) for kind in kinds]}
    content = {"application/json": {"schema": any_of if len(kinds) > 1 else _ref(kinds[0])}}
    return {"description": description, "content": content, "headers": _header_refs(headers)}


def forms(schema: type[Answer] | UnionType, description: str, *headers: str) -> Part:
    """An answer that is available in the other formats too."""
    made = answer(schema, description, *headers)
    described: dict[str, list[str]] = {}
    for form in FORMS.values():
        kind = form.media_type.partition(";")[0]
        described.setdefault(kind, []).append(f"`format={form.name}`: {form.description}")
    for kind, parts in described.items():
        if kind != JSON.media_type:
            schema_of_text = {"type": "string", "description": f"{'; '.join(parts)}."}
            made["content"][kind] = {"schema": schema_of_text}
    return made


def picture(media: Mapping[Any, str], description: str) -> Part:
    """A picture, as one of FastAPI's `responses`."""
    kinds = [kind.partition(";")[0] for kind in media.values()]
    content = {kind: {"schema": {"type": "string"}} for kind in kinds}
    return {"description": description, "content": content, "headers": {}}


def stream(description: str) -> Part:
    """A stream of events, as one of FastAPI's `responses`. OpenAPI 3.1 cannot describe the items of
    a stream, so the schema given is that of one item; a server-sent event is an object of its
    fields, as in OpenAPI 3.2."""
    item = {"oneOf": [_ref(jobs.ProgressEvent), _ref(jobs.DoneEvent)]}
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": item}
    event = {
        "type": "object",
        "description": "One event; the first has only `retry`.",
        "properties": {
            "event": {"type": "string", "enum": ["progress", "done"]},
            "data": data,
            "id": {"type": "string", "description": "The epoch of the last row sent."},
            "retry": {"type": "integer", "description": "Milliseconds after which to reconnect."},
        },
    }
    content = {
        "text/event-stream": {"schema": event},
        "application/jsonl": {"schema": {**item, "description": "One line."}},
    }
    return {"description": description, "content": content, "headers": {}}


def refusals(*statuses: int) -> dict[int | str, Part]:
    """The problems that a route may answer with, as FastAPI's `responses`."""
    content = {"application/problem+json": {"schema": _ref(problems.Problem)}}
    return {
        status: {
            "description": _PROBLEMS[status],
            "content": content,
            "headers": _header_refs(["Retry-After"] if status in {429, 503} else []),
        }
        for status in statuses
    }


_IN_PATHS = {
    "job_id": "The job's id, as its answer has it.",
    "view": "What is drawn: `fit`, `residuals`, `loss` or `path`.",
    "format": "How: `svg`, `png`, `pdf` or `txt`.",
    "type": "The `type` of a problem.",
    "code": "The `code` of a diagnostic.",
}
"""The parameters of paths."""


def document(app: FastAPI) -> Part:
    """The app's OpenAPI 3.1 document."""
    made = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version=app.openapi_version,
        summary=app.summary,
        description=app.description,
        license_info=app.license_info,
        contact=app.contact,
        tags=app.openapi_tags,
        routes=app.routes,
    )
    made["servers"] = [{"url": "/", "description": "The service that serves this document."}]
    made["components"] = {
        "schemas": component_schemas(),
        "headers": _header_components(),
        "securitySchemes": _KEYS,
    }
    for at, path in made["paths"].items():
        for method, operation in path.items():
            if "parameters" in operation:
                operation["parameters"] = list(filter(_is_representable, operation["parameters"]))
                for each in operation["parameters"]:
                    if each["in"] == "path":
                        each.setdefault("description", _IN_PATHS[each["name"]])
            _add_middleware_refusals(operation, needs_key=not is_open(at), changes=method != "get")
            for response in operation["responses"].values():
                response.setdefault("headers", {}).update(_header_refs(["X-Request-ID"]))
    return made


def _is_representable(parameter: Part) -> bool:
    """Whether generated clients can send it: those in Python use a variable `params` for the query
    string itself, which would shadow the parameter. (The docs describe it, and bodies have it.)"""
    return (parameter["in"], parameter["name"]) != ("query", "params")


def text(made: Part) -> str:
    """The document as it is committed."""
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def _add_middleware_refusals(operation: Part, *, needs_key: bool, changes: bool) -> None:
    """Adds the refusals of the middleware: of keys, hosts and cross-origin changes."""
    before = refusals(421, *((401, 429) if needs_key else ()), *((403,) if changes else ()))
    for status, refusal in before.items():
        operation["responses"].setdefault(str(status), refusal)
    operation["security"] = [{}, *({name: []} for name in _KEYS)] if needs_key else []


def _without_null(schema: Part) -> Part:
    """The schema without null: a query parameter is omitted, never null."""
    parts = [part for part in schema.pop("anyOf", ()) if part != {"type": "null"}]
    return {**schema, **parts[0]} if parts else schema


def _ref(schema: type[BaseModel]) -> Part:
    return {"$ref": f"#/components/schemas/{schema.__name__}"}


def _header_components() -> Part:
    return {
        name: {"description": description, "schema": {"type": "string"}}
        for name, description in _HEADERS.items()
    }


def _header_refs(names: Any) -> Part:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
