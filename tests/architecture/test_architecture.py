"""The rules of the source: length, docstrings, imports, and what is never called."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICE = ROOT / "service"
LONGEST = 350
KERNELS_CACHE = "service/engine/kernel/cache.py"
"""The engine's only file that looks at the disk: for the kernel's machine code."""
OWN_PICKLES = {"service/jobs/run_job.py", "service/jobs/frames.py", KERNELS_CACHE}
"""Where a pickle is read: the worker's own pipe and the checkpoints that come over it; and machine
code, as kept."""


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


TREES = {
    named(path): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(SERVICE.rglob("*.py"))
}
"""Every module of the service, parsed, by its path."""


def test_a_file_is_short() -> None:
    lengths = {path: len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in TREES}
    assert {path: length for path, length in lengths.items() if length > LONGEST} == {}


def public(tree: ast.AST, inside: str = "") -> Iterator[tuple[str, ast.AST]]:
    """The public classes and functions of a module; a protocol's methods may go without words."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("_"):
            continue
        yield f"{inside}{node.name}", node
        if isinstance(node, ast.ClassDef):
            yield from (
                (name, inner)
                for name, inner in public(node, f"{node.name}.")
                if isinstance(inner, ast.ClassDef)
            )


def test_what_is_public_has_a_docstring() -> None:
    mute = [path for path, tree in TREES.items() if tree.body and not ast.get_docstring(tree)]
    mute += [
        f"{path}: {name}"
        for path, tree in TREES.items()
        for name, node in public(tree)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and not ast.get_docstring(node)
    ]
    assert mute == []


FORBIDDEN = {"eval", "exec", "compile", "__import__", "lambdify", "sympify"}
READERS = {
    f"service/engine/{name}.py"
    for name in ("syntax", "formula", "tape", "operations", "derivatives")
}
"""What a caller's text goes through: no name in it may become an attribute."""
UNPICKLERS = {"load", "loads", "Unpickler"}


def called(node: ast.Call) -> tuple[str, str]:
    """The module (or nothing) and the name of what is called."""
    if isinstance(node.func, ast.Attribute):
        owner = node.func.value
        return (owner.id if isinstance(owner, ast.Name) else "?", node.func.attr)
    return ("", node.func.id if isinstance(node.func, ast.Name) else "?")


def test_no_text_is_run_and_no_foreign_pickle_is_read() -> None:
    for path, tree in TREES.items():
        calls = [called(node) for node in ast.walk(tree) if isinstance(node, ast.Call)]
        assert [name for owner, name in calls if not owner and name in FORBIDDEN] == [], path
        pickles = [
            name
            for owner, name in calls
            if owner in {"pickle", "torch", "dill"} and name in UNPICKLERS
        ]
        assert path in OWN_PICKLES or pickles == [], path
        assert path not in READERS or ("", "getattr") not in calls, path


IMPORTS = {
    "service/engine": {"pydantic", "pydantic_settings", "asyncio", "time", "datetime", "random"}
    | {"fastapi", "starlette", "os", "io", "pathlib", "socket", "subprocess", "pickle", "logging"},
    "service/schemas": {"torch", "fastapi", "starlette"},
    "service/errors.py": {"torch", "fastapi", "starlette", "pydantic", "numpy"},
    "service/fitting": {"fastapi", "starlette", "asyncio", "time"},
    "service/jobs": {"fastapi", "starlette"},
    "service/settings.py": {"torch", "fastapi"},
}
OTHERS = {
    "service/engine": {"schemas", "fitting", "jobs", "api", "app", "settings", "cli"},
    "service/schemas": {"engine", "fitting", "jobs", "api", "app", "settings", "cli"},
    "service/fitting": {"jobs", "api", "app", "cli"},
    "service/errors.py": {"engine", "schemas", "fitting", "jobs", "api", "app", "settings"},
}


def imported(tree: ast.AST) -> set[str]:
    """The modules that a module imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def test_imports_go_one_way() -> None:
    for path, tree in TREES.items():
        modules = imported(tree)
        tops = {module.partition(".")[0] for module in modules}
        packages = {m.split(".")[1] for m in modules if m.startswith("service.") and m.count(".")}
        for place, outside in IMPORTS.items():
            if path.startswith(place) and path != KERNELS_CACHE:
                assert tops & outside == set(), path
        for place, higher in OTHERS.items():
            if path.startswith(place):
                assert packages & higher == set(), path


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("service.engine", ["pydantic", "fastapi", "asyncio"]),
        ("service.schemas.fit", ["torch", "fastapi"]),
        ("service.errors", ["torch", "pydantic", "fastapi", "numpy"]),
        ("service.render.report", ["torch", "fastapi", "matplotlib", "pyarrow", "service.jobs"]),
        ("service.app", ["matplotlib", "pyarrow"]),
    ],
)
def test_what_a_package_imports(module: str, absent: list[str]) -> None:
    """Loaded in a fresh interpreter. torch itself brings asyncio, so that is looked for in ours."""
    code = f"import sys, {module}; print([m for m in {absent!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    found = set(ast.literal_eval(done.stdout))
    assert found <= ({"asyncio", "numpy"} if module == "service.engine" else set())


TOP = {
    *("service", "descent_client", "tests", "benchmarks", "docs", "pyproject.toml"),
    *("constraints.txt", "Dockerfile", "docker-compose.yml", "openapi.json", "Makefile"),
    *("README.md", "CHANGELOG.md", "LICENSE"),
}


def test_nothing_else_lies_at_the_top() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    if tracked.returncode:
        pytest.skip("not a git checkout")
    tops = {line.partition("/")[0] for line in tracked.stdout.splitlines()}
    assert {name for name in tops if not name.startswith(".")} <= TOP
