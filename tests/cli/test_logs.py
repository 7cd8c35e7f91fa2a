"""The log of a real server, as JSON and as lines of text."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import httpx
import pytest

from service.server import logs
from tests.forked import Forked
from tests.resilience.servers import SERVE
from tests.soon import PATIENCE_S

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
LINE = {"data": {"x": [1, 2, 3], "y": [2.1, 3.9, 6.2]}}


def logged(form: str) -> tuple[list[str], str]:
    """The log of three requests, and the id of the job in them."""
    environment = {**os.environ, "DESCENT_WORKERS": "1", "DESCENT_LOG_FORMAT": form}
    command = (*SERVE, "--access-log")
    with (
        TemporaryFile("w+") as log,
        Forked(*command, env=environment, stderr=log.fileno()) as process,
    ):
        url = process.stdout.readline().split()[-1]
        try:
            with httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_S) as client:
                headers = {"x-request-id": "mine", "traceparent": f"00-{TRACE}-{PARENT}-01"}
                job = client.post("/fit", json=LINE, headers=headers).json()["job_id"]
                client.get(f"/jobs/{job}")
                client.get("/nowhere%0a2026-01-01 ERROR forged")
            process.terminate()
            process.wait(PATIENCE_S)
        finally:
            process.kill()
        log.seek(0)
        return log.read().splitlines(), job


def test_json_lines_have_ids() -> None:
    lines, job = logged("json")
    records: list[dict[str, Any]] = [json.loads(line) for line in lines]
    fit, look, lost = records
    assert (fit["method"], fit["route"], fit["status"]) == ("POST", "/fit", 200)
    assert fit["request_id"] == "mine"
    assert fit["trace_id"] == TRACE
    assert fit["span_id"] != PARENT
    assert fit["logger"] == "descent.access"
    assert fit["level"] == "INFO"
    assert fit["duration_ms"] > 0
    assert (look["route"], look["job_id"]) == ("/jobs/{job_id}", job)
    assert len(look["request_id"]) == 32
    assert (lost["route"], lost["problem"]) == ("unmatched", "unknown-route")


def test_console_lines_cannot_be_forged() -> None:
    lines, job = logged("console")
    assert len(lines) == 3
    assert f"GET /jobs/{job} 200" in lines[1]
    assert "%0a" in lines[2].lower()


def test_a_stalled_reader_blocks_nothing() -> None:
    """A pipe holds 64 KiB. This one is read at the end only, and then has all lines."""
    command = [sys.executable, "-m", "service", "serve", "--port", "0", "--access-log"]
    environment = {**os.environ, "DESCENT_WORKERS": "1"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    with process:
        url = process.stdout.readline().split()[-1]
        try:
            with httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_S) as client:
                for n in range(100):
                    assert client.get(f"/{n}{'x' * 2000}").status_code == 404
            process.terminate()
            said = process.communicate(timeout=PATIENCE_S)[1]
            assert process.returncode == 0
        finally:
            process.kill()
    assert said.count(" 404 ") == 100


def test_dropped_lines_are_counted() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading) as reader:
        handler = logs.QueuedHandler(stream)
        handler._lines.maxsize = 3
        log = logging.Logger("a")
        log.addHandler(handler)
        log.warning("x" * 2**17)  # longer than a pipe: it blocks the thread
        while handler._lines.qsize():
            pass
        for n in range(10):
            log.warning("line %d", n)
        assert reader.readline() == "x" * 2**17 + "\n"
        assert [reader.readline() for _ in range(3)] == [f"line {n}\n" for n in range(3)]
        log.warning("the last")
        assert reader.readline() == "7 lines were dropped here: the log was not read in time\n"
        assert reader.readline() == "the last\n"
        handler.close()


@pytest.mark.parametrize("form", ["xml", ""])
def test_an_unknown_format_is_refused(form: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service", "serve", "--port", "0"],
        capture_output=True,
        text=True,
        env={**os.environ, "DESCENT_LOG_FORMAT": form},
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 2
    assert "DESCENT_LOG_FORMAT" in done.stderr


def test_an_invalid_body_is_not_logged(tmp_path: Path) -> None:
    """Otherwise invalid requests could fill the log."""
    log = tmp_path / "log"
    with (
        log.open("w") as stderr,
        Forked(*SERVE, env=dict(os.environ), stderr=stderr.fileno()) as process,
    ):
        url = process.stdout.readline().split()[-1]
        try:
            with httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_S) as client:
                for kind in ("multipart/form-data; boundary=B", "application/x-npz", "text/csv"):
                    answer = client.post(
                        "/fit", content=b"--B\r\nX\x01: \r\n", headers={"content-type": kind}
                    )
                    assert answer.status_code in {400, 422}
            process.terminate()
            process.wait(PATIENCE_S)
        finally:
            process.kill()
    assert log.read_text() == ""
