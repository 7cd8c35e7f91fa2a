"""The client brings little, and so starts quickly."""

from __future__ import annotations

import ast
import subprocess
import sys

HEAVY = ("torch", "fastapi", "starlette", "matplotlib", "pyarrow", "pandas", "polars")
MODULES = 700


def run(code: str, *options: str) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout, done.stderr


def test_it_brings_nothing_heavy() -> None:
    ask = "; print([m for m in sys.modules if m.partition('.')[0] in {}])".format
    imported, _ = run("import sys, service.client" + ask({*HEAVY, "numpy", "httpx"}))
    made = "import sys; from service.client import Descent; Descent('localhost')"
    used, _ = run(made + ask({*HEAVY, "numpy"}))
    assert (ast.literal_eval(imported), ast.literal_eval(used)) == ([], [])


def test_it_starts_with_few_modules() -> None:
    """What a start costs, told without a clock: with so many it takes a quarter of a second."""
    made = "from service.client import Descent; Descent('localhost'); import tenacity"
    assert int(run(f"import sys; {made}; print(len(sys.modules))")[0]) < MODULES


def test_the_command_line_starts_without_them() -> None:
    ask = f"print([m for m in sys.modules if m.partition('.')[0] in {set(HEAVY)}])"
    code = f"import sys; from service.cli import main; {ask}"
    assert ast.literal_eval(run(code)[0]) == []
