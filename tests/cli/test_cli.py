from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service import __version__
from service.cli import main

ROOT = Path(__file__).parents[2]


def test_version() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    assert project.get("version", __version__) == __version__
    result = CliRunner().invoke(main, ["--version"])
    assert result.output == f"descent {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["--workers", "2"], {}),
        ([], {"WEB_CONCURRENCY": "4"}),
        ([], {"WEB_CONCURRENCY": "many"}),
    ],
)
def test_several_processes_are_refused_with_the_remedy(
    arguments: list[str], variables: dict[str, str]
) -> None:
    result = CliRunner().invoke(main, ["serve", *arguments], env=variables)
    assert result.exit_code == 2
    assert "one process" in result.stderr
    assert "DESCENT_WORKERS" in result.stderr


def test_an_invalid_setting_is_named() -> None:
    result = CliRunner().invoke(main, ["serve"], env={"DESCENT_MAX_WAIT_S": "soon"})
    assert result.exit_code == 2
    assert result.stderr.startswith("DESCENT_MAX_WAIT_S:")


def test_openapi_and_its_check_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    printed = CliRunner().invoke(main, ["openapi"]).stdout
    assert printed.startswith('{\n  "openapi": "3.1')
    assert printed.endswith("}\n")

    missing = CliRunner().invoke(main, ["openapi", "--check"])
    assert missing.exit_code == 1
    assert "make openapi" in missing.stderr

    Path("openapi.json").write_text(printed, encoding="utf-8")
    assert CliRunner().invoke(main, ["openapi", "--check"]).exit_code == 0
    Path("openapi.json").write_text(printed + " ", encoding="utf-8")
    assert CliRunner().invoke(main, ["openapi", "--check"]).exit_code == 1
