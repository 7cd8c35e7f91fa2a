"""What `make install` says of builds of torch and of failures."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("install", ROOT / ".ci" / "install.py")
assert SPEC is not None
assert SPEC.loader is not None
install: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(install)


@pytest.mark.parametrize(
    ("wanted", "cuda"),
    [
        ([], False),
        (["numpy", "filelock>=3"], False),
        (["nvidia-cublas==13; sys_platform == 'linux' or sys_platform != 'linux'"], True),
        (["nvidia-cublas==13; sys_platform == 'nowhere'"], False),
        (["cuda-bindings>=13,<14"], True),
        (["nvidia-nvtx; extra == 'profiling'"], False),
    ],
)
def test_a_build_brings_cuda_if_it_depends_on_it_here(wanted: list[str], cuda: bool) -> None:
    assert install.needs_cuda({"install": [{"metadata": {"requires_dist": wanted}}]}) is cuda


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("OSError: [Errno 28] No space left on device", "disk"),
        ("NewConnectionError(... Temporary failure in name resolution)", "network"),
        ("ERROR: Could not find a version that satisfies torch (from versions: none)", "build"),
        ("ERROR: No matching distribution found for torch==2.13.0", "another Python"),
        ("error: command 'gcc' failed: No such file or directory", "compiler"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "certificate"),
    ],
)
def test_a_failure_is_told_in_a_line(output: str, told: str) -> None:
    found = install.reason(output)
    assert found is not None
    assert told in found


def test_of_a_failure_that_is_not_known_nothing_is_guessed() -> None:
    assert install.reason("ERROR: something else") is None


def test_too_little_disk_is_told_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1e9})
    monkeypatch.setattr(install.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(SystemExit, match=r"1\.0 GB left, and about 3 GB"):
        install.check_disk(3.0)
