"""What reads strangers' bytes, each as one function of bytes: for hypothesis and for atheris.

A refusal is a DescentError; anything else that is raised is a find. What was
read goes on to where it is planned, as a request's would.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from service.api.bodies import reading
from service.api.bodies.forms import FORMS
from service.api.bodies.json import parse as parse_json
from service.api.bodies.json_numbers import parse_numbers
from service.api.bodies.options import assemble
from service.api.bodies.table import Bounds, Table, check_counts
from service.api.head import media_type
from service.api.middleware.hosts import AllowedHosts
from service.api.middleware.request_ids import child
from service.engine.formula import read_formula
from service.engine.syntax import parse
from service.errors import DescentError
from service.fitting import check
from service.schemas.compute import GradientRequest, LossRequest, PredictRequest
from service.schemas.fit import FitRequest
from service.schemas.plot import PlotRequest
from service.schemas.reading import ReadingOptions
from service.settings import Settings
from tests.security.seeds import BOUNDARY

SETTINGS = Settings(
    max_rows=1000, max_columns=20, max_data_bytes=100_000, max_labels=100, max_groups=50
)
BOUNDS = Bounds.of(SETTINGS)
INFLATED = 100_000
"""The most that a gzip may come to."""
REFUSED = (DescentError,)


def formula(data: bytes) -> None:
    """The parser of formulas, and all that is made of what it parses."""
    text = data.decode("utf-8", "replace")
    with suppress(DescentError):
        parse(text)
    with suppress(DescentError):
        read_formula(text, frozenset({"x", "y"}))


def json_body(data: bytes) -> None:
    """A body of JSON, by the plain way and by that of long columns."""
    for schema in (FitRequest, PredictRequest, LossRequest, GradientRequest, PlotRequest):
        with suppress(*REFUSED):
            parse_numbers(data, schema)
        with suppress(*REFUSED):
            asked = parse_json(data, schema)
            if isinstance(asked, FitRequest):
                _plan(asked)


def _plan(asked: FitRequest) -> None:
    check_counts(asked, SETTINGS)
    check(asked, SETTINGS)


def form(name: str) -> Callable[[bytes], None]:
    """A body of that form, read, assembled and planned: as it is, and in groups."""
    kind = media_type(f'{name}; boundary="{BOUNDARY}"')

    def read(data: bytes) -> None:
        with suppress(*REFUSED):
            table = FORMS[name].read(data, kind, BOUNDS, ReadingOptions())
            for query in (b"", b"group_by=g&missing=drop"):
                with suppress(*REFUSED):
                    _plan(assemble(FitRequest, table, query))

    return read


def packed(data: bytes) -> None:
    """A body that came as gzip."""
    with suppress(*REFUSED):
        inflated = reading.inflate(data, INFLATED)
        assert inflated is None or len(inflated) <= INFLATED


def headers(data: bytes) -> None:
    """What is read of a request's head."""
    hosts = AllowedHosts(["a.example", "local"])
    hosts.allows(data)
    child(data)
    media_type(data.decode("latin-1"))
    with suppress(*REFUSED):
        assemble(FitRequest, Table({}), data)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "formula": formula,
    "json": json_body,
    "headers": headers,
    "gzip": packed,
    **{name.rpartition("/")[2]: form(name) for name in FORMS},
}
