"""openapi.json: what the routes say of themselves, joined with the schemas of what they carry.

Bodies are read and written past FastAPI, for speed, so each route describes them here: requests as
pydantic validates them, answers as it serializes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import (
    GenerateJsonSchema,
    JsonSchemaMode,
    JsonSchemaValue,
    models_json_schema,
)

from service.api.admission import is_open
from service.api.answers import Health
from service.api.queries import Query
from service.api.reading import described
from service.schemas import answers, catalogue, compute, fit, jobs, plot, problems
from service.schemas.base import Answer

Part = dict[str, Any]

TAGS = [
    {"name": "fits", "description": "Fit a model to data."},
    {"name": "compute", "description": "The parts of a fit, one at a time and without state."},
    {"name": "jobs", "description": "Every fit is a job: watch it, cancel it, forget it."},
    {"name": "pictures", "description": "The fit, its loss, its residuals, its path, drawn."},
    {
        "name": "catalogue",
        "description": "The models, losses, optimizers and diagnostics there are.",
    },
    {"name": "operations", "description": "For those who run the service."},
]

_REQUESTS = (
    fit.FitRequest,
    compute.PredictRequest,
    compute.LossRequest,
    compute.GradientRequest,
    plot.PlotRequest,
)
_ANSWERS = (
    Health,
    answers.Fit,
    answers.History,
    catalogue.DiagnosticEntry,
    catalogue.DiagnosticList,
    catalogue.LossList,
    catalogue.ModelList,
    catalogue.OptimizerList,
    compute.GradientAnswer,
    compute.LossAnswer,
    compute.Predictions,
    jobs.DoneEvent,
    jobs.Job,
    jobs.JobList,
    jobs.ProgressEvent,
    problems.Problem,
)
_PROBLEMS = {
    400: "The body is not what its Content-Type says",
    401: "The server asks for an API key, and none that it knows came",
    403: "A page of another origin may change nothing here",
    404: "There is none of that name: no such job, picture or diagnostic",
    406: "The answer has no form that `Accept` asks for; `detail` lists those it has",
    409: "The job's status does not allow it",
    408: "The body paused for too long; the connection closes",
    413: "The body is too large; the connection closes",
    415: "The body's Content-Type or Content-Encoding is none that is read",
    421: "The server does not answer to the request's Host",
    422: "The request cannot be carried out; `errors` says where and what would mend it",
    429: "No room just now for another job, stream, body or request of this caller",
    500: "The fit failed, or something went wrong here",
    503: "Starting, stopping, or a process that worked on the request was lost",
}
_KEYS = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, where the server asks for one.",
    },
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same in a header of its own.",
    },
}
_HEADERS = {
    "X-Request-ID": "Names this request in the server's log; the request's own, if it had one.",
    "Retry-After": "Seconds after which to try again.",
    "Location": "Where the job is.",
    "Server-Timing": "Milliseconds in the queue and at work (W3C Server Timing).",
    "Preference-Applied": "The preferences that were honoured (RFC 7240).",
    "Idempotent-Replayed": "`true` where the job is that of an earlier request with the same key.",
}


def body(
    schema: type[BaseModel], examples: Mapping[str, Part], headers: Sequence[Part] = ()
) -> Part:
    """A body of any form, as FastAPI's `openapi_extra`, with headers of the request."""
    json_content = {"schema": _ref(schema), "examples": dict(examples)}
    content = {"application/json": json_content, **described.content()}
    return {
        "requestBody": {"required": True, "content": content},
        "parameters": [*headers, *described.parameters(schema)],
    }


def header(
    name: str, description: str, example: str | None = None, *, pattern: str | None = None
) -> Part:
    """An optional header of the request. /docs sends its example with each trial, so what would
    change the next one has none."""
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
    properties = schema.model_json_schema(schema_generator=_Untitled)["properties"]
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


def answer(schema: type[Answer], description: str, *headers: str) -> Part:
    """A JSON answer with its headers, as one of FastAPI's `responses`."""
    content = {"application/json": {"schema": _ref(schema)}}
    return {"description": description, "content": content, "headers": _header_refs(headers)}


_FORMS = {
    "text/plain": "With `format=text` a report for a terminal; with `oneline` words of name=value.",
    "text/csv": "With `format=csv` a table.",
    "application/vnd.apache.arrow.stream": "With `format=arrow` the same table as an Arrow stream.",
}


def forms(schema: type[Answer], description: str, *headers: str) -> Part:
    """An answer that can be had in other forms than JSON too."""
    made = answer(schema, description, *headers)
    for kind, what in _FORMS.items():
        made["content"][kind] = {"schema": {"type": "string", "description": what}}
    return made


