"""The fingerprint of a fit request, for idempotency keys: equal for every body format.


It is computed from the parsed request, not its bytes (a multipart boundary differs each time), and
without `?format=` and `background`, which change only the answer.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np

from service.schemas.columns import Labels, Numbers
from service.schemas.fit import FitRequest
from service.schemas.options import Param


def fingerprint(asked: FitRequest) -> bytes:
    """The SHA-256 of the request. The order of columns counts: a model that names none uses it."""
    params = {
        name: given if isinstance(given, Param) else Param(value=given)
        for name, given in asked.params.items()
    }
    whole = asked.model_copy(update={"params": params})
    options = json.loads(whole.model_dump_json(exclude={"data", "background"}))
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    for name, column in asked.data.items():
        digest.update(f"\n{len(name)} {name} {len(column)} ".encode())
        for part in _parts(column):
            digest.update(part)
    return digest.digest()


def _parts(column: Numbers | Labels) -> tuple[bytes, ...]:
    if isinstance(column, Labels):
        return b"text", column.codes.tobytes(), json.dumps(column.names).encode()
    # NaN has many bit patterns.
    return b"numbers", np.where(np.isnan(column), np.nan, column).tobytes()
