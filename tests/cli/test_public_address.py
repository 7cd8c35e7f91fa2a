"""A start without keys on a public address is refused, unless it is allowed explicitly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from service.api.middleware.api_keys import new_key
from service.cli import main
from tests.resilience.servers import started
from tests.soon import PATIENCE_S


def _refused(*options: str, **environment: str) -> str:
    done = CliRunner().invoke(main, ["serve", "--port", "0", *options], env=environment)
    assert done.exit_code == 2
    return done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "descent.example"])
def test_a_public_address_without_keys_is_refused(host: str) -> None:
    said = _refused("--host", host)
    assert "descent key NAME" in said
    assert "--allow-public" in said
    assert "-p 127.0.0.1:8000:8000" in said


def test_an_unreadable_keys_file_is_refused(tmp_path: Path) -> None:
    assert "DESCENT_KEYS_FILE" in _refused(DESCENT_KEYS_FILE=str(tmp_path / "none"))
    assert "key 1" in _refused(DESCENT_KEYS="alice")


@pytest.mark.parametrize("way", ["keys", "switch", "variable"])
def test_a_public_address_with_keys_or_the_switch(way: str) -> None:
    key, line = new_key("alice")
    command = ["service", "serve", "--port", "0", "--host", "0.0.0.0"]
    settings: dict[str, object] = {"workers": 1}
    if way == "keys":
        settings["keys"] = line
    elif way == "switch":
        command.append("--allow-public")
    else:
        settings["allow_public"] = 1
    with (
        started(*command, **settings) as server,
        httpx.Client(trust_env=False, timeout=PATIENCE_S) as client,
    ):
        at = f"http://127.0.0.1:{server.port}"
        assert client.get(f"{at}/readyz").status_code == 200
        assert client.get(f"{at}/jobs").status_code == (401 if way == "keys" else 200)
        known = {"Authorization": f"Bearer {key}"}
        assert client.get(f"{at}/jobs", headers=known).status_code == 200


def test_a_loopback_address_accepts_only_local_host_names() -> None:
    """Against DNS rebinding: a page whose host name resolves to this address is refused."""
    with started(workers=1) as server, server.client(trust_env=False) as client:
        for host in (f"localhost:{server.port}", "127.0.0.1", "descent", "[::1]:80"):
            assert client.get("/livez", headers={"host": host}).status_code == 200
        answer = client.get("/livez", headers={"host": "rebound.example"})
        assert answer.status_code == 421


def test_a_key_and_its_hash_are_printed_separately() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service", "key", "alice"],
        capture_output=True,
        text=True,
        check=True,
    )
    name, _, digest = done.stdout.strip().partition(":")
    assert (name, len(digest)) == ("alice", 64)
    assert "descent_" in done.stderr
    assert "descent_" not in done.stdout


def test_an_invalid_key_name_is_refused() -> None:
    assert CliRunner().invoke(main, ["key", "a b"]).exit_code == 2
