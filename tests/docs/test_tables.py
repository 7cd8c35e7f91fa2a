"""The tables of the pages name what the engine has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from service.engine.diagnostics import CHECKS
from service.engine.diagnostics.finished import VERDICTS
from service.engine.operations import CALLABLE
from tests.docs import reference
from tests.docs.tables import renewed, tables

ROOT = Path(__file__).parents[2]


def first_cells(page: str) -> set[str]:
    text = (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")
    cells = re.findall(r"^\| ((?:`\w+` ?)+)\|", text, flags=re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_the_functions_of_the_language() -> None:
    assert first_cells("formulas.md") == set(CALLABLE)


def test_the_verdicts_and_the_codes_of_the_diagnostics() -> None:
    assert first_cells("diagnostics.md") == {*VERDICTS, *(check.code for check in CHECKS)}


@pytest.mark.parametrize("name", tables())
def test_the_tables_of_the_code(name: str) -> None:
    page = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert page == renewed(name), "run `make docs`"
    assert all(f"## {title}\n\n{table}\n" in page for title, table in tables()[name].items())


@pytest.mark.parametrize("name", ["requests.md", "answers.md"])
def test_the_pages_of_fields_are_fresh(name: str) -> None:
    page = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert page == reference.pages()[name], "run `make docs`"


def test_every_field_of_openapi_json_has_its_row_and_no_other_has() -> None:
    pages = "\n".join(
        (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
        for name in ("requests.md", "answers.md")
    )
    document = json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))
    schemas = document["components"]["schemas"]
    described = {
        (reference.heading(name), field)
        for name, schema in schemas.items()
        for field in schema.get("properties", ())
    }
    rows = reference.fields(pages)
    assert described - rows == set()
    assert {(title, field) for title, field in rows - described if "/" not in title} == {
        ("Options of CSV", field) for title, field in rows if title == "Options of CSV"
    }


def test_every_field_of_a_request_and_every_statistic_is_described() -> None:
    assert reference.undescribed() == []
    assert [each for each in reference.undescribed(["answers.md"]) if each[0] == "Statistics"] == []


@pytest.mark.parametrize("page", ["answers.md", "requests.md"])
def test_every_field_of_the_reference_has_its_definition(page: str) -> None:
    text = (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")
    assert re.findall(r"^\| `[^`]+` \|.*\|\s*\|$", text, flags=re.MULTILINE) == []
