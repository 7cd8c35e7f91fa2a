"""JSON lines: an object of numbers for each row."""

from __future__ import annotations

import json

import numpy as np

from service.api.bodies.table import Bounds, Table, check_names
from service.api.head import MediaType
from service.api.http_errors import MalformedBody
from service.schemas.columns import Labels, Numbers
from service.schemas.reading import ReadingOptions


def read(
    body: bytes | bytearray, media_type: MediaType, bounds: Bounds, options: ReadingOptions
) -> Table:
    """The columns of the first row's names. Raises MalformedBody."""
    try:
        rows = [json.loads(line) for line in body.splitlines()]
        names = list(rows[0])
        bounds.check_columns(len(names))
        check_names(names)
        columns: dict[str, Numbers | Labels]
        columns = {name: np.array([row[name] for row in rows], np.float64) for name in names}
    except (ValueError, LookupError, TypeError) as error:
        raise MalformedBody(f"the body is not JSON lines of numbers: {error}") from None
    return Table(columns)
