"""The pages over HTTP: content negotiation and headers; and the files of the pages."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import subprocess
from pathlib import Path

import httpx
import pytest

import service.web
from service.web import assets
from tests.conftest import needs
from tests.soon import PATIENCE_S

WEB = Path(service.web.__file__).parent
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
WIDEST, LONGEST = 80, 300
PUBLISHED = {  # the first half of each sha256
    # npm's uplot 1.6.32
    "uplot/uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f71615",
    "uplot/uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b1",
    "uplot/LICENSE": "8f989229699b4fe2f1a0432d0e9edc33",
}


def get(address: str, path: str, **headers: str) -> httpx.Response:
    return httpx.get(
        f"http://{address}{path}", headers=headers, trust_env=False, timeout=PATIENCE_S
    )


@pytest.mark.parametrize("accept", [BROWSER, "text/html", "application/json, TEXT/HTML;q=0.1"])
def test_html_is_the_playground(address: str, accept: str) -> None:
    answer = get(address, "/", Accept=accept)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["vary"] == "Accept"
    assert "<title>Descent" in answer.text


@pytest.mark.parametrize("accept", ["*/*", "text/plain", "text/html;q=0, */*", "text/htmlx", ""])
def test_text_is_the_quick_start(address: str, accept: str) -> None:
    answer = get(address, "/", Accept=accept)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["vary"] == "Accept"
    assert max(map(len, answer.text.splitlines())) <= WIDEST


def test_the_commands_have_the_requested_address(address: str) -> None:
    assert f" {address}/fit" in get(address, "/").text
    assert " descent.localhost/fit" in get(address, "/", Host="descent.localhost").text
    assert " localhost:8000/fit" in get(address, "/", Host="a b$(id)").text


def test_every_command_of_the_quick_start_runs(address: str) -> None:
    needs("curl")
    blocks = re.findall(r"(?:^  .*\n)+", get(address, "/").text, re.MULTILINE)
    commands = [command for block in blocks for command in _commands(block)]
    assert len(commands) == 8
    for command in commands:
        arguments = shlex.split(command)
        assert arguments[0] == "curl"
        done = subprocess.run(
            ["curl", "-sSf", "--noproxy", "*", *arguments[1:]],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        answer = json.loads(done.stdout)
        if '"learning_rate": 0.01' in command:
            assert answer["stop_reason"] == "diverged"
            assert answer["diagnostics"][0]["suggestion"]
        elif arguments[-1].endswith("/fit"):
            few = len(answer["params"]) + 1 == answer["statistics"]["n"]
            assert answer["verdict"] == ("doubtful" if few else "trustworthy")


def _commands(block: str) -> list[str]:
    return [
        "curl " + part.strip() for part in re.split(r"^  curl ", block, flags=re.M) if part.strip()
    ]


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_content_security_policy(address: str, path: str) -> None:
    answer = get(address, path, Accept=BROWSER)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", answer.text)


def test_every_file_has_its_media_type_and_etag(address: str) -> None:
    for name, asset in assets().items():
        if name.endswith(".html"):
            continue
        answer = get(address, f"/assets/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == asset.media_type
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.content == asset.content
        again = get(address, f"/assets/{name}", **{"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/assets/index.html", "/assets/docs.html"])
def test_pages_have_no_other_path(address: str, path: str) -> None:
    assert get(address, path).status_code == 404


@pytest.mark.parametrize(
    "path", ["/assets/", "/assets/no.js", "/assets/../__init__.py", "/assets/%2e%2e/__init__.py"]
)
def test_other_files_are_not_served(address: str, path: str) -> None:
    assert get(address, path).status_code == 404


def test_referenced_files_exist() -> None:
    for page in ("index.html", "docs.html"):
        text = assets()[page].content.decode()
        for name in re.findall(r'(?:href|src)="assets/([^"]+)"', text):
            assert name in assets()
    for name, asset in assets().items():
        if name.startswith("js/"):
            for other in re.findall(r'from "\./([^"]+)"', asset.content.decode()):
                assert f"js/{other}" in assets()


def test_vendored_files_have_their_published_hashes() -> None:
    vendor = WEB / "vendor"
    found = {
        path.relative_to(vendor).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:32]
        for path in vendor.rglob("*")
        if path.is_file()
    }
    assert found == PUBLISHED
    assert b"1.6.32" in (vendor / "uplot" / "uPlot.iife.min.js").read_bytes()[:200]


@pytest.mark.parametrize("name", [name for name in assets() if name.startswith(("js/", "css/"))])
def test_scripts_are_short_and_write_no_html(name: str) -> None:
    text = assets()[name].content.decode()
    assert len(text.splitlines()) <= LONGEST
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(", text)
    assert "http" not in text.replace("http-", "")
