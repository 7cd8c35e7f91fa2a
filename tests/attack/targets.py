"""What reads strangers' bytes, each as one function of bytes: for hypothesis and for atheris.

A refusal is a domain error or an HTTPException; anything else that is raised is a find.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from starlette.exceptions import HTTPException

from service.api.front import Hosts
from service.api.parsing import parse as parse_json
from service.api.reading import media_type
from service.api.reading.assembling import assemble
from service.api.reading.forms import FORMS
from service.api.reading.json_numbers import parse_numbers
from service.api.reading.table import Bounds, Table
from service.api.trace import child
from service.engine.formula import read_formula
from service.engine.syntax import parse
from service.errors import DescentError
from service.schemas.compute import PredictRequest
from service.schemas.fit import FitRequest

BOUNDS = Bounds(rows=1000, columns=20, nbytes=100_000, labels=100)
REFUSED = (DescentError, HTTPException)


def formula(data: bytes) -> None:
    """The parser of formulas, and all that is made of what it parses."""
    text = data.decode("utf-8", "replace")
    with suppress(DescentError):
        parse(text)
    with suppress(DescentError):
        read_formula(text, frozenset({"x", "y"}))


def json_body(data: bytes) -> None:
    """A body of JSON, by the plain way and by that of long columns."""
    for schema in (FitRequest, PredictRequest):
        with suppress(*REFUSED):
            parse_json(data, schema)
        with suppress(*REFUSED):
            parse_numbers(data, schema)


def form(name: str) -> Callable[[bytes], None]:
    """A body of that form, read and assembled."""

    def read(data: bytes) -> None:
        with suppress(*REFUSED):
            table = FORMS[name].read(data, media_type.parse(name), BOUNDS)
            assemble(FitRequest, table, b"")

    return read


def headers(data: bytes) -> None:
    """What is read of a request's head."""
    hosts = Hosts(["a.example", "local"])
    hosts.know(data)
    child(data)
    media_type.parse(data.decode("latin-1"))
    with suppress(*REFUSED):
        assemble(FitRequest, Table({}), data)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "formula": formula,
    "json": json_body,
    "headers": headers,
    **{name.rpartition("/")[2]: form(name) for name in FORMS},
}
