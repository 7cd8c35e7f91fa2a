"""One server for this folder's tests, tables to fit, and a way to run the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from service.client import Descent
from tests import forked
from tests.client.parts import DATA, DECAY_DATA
from tests.resilience.servers import Server, started


class Run(Protocol):
    """Runs `descent …` against the server."""

    def __call__(
        self, *words: str, stdin: str = "", own: bool = False, **environment: str
    ) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with started(workers=1) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Descent]:
    with Descent(server.address) as client:
        yield client


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A folder with thermo.csv and decay.csv, in which the command runs."""
    for name, columns in (("thermo", DATA), ("decay", DECAY_DATA)):
        rows = zip(*columns.values(), strict=True)
        lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.fixture
def run(server: Server, tables: Path) -> Run:
    def run(
        *words: str, stdin: str = "", own: bool = False, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return forked.run(
            "service",
            *words,
            stdin=stdin,
            cwd=tables,
            env=environment_of("" if own else server.address, **environment),
        )

    return run


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "service", *words]


def environment_of(url: str, **more: str) -> dict[str, str]:
    """The environment of a command: of Descent's variables only the given ones."""
    kept = {k: v for k, v in os.environ.items() if "DESCENT_" not in k and k != "NO_COLOR"}
    root = str(Path(__file__).parents[2])
    return {**kept, "PYTHONPATH": root, **({"DESCENT_URL": url} if url else {}), **more}
