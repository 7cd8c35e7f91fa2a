"""`make soak` for some seconds: its faults are made, and nothing is lost by them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests import forked


@pytest.mark.thorough
def test_for_some_seconds() -> None:
    done = forked.run(
        *("benchmarks.soak", "--faults", "--minutes", "0.08"),
        env={**os.environ, "DESCENT_WORKERS": "2"},
        cwd=Path.cwd(),
        timeout=None,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    rows = dict(re.findall(r"^\| (.*?) \| (.*?) \|$", done.stdout, re.MULTILINE))
    for name in ("5xx but 503", "jobs lost", "jobs left unfinished"):
        assert rows[name] == "0"
    for name in ("workers killed", "callers who hung up", "half sent, or unread"):
        assert int(rows[name]) > 0
    assert "Traceback" not in done.stderr
