"""The client imports little, and so starts quickly."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.resilience.servers import Server

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


LIGHT = {
    "annotated_types",
    "httpx",
    "numpy",
    "pydantic",
    "rich",
    "tenacity",
    "typer",
    "typing_extensions",
}
"""What the distribution without extras depends on."""


def test_without_extras_it_depends_on_what_it_imports_alone() -> None:
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    wanted = tomllib.loads(pyproject.read_text())["project"]["dependencies"]
    assert {name.partition(">")[0].replace("-", "_") for name in wanted} == LIGHT


SERVER = {*HEAVY, "numba", "uvicorn", "pydantic_settings", "werkzeug", "prometheus_client"}
"""What only the extra `server` brings."""


def hidden() -> str:
    """Code after which these packages are as if they were not installed."""
    return f"import sys; sys.modules.update(dict.fromkeys({sorted(SERVER)!r}))"


def test_it_fits_with_what_it_depends_on_alone(server: Server) -> None:
    """A fit, its report and a prediction, by the name to import it by."""
    code = f"""
{hidden()}
from descent_client import Descent
client = Descent({server.address!r})
fit = client.fit("y = a * x", {{"x": [1, 2, 3], "y": [2.1, 3.9, 6.0]}})
print(round(fit.params["a"], 3), "Params" in str(fit), len(fit.predict({{"x": [4.0]}})))
"""
    assert run(code)[0].split() == ["1.993", "True", "1"]


def test_the_command_line_of_the_client_alone_says_what_is_missing() -> None:
    code = f"{hidden()}; from service.cli import main; main(['serve'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "only the client is installed" in done.stderr
