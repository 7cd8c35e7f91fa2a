"""Every command of the documentation answers what the documentation says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import forked
from tests.docs.console import Mismatch, compare, read
from tests.soon import PATIENCE_S

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
DESCENT = "descent() {{ '{python}' -S -m tests.forked {descriptor} service \"$@\"; }}\n"
"""The command line of this checkout, as the pages call it."""
CURL = (7, 82)
"""The first curl with --json."""


@pytest.fixture(scope="module")
def curl() -> None:
    """Skips where there is no such curl; fails where DESCENT_CI is 1."""
    if not shutil.which("curl"):
        reason = "curl is not installed"
    else:
        said = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True)
        found = re.match(r"curl (\d+)\.(\d+)", said.stdout)
        if found and (int(found[1]), int(found[2])) >= CURL:
            return
        reason = "curl is older than 7.82, the first with --json"
    if os.environ.get("DESCENT_CI") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.mark.usefixtures("curl")
@pytest.mark.parametrize(
    "page",
    PAGES,
    ids=[page.name for page in PAGES],
)
def test_the_commands_of_a_page(page: Path, address: str, tmp_path: Path):
    ids: dict[str, str] = {}
    for entry in ROOT.iterdir():  # what a command writes is not left in the checkout
        (tmp_path / entry.name).symlink_to(entry)
    for command in read(page.read_text(encoding="utf-8")):
        if command.text.startswith("cat "):
            (tmp_path / command.text.split()[1]).write_text(command.answer, encoding="utf-8")
            continue
        script = "\n".join((*command.setup, command.text)).replace("localhost:8000", address)
        for documented, real in ids.items():
            script = script.replace(documented, real)
        answer = _run(script, tmp_path, address)
        found = compare(command.answer, answer)
        if isinstance(found, Mismatch):
            pytest.fail(
                f"{page.name}:{command.line}: {command.text}\n\nsays: {found.part}\n\nis: {answer}",
                pytrace=False,
            )
        ids |= found


def test_the_thermometer_and_the_readme_have_commands():
    for name in ("README.md", "docs/tutorial/thermometer.md"):
        assert list(read((ROOT / name).read_text(encoding="utf-8")))


def _run(script: str, folder: Path, address: str) -> str:
    """What it prints in that folder, without a proxy between."""
    environment = {**os.environ, "NO_PROXY": "*", "no_proxy": "*", "DESCENT_URL": address}
    environment["PYTHONPATH"] = str(ROOT)
    descriptor = forked.descriptor()
    descent = DESCENT.format(python=sys.executable, descriptor=descriptor)
    done = subprocess.run(
        ["sh", "-c", descent + script],
        pass_fds=[descriptor],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        cwd=folder,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
