"""Hostile CSV is read, or refused, in time linear in its length: twice the body, about twice the
calls of Python functions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import pytest

from service.api.bodies import csv
from service.api.bodies.table import Bounds
from service.api.head import MediaType
from service.errors import DescentError

BOUNDS = Bounds(rows=10**6, columns=1000, nbytes=10**8)
MOST_CALLS = 3_000_000
"""Of Python functions, a few seconds at most; the sample that decides the layout has 64 KiB."""

BODIES: dict[str, Callable[[int], str]] = {
    "spaces within a line": lambda n: "1" + " " * n + "2\n" + "1 2\n" * 9,
    "ever longer lines": lambda n: "\n".join("a,1" * i for i in range(1, int(n**0.5))),
    "lines of alternating widths": lambda n: "a,1\na,1,b\n" * (n // 10),
    "no numbers": lambda n: "a,b\n" * (n // 4),
    "footers": lambda n: "x,y\n1,2\n" + "end\n" * (n // 4),
    "commas": lambda n: "," * n,
    "marks": lambda n: "x,y\n" + "--,OL\n" * (n // 6),
    "dates": lambda n: "t,y\n" + "1.2.2021,1\n" * (n // 11),
}


@pytest.mark.parametrize("name", BODIES)
def test_the_work_is_bounded(name: str) -> None:
    calls = 0

    def count(frame: FrameType, event: str, arg: object) -> None:
        nonlocal calls
        calls += event == "call"

    body = bytearray(BODIES[name](400_000).encode())
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        with suppress(DescentError):
            csv.read(body, MediaType("text/csv"), BOUNDS)
    finally:
        sys.setprofile(before)
    assert calls < MOST_CALLS
