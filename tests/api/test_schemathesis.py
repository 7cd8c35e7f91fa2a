"""openapi.json against the running service: schemathesis asks what it describes, and what it
forbids, and follows the links from one answer to the next request.

All its checks. One of them, that whatever the schema allows is accepted, knows of answers that it
must allow for: a formula, the names in it and the columns that it wants cannot be said in JSON
Schema (422), nor can it be of a text that it is CSV (400); and `Accept` may ask for what is not had
(406). A picture may be too large though its width and its height are not (422). Where none of that
is asked, as in the query of any other GET, such an answer is a failure.
`make fuzz` does the same for longer.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.resilience.servers import started
from tests.soon import PATIENCE_S

FUZZ_S = "DESCENT_FUZZ_S"
FOR_LONGER = ("--max-time", os.environ[FUZZ_S]) if FUZZ_S in os.environ else ()
"""It goes through all its phases once, however long that takes; or again until so much is over."""
RUN = "from schemathesis.cli import schemathesis; schemathesis()"
SMALL = {
    "workers": 1,
    "max_wait_s": 0.5,
    "max_time_limit_s": 1,
    "max_epochs": 10_000,
    "keep_alive_s": 1,
}
"""Limits that let many requests through in the time."""

KNOWN = """
[[operations]]
include-method = "POST"
checks.positive_data_acceptance.expected-statuses = [
  "2xx", "3xx", "400", "404", "406", "409", "422", "429", "5xx",
]

[[operations]]
include-operation-id = "get_job_picture"
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "409", "422", "429", "5xx"]
"""
"""Schemathesis's own list, and what a body may be refused with although it is as described."""


@pytest.mark.thorough
def test_no_answer_is_against_the_description(tmp_path: Path) -> None:
    (tmp_path / "known.toml").write_text(KNOWN)
    with started(**SMALL) as server:
        done = subprocess.run(
            [
                *(sys.executable, "-c", RUN, "--config-file", str(tmp_path / "known.toml"), "run"),
                *(f"http://{server.address}/openapi.json", "--checks", "all"),
                *("--max-examples", "7", "--seed", "1", "--no-color", "--warnings", "off"),
                # It takes seconds, whatever is asked; test_openapi_holds asks it once.
                *("--exclude-operation-id", "certify"),
                *("--request-timeout", f"{PATIENCE_S:g}", "--generation-database", "none"),
                *FOR_LONGER,
            ],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "NO_PROXY": "*", "no_proxy": "*"},
            check=False,
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
            assert f"✅  {phase}" in done.stdout, done.stdout[-6000:]
        with server.client(trust_env=False) as client:
            assert client.get("/readyz").status_code == 200
