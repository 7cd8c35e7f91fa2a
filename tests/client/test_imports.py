"""The client imports little, and so starts quickly."""

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


def test_the_client_imports_no_heavy_package() -> None:
    ask = "; print([m for m in sys.modules if m.partition('.')[0] in {}])".format
    imported, _ = run("import sys, service.client" + ask({*HEAVY, "numpy", "httpx"}))
    made = "import sys; from service.client import Descent; Descent('localhost')"
    used, _ = run(made + ask({*HEAVY, "numpy"}))
    assert (ast.literal_eval(imported), ast.literal_eval(used)) == ([], [])


def test_the_client_imports_few_modules() -> None:
    """The cost of a start without a clock: this number of modules takes a quarter of a second."""
    made = "from service.client import Descent; Descent('localhost'); import tenacity"
    assert int(run(f"import sys; {made}; print(len(sys.modules))")[0]) < MODULES


def test_the_command_line_imports_no_heavy_package() -> None:
    ask = f"print([m for m in sys.modules if m.partition('.')[0] in {set(HEAVY)}])"
    code = f"import sys; from service.cli import main; {ask}"
    assert ast.literal_eval(run(code)[0]) == []
