"""What is compiled beforehand is all that is ever called."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from service.engine.kernel import cache, marquardt, warm

KERNEL = Path(cache.__file__).parent
ROOT = Path(__file__).parents[3]


def test_nothing_is_compiled_for_a_fit() -> None:
    """Nor for predictions, losses, gradients and pictures: see `everything`."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.kernel.everything"],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [], "`warm` calls these for no such arguments"


def test_all_of_it_can_be_loaded_once_it_is_compiled() -> None:
    warm.call_all()
    assert warm.load()
    assert warm.call_all() == 0


def test_what_is_not_on_disk_is_not_compiled_by_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        context: Any = marquardt.fit
        cache.Cache(missing).load_overload("()", context.targetctx)

    monkeypatch.setattr(warm, "HALVES", (missing,))
    assert not warm.load()
    assert warm.call_all() == 1


def test_modules_that_compile_nothing_are_known_to_none_that_do() -> None:
    """Their changes leave the machine code as it is: its folder's name does not depend on them."""
    for source in KERNEL.glob("*.py"):
        imported = _imported(source)
        if source.stem in cache.CALLERS:
            assert "compiled" not in imported
        else:
            assert not imported & cache.CALLERS, source.name


def _imported(source: Path) -> set[str]:
    """The kernel's modules that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "service.engine.kernel":
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            package, _, name = node.module.rpartition(".")
            found.update({name} if package == "service.engine.kernel" else set())
    return found
