"""The devices on which the engine's tests run: the CPU, a pretended CUDA, and CUDA where it is.

A module that uses the fixture `device` runs on each; what `put` is given there goes to it. No GPU
is asked for: where there is none the tests for one are not collected, and the summary says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar, cast

import pytest
import torch

from tests.engine.pretended import PretendedCuda

PRETENDED = "pretended cuda"
HAS_CUDA = torch.cuda.is_available()
OTHERS = [PRETENDED, *(["cuda"] if HAS_CUDA else [])]
DEVICES = ["cpu", *OTHERS]

T = TypeVar("T", bound=Any)
_stack = ["cpu"]


@contextmanager
def on(name: str) -> Iterator[str]:
    """A device as the engine knows it, while it is there."""
    known = "cpu" if name == "cpu" else "cuda"
    _stack.append(known)
    try:
        with PretendedCuda() if name == PRETENDED else nullcontext():
            yield known
    finally:
        _stack.pop()


def put(what: T) -> T:
    """That tensor, problem, task or plan, where the test is."""
    return what if _stack[-1] == "cpu" else cast(T, what.to(_stack[-1]))


@pytest.fixture(params=DEVICES, scope="module")
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each device in turn."""
    with on(request.param) as known:
        yield known


def summary() -> str:
    """What the tests of the engine ran on."""
    if HAS_CUDA:
        return f"devices: {', '.join(OTHERS)} ({torch.cuda.get_device_name()})"
    return "devices: there is no CUDA here, so the engine was held to a pretended one"
