"""Where the kernel's machine code is kept on disk, and for which processor it is made.

numba has a cache of its own, which does not suit a service: it is not read where it cannot be
written (a read-only root); its index of a function's files, once two processes have written it at
the same time, can name code of another signature; and to load takes four times as long and twice
the memory, since what only a later compilation would need is read as well. Here each signature of a
function is one file, named by a digest of the signature and the processor, written whole and put in
place by a rename.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import llvmlite.binding
import numba
from numba.core.caching import _Cache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import compile_result
from numba.core.runtime.nrt import rtsys
from numba.core.serialize import dumps

_config: Any = numba.config
_SOURCES = Path(__file__).parent
CALLERS = {"__init__", "composite", "operators", "readings", "fitting", "sharing", "warm"}
"""Modules that compile nothing, and of which the others know nothing."""

X86_64_V3 = (
    *("avx", "avx2", "bmi", "bmi2", "cx16", "f16c", "fma", "lzcnt", "movbe", "popcnt", "sahf"),
    *("sse3", "sse4.1", "sse4.2", "ssse3", "xsave"),
)
"""What x86-64-v3 has beyond x86-64: Intel's processors since Haswell (2013), AMD's since 2015."""


def choose_processor(wanted: str) -> None:
    """Has numba compile for this very processor ("native"), or for most of its kind ("portable"):
    x86-64-v3, or LLVM's "generic" where this one has less or is no x86-64."""
    if wanted == "portable":
        has = llvmlite.binding.get_host_cpu_features()
        x86_64 = platform.machine().lower() in {"x86_64", "amd64"}
        features = X86_64_V3 if x86_64 and all(has.get(name) for name in X86_64_V3) else ()
        _config.CPU_NAME = "x86-64-v3" if features else "generic"
        _config.CPU_FEATURES = ",".join(f"+{name}" for name in features)
    elif wanted != "native":
        raise ValueError(f"DESCENT_KERNEL_CPU is 'native' or 'portable', not '{wanted}'")


def folders() -> tuple[Path, ...]:
    """Where code is looked for, in this order, and kept in the first that can be written: where
    DESCENT_KERNEL_CACHE says; without it beside the sources, or in the user's own cache. Each state
    of the sources has its own, since a function's code holds that of the functions it calls."""
    digest = hashlib.sha256(f"{numba.__version__} {sys.implementation.cache_tag}".encode())
    for source in sorted(_SOURCES.glob("*.py")):
        if source.stem not in CALLERS:
            digest.update(source.read_bytes())
    name = f"kernel-{digest.hexdigest()[:16]}" + ("-checked" if _config.BOUNDSCHECK else "")
    if given := os.environ.get("DESCENT_KERNEL_CACHE"):
        return (Path(given) / name,)
    beside = _SOURCES / "__pycache__" / name
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return (beside, Path(home, "descent", name)) if os.path.isabs(home) else (beside,)


choose_processor(os.environ.get("DESCENT_KERNEL_CPU") or "native")
FOLDERS = folders()


def writable() -> Path | None:
    """The folder that code would be kept in; None where there is none."""
    for folder in FOLDERS:
        with suppress(OSError):
            _write(folder / "probe", b"")
            (folder / "probe").unlink(missing_ok=True)
            return folder
    return None


_watching: list[Callable[[str], None]] = []


@contextmanager
def watched(missed: Callable[[str], None]) -> Iterator[None]:
    """Has `missed` called with the name of each function whose code is not on disk, before it is
    compiled; what it raises, the call of that function raises."""
    _watching.append(missed)
    try:
        yield
    finally:
        _watching.remove(missed)


absent: dict[str, Callable[[], None]] = {}
"""Functions that others call by a name alone: what makes them, by that name, until it is done."""


def need(name: str) -> None:
    """Makes a function that is called by that name, if there is one that is not there yet."""
    if make := absent.pop(name, None):
        try:
            make()
        except BaseException:
            absent[name] = make
            raise