def picture(media: Mapping[Any, str], description: str) -> Part:
    """A picture, as one of FastAPI's `responses`."""
    kinds = [kind.partition(";")[0] for kind in media.values()]
    content = {kind: {"schema": {"type": "string"}} for kind in kinds}
    return {"description": description, "content": content, "headers": {}}


def stream(description: str) -> Part:
    """A stream of events, as one of FastAPI's `responses`. OpenAPI 3.1 has no word for the items
    of a stream, so the schema of an item stands where that of the whole would; a server-sent event
    is an object of its fields, as in OpenAPI 3.2."""
    told = {"oneOf": [_ref(jobs.ProgressEvent), _ref(jobs.DoneEvent)]}
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": told}
    event = {
        "type": "object",
        "description": "Each event; the first thing sent is a `retry` alone.",
        "properties": {
            "event": {"type": "string", "enum": ["progress", "done"]},
            "data": data,
            "id": {"type": "string", "description": "The epoch of the last row sent."},
            "retry": {"type": "integer", "description": "Milliseconds, where to come again."},
        },
    }
    content = {
        "text/event-stream": {"schema": event},
        "application/jsonl": {"schema": {**told, "description": "Each line."}},
    }
    return {"description": description, "content": content, "headers": {}}


def refusals(*statuses: int) -> dict[int | str, Part]:
    """The problems that a route may answer, as FastAPI's `responses`."""
    content = {"application/problem+json": {"schema": _ref(problems.Problem)}}
    return {
        status: {
            "description": _PROBLEMS[status],
            "content": content,
            "headers": _header_refs(["Retry-After"] if status in {429, 503} else []),
        }
        for status in statuses
    }


def document(app: FastAPI) -> Part:
    """The app's OpenAPI 3.1 document."""
    made = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version=app.openapi_version,
        summary=app.summary,
        description=app.description,
        license_info=app.license_info,
        tags=app.openapi_tags,
        routes=app.routes,
    )
    made["components"] = {
        "schemas": _schemas(),
        "headers": _header_components(),
        "securitySchemes": _KEYS,
    }
    for at, path in made["paths"].items():
        for method, operation in path.items():
            if "parameters" in operation:
                operation["parameters"] = list(filter(_speakable, operation["parameters"]))
            _guard(operation, asks=not is_open(at), changes=method != "get")
            for response in operation["responses"].values():
                response.setdefault("headers", {}).update(_header_refs(["X-Request-ID"]))
    return made


def _speakable(parameter: Part) -> bool:
    """Whether generated clients can say it: those in Python keep a variable of that name for the
    query string itself, and would send that. (The pages tell of it, and bodies have it.)"""
    return (parameter["in"], parameter["name"]) != ("query", "params")


def text(made: Part) -> str:
    """The document as it is committed."""
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def _guard(operation: Part, *, asks: bool, changes: bool) -> None:
    """What may be answered before the route is reached: to pages of other origins, and where keys
    or hosts are set."""
    before = refusals(421, *((401, 429) if asks else ()), *((403,) if changes else ()))
    for status, told in before.items():
        operation["responses"].setdefault(str(status), told)
    if asks:
        operation["security"] = [{}, *({name: []} for name in _KEYS)]


class _Untitled(GenerateJsonSchema):
    """Leaves out the titles that only repeat a field's name, and the defaults that are objects."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        """An object's default is its name where that is short for it, and else unsaid: client
        generators have no word for it, and the description has."""
        made = super().default_schema(schema)
        if isinstance(default := made.get("default"), dict):
            del made["default"]
            short = default.get("name", default.get("method"))
            if any(short in part.get("enum", ()) for part in made.get("anyOf", ())):
                made["default"] = short
        return made


def _without_null(schema: Part) -> Part:
    """A query parameter is left out, never null."""
    parts = [part for part in schema.pop("anyOf", ()) if part != {"type": "null"}]
    return {**schema, **parts[0]} if parts else schema


def _ref(schema: type[BaseModel]) -> Part:
    return {"$ref": f"#/components/schemas/{schema.__name__}"}


def _schemas() -> Part:
    modes: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        *((schema, "validation") for schema in _REQUESTS),
        *((schema, "serialization") for schema in _ANSWERS),
    ]
    _, made = models_json_schema(
        modes, schema_generator=_Untitled, ref_template="#/components/schemas/{model}"
    )
    schemas: Part = made["$defs"]
    # A problem leaves out what does not apply.
    optional = {name for name, f in problems.Problem.model_fields.items() if not f.is_required()}
    problem = schemas["Problem"]
    problem["required"] = [name for name in problem["required"] if name not in optional]
    return dict(sorted(schemas.items()))


def _header_components() -> Part:
    return {
        name: {"description": description, "schema": {"type": "string"}}
        for name, description in _HEADERS.items()
    }


def _header_refs(names: Any) -> Part:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
