"""The blocking client is what `make client` generates from the asynchronous one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_blocking_client_is_current() -> None:
    command = [sys.executable, str(ROOT / ".ci" / "blocking_client.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