class Cache(_Cache):
    """The machine code of one function, as numba's dispatchers ask for it and keep it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        module = function.__module__.rpartition(".")[2]
        self._name = f"{module}.{function.__qualname__}"

    @property
    def cache_path(self) -> str:
        return str(FOLDERS[0])

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The code for a signature; None where there is none."""
        for path in self._paths(sig, target_context.codegen()):
            # A file that is cut short or not to be read is no reason to fail: what it should hold
            # is compiled again.
            with suppress(Exception):
                return _loaded(path, target_context)
        for missed in _watching:
            missed(self._name)
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keeps the code for a signature, if any folder can be written."""
        code = dumps(tuple(_Kept.of(data)))
        for path in self._paths(sig, data.codegen):
            with suppress(OSError):
                return _write(path, code)

    def _paths(self, sig: Any, codegen: Any) -> Iterator[Path]:
        key = f"{sig} {codegen.magic_tuple()}"
        name = f"{self._name}-{hashlib.sha256(key.encode()).hexdigest()[:20]}.nbc"
        return (folder / name for folder in FOLDERS)

    def enable(self) -> None:
        """Nothing: it is always on."""

    disable = flush = enable


class _Kept(NamedTuple):
    """What a file holds: numba's `CompileResult` without what is not needed to call it."""

    name: str
    object_code: bytes
    symbols: tuple[str, ...]
    """What the code defines,"""
    needed: tuple[str, ...]
    """and what it calls by name."""
    described: tuple[Any, ...]
    """The function's descriptor, environment, signature, initialisers and the environments of the
    functions it calls."""
    bitcode: bytes
    """The code for compiling others that call it."""

    @classmethod
    def of(cls, result: Any) -> _Kept:
        library, fndesc, environment, signature, *_, initialisers, environments = result._reduce()
        name, _, (object_code, bitcode) = library
        linked, final = result.library._get_module_for_linking(), result.library._final_module
        known = (*linked.functions, *linked.global_variables)
        symbols = tuple(each.name for each in known if not each.is_declaration)
        needed = tuple(each.name for each in final.functions if each.is_declaration)
        described = fndesc, environment, signature, initialisers, environments
        return cls(name, object_code, symbols, needed, described, bitcode)

    @classmethod
    def read(cls, path: Path) -> _Kept:
        return cls(*pickle.loads(path.read_bytes()))


class _Library(JITCodeLibrary):
    """Machine code from a file. Its bitcode, which takes more time and memory than the code, is
    read when another function is compiled that calls it."""

    def __init__(self, codegen: Any, kept: _Kept, path: Path) -> None:
        super().__init__(codegen, kept.name)
        self._path = path
        self.enable_object_caching()
        self._set_compiled_object(kept.object_code)
        self._finalize_final_module()
        codegen._engine._defined_symbols.update(kept.symbols)

    def _get_module_for_linking(self) -> Any:
        return llvmlite.binding.parse_bitcode(_Kept.read(self._path).bitcode)


def _loaded(path: Path, context: Any) -> Any:
    """As numba's `CompileResult._rebuild` does it, but with its runtime alone: all that it knows of
    Python is loaded when something is compiled."""
    kept = _Kept.read(path)
    fndesc, environment, signature, initialisers, environments = kept.described
    rtsys.initialize(context)
    for name in kept.needed:
        need(name)
    for initialise in initialisers:
        initialise()
    library = _Library(context.codegen(), kept, path)
    result = compile_result(
        target_context=context,
        typing_context=context.typing_context,
        library=library,
        environment=environment,
        entry_point=context.get_executable(library, fndesc, environment),
        fndesc=fndesc,
        signature=signature,
        objectmode=False,
        lifted=(),
        typing_error=None,
        reload_init=initialisers,
        referenced_envs=environments,
    )
    for each in environments:
        library.codegen.set_env(each.env_name, each)
    return result


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_name(f"{path.name}.{uuid4().hex}.tmp")
    try:
        whole.write_bytes(content)
        whole.replace(path)
    except BaseException:
        whole.unlink(missing_ok=True)
        raise
