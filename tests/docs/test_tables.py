"""The tables of the pages name what the engine has."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import service.engine.diagnostics
from service.engine.operations import CALLABLE

ROOT = Path(__file__).parents[2]


def first_cells(page: str) -> set[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    cells = re.findall(r"^\| ((?:`\w+` ?)+)\|", text, flags=re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_the_functions_of_the_language() -> None:
    assert first_cells("formulas.md") == set(CALLABLE)


def test_the_codes_of_the_diagnostics() -> None:
    codes = set()
    for file in Path(service.engine.diagnostics.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Diagnostic":
                codes.add(ast.literal_eval(node.args[0]))
    assert first_cells("diagnostics.md") == codes
