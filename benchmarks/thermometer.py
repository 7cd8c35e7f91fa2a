"""The data of the worked example, and the two servers that are asked about it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.client import Callers, post
from benchmarks.servers import running, serving

T_U = [35.7, 55.9, 58.2, 81.9, 56.3, 48.9, 33.9, 21.8, 48.4, 60.4, 68.4]
T_C = [0.5, 14.0, 15.0, 28.0, 11.0, 8.0, 3.0, -4.0, 6.0, 13.0, 21.0]
MODEL = "t_c = w * t_u + b"

FIT = post("/fit", json.dumps({"model": MODEL, "data": {"t_u": T_U, "t_c": T_C}}).encode())
_PREDICT = {"model": MODEL, "params": {"w": 0.5367, "b": -17.3}, "data": {"t_u": T_U}}
PREDICT, BARE = (post(path, json.dumps(_PREDICT).encode()) for path in ("/predict", "/bare"))


@contextmanager
def both_servers(callers: Callers) -> Iterator[tuple[int, int]]:
    """The ports of Descent, and of an empty app that gives Descent's answers."""
    with serving() as descent, tempfile.TemporaryDirectory() as folder:
        for name, request in (("predict", PREDICT), ("fit", FIT)):
            answer = callers.ask(descent, request)
            (Path(folder) / f"{name}.json").write_bytes(answer.body)
        with running("-m", "benchmarks.empty_app", folder) as empty:
            yield descent, empty
