"""The devices on which the engine's tests run: the CPU, a pretended CUDA, and CUDA where it is.

A test that asks for `device` runs on each; what `put` is given there goes to it. No GPU is asked
for: where there is none the tests for one are not collected, and the summary says so (conftest).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Protocol, TypeVar

import pytest
import torch

from tests.engine.pretended import PretendedCuda

PRETENDED = "pretended cuda"
HAS_CUDA = torch.cuda.is_available()
OTHERS = [PRETENDED, *(["cuda"] if HAS_CUDA else [])]
DEVICES = ["cpu", *OTHERS]

_HERE: ContextVar[str] = ContextVar("device", default="cpu")


class Movable(Protocol):
    def to(self: T, device: str, /) -> T: ...  # type: ignore[misc]


T = TypeVar("T", bound=Movable)


@contextmanager
def on(name: str) -> Iterator[str]:
    """A device as the engine knows it, while it is there."""
    known = "cpu" if name == "cpu" else "cuda"
    token = _HERE.set(known)
    try:
        with PretendedCuda() if name == PRETENDED else nullcontext():
            yield known
    finally:
        _HERE.reset(token)


def put(what: T) -> T:
    """That problem, task or plan, where the test is."""
    device = _HERE.get()
    return what if device == "cpu" else what.to(device)


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    with on(request.param) as known:
        yield known
