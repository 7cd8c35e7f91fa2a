"""Compiled code reads and writes wherever it is told to; here it is told to look first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CHECKED = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_OPT": "0"}
"""Its code is kept apart from the other (see `cache.folders`); without optimisation it is compiled
in half the time."""
PROBE = """
import numpy as np
from service.engine.kernel.compiled import inlined, allocating

@inlined
def beyond(x, i):
    return x[i]

@allocating
def read(x, i):
    return beyond(x, i)

read(np.ones(3), 3)
"""


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, **CHECKED},
    )  # fmt: skip


@pytest.mark.thorough
def test_no_index_is_beyond_its_array() -> None:
    """In anything that the service does with the kernel in float64: see `everything`. The code for
    float32 is made of the same lines."""
    done = run("-m", "tests.engine.kernel.everything", "float64")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "IndexError" not in done.stderr


def test_one_that_is_would_be_found(tmp_path: Path) -> None:
    probe = tmp_path / "probe.py"
    probe.write_text(PROBE)
    done = run("-c", f"import runpy; runpy.run_path({str(probe)!r})")
    assert "IndexError: index is out of bounds" in done.stderr, done.stderr
