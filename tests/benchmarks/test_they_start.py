"""Every benchmark in its quick form, so that none rots. Peers that are not installed are left out:
they come with the extra `bench`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks import report, servers
from benchmarks.client import calling
from benchmarks.harness import missing
from benchmarks.registry import NAMES, measure
from benchmarks.servers import Started
from benchmarks.thermometer import both_servers
from tests import forked

ROOT = Path(__file__).parents[2]
NO_BENCHMARKS = {
    *("__init__", "__main__", "registry", "harness", "report"),
    *("client", "servers", "thermometer", "families", "beside_scipy", "arrow"),
    *("empty_app", "litserve_app"),
    *("soak", "scale_soak", "cells", "faults", "self_start", "truths"),
}
"""What the benchmarks are made of, and what is not run by `make bench`."""


@pytest.fixture(scope="module", autouse=True)
def one_service() -> Iterator[None]:
    """For all benchmarks that do not measure its start: each would wait for one of its own."""
    with pytest.MonkeyPatch.context() as patch, calling() as callers:
        patch.setenv("DESCENT_WORKERS", "1")
        with both_servers(callers) as ports:
            shared = {
                "serving": lambda: nullcontext(ports[0]),
                "both_servers": lambda _: nullcontext(ports),
                "started": started,
            }
            for module in [import_module(f"benchmarks.{name}") for name in NAMES]:
                for name in shared.keys() & vars(module).keys():
                    patch.setattr(module, name, shared[name])
            yield


@contextmanager
def started(*arguments: str, **variables: object) -> Iterator[Started]:
    """The same as that of the benchmarks, forked if it is a module."""
    option, *command = arguments
    if option != "-m":
        with servers.started(*arguments, **variables) as process:
            yield process
        return
    environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
    with forked.Forked(*command, env=environment) as process:
        try:
            yield Started(process.pid, process.stdout.readline().rstrip())
        finally:
            process.terminate()


@pytest.mark.thorough
@pytest.mark.parametrize("name", NAMES)
def test_it_starts(name: str) -> None:
    about, results = measure(name, quick=True)
    assert about.strip()
    assert results.comparisons
    for one in results.comparisons:
        assert one.ours
        assert one.theirs or missing()
    assert report.table(results.comparisons)


def test_every_module_is_registered_or_known() -> None:
    modules = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    assert modules == {*NAMES, *NO_BENCHMARKS}


def test_the_command_prints_a_table_and_writes_nothing() -> None:
    pages = [report.PAGE.read_bytes(), report.ACCURACY.read_bytes()]
    done = _command("--quick", "hostile")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("hostile\n| measured ")
    assert done.stderr == ""
    assert [report.PAGE.read_bytes(), report.ACCURACY.read_bytes()] == pages


def test_an_unknown_name_is_refused() -> None:
    done = _command("nonesuch")
    assert done.returncode == 2
    assert "unknown: nonesuch; known: curves" in done.stderr


def _command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return forked.run("benchmarks", *arguments, env=dict(os.environ), cwd=ROOT)
