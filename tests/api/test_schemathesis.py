"""openapi.json against the running service: schemathesis asks what it describes, and what it
forbids, and follows the links from one answer to the next request.

All its checks but one: that whatever the schema allows is accepted. A formula, the names in it and
the columns that it wants cannot be said in JSON Schema; what is refused is 422 and says why, which
the other checks hold it to. `make fuzz` does the same for longer.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.faults.servers import started

SECONDS = os.environ.get("DESCENT_FUZZ_S", "15")
RUN = "from schemathesis.cli import schemathesis; schemathesis()"
SMALL = {
    "workers": 1,
    "max_wait_s": 0.5,
    "max_time_limit_s": 1,
    "max_epochs": 10_000,
    "keep_alive_s": 1,
}
"""Limits that let many requests through in the time."""


def test_no_answer_is_against_the_description(tmp_path: Path) -> None:
    with started(**SMALL) as server:
        done = subprocess.run(
            [
                *(sys.executable, "-c", RUN, "run", f"http://{server.address}/openapi.json"),
                *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
                *("--max-time", SECONDS, "--max-examples", "10", "--seed", "1", "--no-color"),
                *("--request-timeout", "20", "--warnings", "off"),
                *("--generation-database", "none"),
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
