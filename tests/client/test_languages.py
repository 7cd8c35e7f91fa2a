"""The examples of docs/reference/languages.md, run against a service."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.client import Descent

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "languages.md").read_text("utf-8")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Descent.local(workers=1) as client:
        yield client.url


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def ran(program: str, example: str, suffix: str, folder: Path, url: str) -> str:
    """What an example prints; skips where there is no such program."""
    command = shutil.which(program)
    if command is None:
        pytest.skip(f"there is no {program}")
    file = folder / f"fit.{suffix}"
    file.write_text(example, "utf-8")
    done = subprocess.run([command, file.name, url], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_javascript(url: str, tmp_path: Path) -> None:
    (example,) = examples("js")
    assert ran("node", example, "mjs", tmp_path, url) == "1.94 doubtful\n"


def test_shell(url: str, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    (example,) = examples("bash")
    printed = ran("sh", example, "sh", tmp_path, url)
    assert re.fullmatch(r"u k=0\.5053±0\.0079\nv k=0\.\d+±0\.\d+\n", printed)


def test_r_with_httr2(url: str, tmp_path: Path) -> None:
    example, _ = examples("r")
    known = shutil.which("Rscript") and subprocess.run(
        ["Rscript", "-e", 'quit(status = !requireNamespace("httr2", quietly = TRUE))'], check=False
    )
    if not known or known.returncode:
        pytest.skip("there is no R with httr2")
    printed = ran("Rscript", example, "R", tmp_path, url)
    assert printed == "a = 5.0794 ± 0.0425\nk = 0.5053 ± 0.0079\ntrustworthy \n"


def test_r_alone(url: str, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    _, example = examples("r")
    rows = ran("Rscript", example, "R", tmp_path, url).split()
    assert rows == [
        "name",
        "value",
        "stderr",
        *["1", "w", "1.99", "0.0597", "2", "b", "0.05", "0.1981"],
    ]
