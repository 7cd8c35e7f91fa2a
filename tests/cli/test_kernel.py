"""The machine code of the kernel: the compile command, and starts of the service."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.cli import kernel
from service.client import embedded
from service.engine.kernel import cache, warm
from tests.cli.test_serve import started

CURVE = {"x": [0.0, 1.0, 2.0, 3.0, 4.0], "y": [5.1, 3.0, 1.9, 1.1, 0.8]}
FITS = [
    {"data": CURVE},
    {"data": CURVE, "model": "y = a * exp(-b * x)"},
    {"data": CURVE, "optimizer": "adam", "epochs": 5, "dtype": "float32"},
    {"data": CURVE, "model": {"name": "mlp", "hidden": [2]}, "epochs": 2},
]


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all of the machine code, the only one that a service started now uses."""
    warm.call_all()
    folder = tmp_path / cache.FOLDERS[0].name
    for each in reversed(cache.FOLDERS):
        if each.is_dir():
            shutil.copytree(each, folder, dirs_exist_ok=True)
    monkeypatch.setenv("DESCENT_KERNEL_CACHE", str(tmp_path))
    return folder


def listed(folder: Path) -> dict[str, int]:
    """Its files, with their times of modification."""
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_start_with_cached_code_compiles_nothing(code: Path) -> None:
    before = listed(code)
    assert before
    with started() as server, httpx.Client(base_url=server.url, timeout=60) as client:
        assert listed(code) == before
        for request in FITS:
            assert client.post("/fit", json=request).status_code == 200
        assert server.end() == ("", "")
    assert listed(code.parent) == {code.name: code.stat().st_mtime_ns, **before}


def test_compile_reports_that_the_code_is_cached(code: Path) -> None:
    before = listed(code)
    done = subprocess.run(
        [sys.executable, "-m", "service", "compile"], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("The numerical kernel is compiled already\n", "")
    assert listed(code) == before


def test_compile_fails_if_the_code_cannot_be_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("DESCENT_KERNEL_CACHE", str(file))
    done = subprocess.run(
        [sys.executable, "-m", "service", "compile"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert str(file) in done.stderr


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Without code on disk: the recorded steps, in order."""
    done: list[str] = []
    monkeypatch.setattr(warm, "load", lambda: False)
    monkeypatch.setattr(warm, "call_all", lambda: done.append("here"))
    monkeypatch.setattr(kernel, "_compile_in_children", lambda: done.append("apart"))
    return done


def test_a_start_without_code_logs_the_compilation(
    cold: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cache, "writable", lambda: Path("/srv/code"))
    with caplog.at_level(logging.INFO):
        assert kernel.prepare()
    assert cold == ["apart", "here"]
    (line,) = caplog.messages
    assert "Compiling the numerical kernel" in line
    assert line.endswith("/srv/code")


def test_code_that_cannot_be_saved_is_compiled_in_process(
    cold: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cache, "writable", lambda: None)
    monkeypatch.setattr(cache, "FOLDERS", (Path("/srv/one"), Path("/srv/two")))
    assert kernel.prepare()
    assert cold == ["here"]
    (line,) = caplog.messages
    assert "(/srv/one, /srv/two)" in line
    assert "DESCENT_KERNEL_CACHE" in line


def test_compilation_runs_in_child_processes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each compiles its half; here only the names are recorded."""
    (tmp_path / "halves.py").write_text(
        "import os, sys; open(os.path.join(os.path.dirname(__file__), sys.argv[1]), 'w').close()"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(warm, "__name__", "halves")
    kernel._compile_in_children()
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"0", "1", "halves.py"}


def test_a_command_passes_on_the_log_of_its_service(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = "print('Compiling'); print('Descent listens on http://127.0.0.1:1'); input()"

    @contextmanager
    def service(stderr: int, settings: Any) -> Iterator[subprocess.Popen[str]]:
        pipe = subprocess.PIPE
        with subprocess.Popen(
            [sys.executable, "-c", script], stdin=pipe, stdout=pipe, text=True
        ) as process:
            yield process

    monkeypatch.setattr(embedded, "_started", service)
    with embedded.running() as address:
        assert address == "http://127.0.0.1:1"
    assert capsys.readouterr() == ("", "Compiling\n")
