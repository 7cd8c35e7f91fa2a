"""Machine code on disk: where it is kept, and what is done where it can't be."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding
import numpy as np
import pytest

from service.engine.kernel import cache
from service.engine.kernel.compiled import allocating, compiled


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Path, Path]:
    """Two of them, empty."""
    made = tmp_path / "first", tmp_path / "second"
    monkeypatch.setattr(cache, "FOLDERS", made)
    return made


def doubling() -> Callable[[Any], Any]:
    """A function of its own each time."""

    @allocating
    def double(x: Any) -> Any:
        return x * 2.0

    return double


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))


def misses(function: Callable[[Any], Any], argument: Any) -> list[str]:
    """What a call of it has to compile."""
    found: list[str] = []
    with cache.watched(found.append):
        assert (function(argument) == argument * 2).all()
    return found


def test_code_is_kept_and_found_again(folders: tuple[Path, Path]) -> None:
    name = "test_cache.doubling.<locals>.double"
    assert misses(doubling(), np.ones(3)) == [name]
    assert misses(doubling(), np.ones(3)) == []
    assert misses(doubling(), np.ones(3, dtype=np.float32)) == [name]
    assert [file.rpartition("-")[0] for file in files(folders[0])] == [name] * 2
    assert files(folders[1]) == []


def test_where_a_folder_cannot_be_written_the_next_is(folders: tuple[Path, Path]) -> None:
    folders[0].write_text("a file, in which nothing can be made")
    assert cache.writable() == folders[1]
    assert misses(doubling(), np.ones(3))
    assert len(files(folders[1])) == 1
    assert not misses(doubling(), np.ones(3))


def test_code_that_cannot_be_kept_is_used_all_the_same(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        folder.write_text("a file, in which nothing can be made")
    assert cache.writable() is None
    assert misses(doubling(), np.ones(3))
    assert misses(doubling(), np.ones(3))


def test_a_file_that_was_cut_short_is_made_anew(folders: tuple[Path, Path]) -> None:
    misses(doubling(), np.ones(3))
    (file,) = folders[0].iterdir()
    whole = file.read_bytes()
    for length in (0, 100, len(whole) // 2):
        file.write_bytes(whole[:length])
        assert misses(doubling(), np.ones(3))
        assert not misses(doubling(), np.ones(3))


def test_loaded_code_can_become_part_of_another_function(folders: tuple[Path, Path]) -> None:
    """Its bitcode is read for that."""

    @compiled
    def inner(x: float) -> float:
        return x + 1.0

    def outer() -> Callable[[Any], Any]:
        @compiled
        def twice(x: float) -> float:
            return inner(inner(x))

        return twice

    assert inner(1.0) == 2.0
    again = compiled(inner.py_func)  # type: ignore[attr-defined]
    assert again(1.0) == 2.0
    inner = again
    assert outer()(1.0) == 3.0


def test_a_function_that_could_not_be_made_is_made_later() -> None:
    made: list[bool] = []

    def make() -> None:
        made.append(True)
        if len(made) == 1:
            raise RuntimeError("not now")

    cache.absent["a function of this test"] = make
    with pytest.raises(RuntimeError, match="not now"):
        cache.need("a function of this test")
    cache.need("a function of this test")
    cache.need("a function of this test")
    assert len(made) == 2


WRITER = """
import sys
from pathlib import Path
import numpy as np
from service.engine.kernel import cache
cache.FOLDERS = (Path(sys.argv[1]),)
from service.engine.kernel.compiled import allocating

@allocating
def total(x):
    found = 0.0
    for i in range(len(x)):
        found += x[i]
    return found * x.itemsize

types = [np.float64, np.float32, np.int64]
sys.stdin.readline()
for kind in types if sys.argv[2] == "0" else reversed(types):
    x = np.arange(5, dtype=kind)
    assert total(x) == 10 * x.itemsize, (kind, total(x))
"""


@pytest.mark.thorough
def test_processes_that_compile_at_the_same_time_leave_sound_files(tmp_path: Path) -> None:
    """In opposite orders, so that each finds some of the other's; a third then finds all."""

    def process(order: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WRITER, str(tmp_path / "code"), order]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    both = [process("0"), process("1")]
    for each in both:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    assert [each.communicate()[1] for each in both] == ["", ""]
    kept = files(tmp_path / "code")
    assert len(kept) == 3
    assert all(name.endswith(".nbc") for name in kept)
    third = process("0")
    assert third.communicate("\n")[1] == ""
    assert files(tmp_path / "code") == kept


def test_the_folders_are_the_packages_or_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DESCENT_KERNEL_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/ada")
    beside, users = cache.folders()
    assert beside.parent == Path(cache.__file__).parent / "__pycache__"
    assert users == Path("/home/ada/.cache/descent") / beside.name
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/ada")
    assert cache.folders()[1] == Path("/var/cache/ada/descent") / beside.name
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache.folders() == (beside,)
    monkeypatch.setenv("DESCENT_KERNEL_CACHE", "/srv/code")
    assert cache.folders() == (Path("/srv/code") / beside.name,)


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> Any:
    """numba's, with a processor of its own."""
    for name in ("CPU_NAME", "CPU_FEATURES"):
        monkeypatch.setattr(cache._config, name, None)
    return cache._config


@pytest.mark.parametrize(
    ("machine", "lacks", "name"),
    [
        ("x86_64", (), "x86-64-v3"),
        ("AMD64", (), "x86-64-v3"),
        ("x86_64", ("fma",), "generic"),
        ("aarch64", (), "generic"),
    ],
)
def test_portable_code_is_for_most_processors_of_a_kind(
    monkeypatch: pytest.MonkeyPatch, config: Any, machine: str, lacks: tuple[str, ...], name: str
) -> None:
    has = {feature: feature not in lacks for feature in (*cache.X86_64_V3, "avx512f")}
    monkeypatch.setattr(llvmlite.binding, "get_host_cpu_features", lambda: has)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    cache.choose_processor("portable")
    assert name == config.CPU_NAME
    assert ("+fma" in config.CPU_FEATURES) == (name == "x86-64-v3")
    assert "avx512" not in config.CPU_FEATURES


def test_native_code_is_for_this_processor(config: Any) -> None:
    cache.choose_processor("native")
    assert (config.CPU_NAME, config.CPU_FEATURES) == (None, None)
    with pytest.raises(ValueError, match="'native' or 'portable', not 'fast'"):
        cache.choose_processor("fast")
