"""What a request means, as a few bytes: the same in whatever form it came.

Not its bytes, for a form that is sent again has another boundary; not how it is to be answered
(`?format=`, `background`), which is no part of what is asked.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np

from service.schemas.columns import Labels, Numbers
from service.schemas.fit import FitRequest


def fingerprint(asked: FitRequest) -> bytes:
    """The SHA-256 of a request's meaning. The columns' order is part of it: a model that names
    none takes them as they come."""
    options = json.loads(asked.model_dump_json(exclude={"data", "background"}))
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    for name, column in asked.data.items():
        digest.update(f"\n{len(name)} {name} {len(column)} ".encode())
        for part in _parts(column):
            digest.update(part)
    return digest.digest()


def _parts(column: Numbers | Labels) -> tuple[bytes, ...]:
    if isinstance(column, Labels):
        return b"text", column.codes.tobytes(), json.dumps(column.names).encode()
    # Of nothing there are many spellings.
    return b"numbers", np.where(np.isnan(column), np.nan, column).tobytes()
