"""Processes as the kernel lists them: parents, children, and which have ended."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain
from pathlib import Path

from tests.soon import soon


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def children(pid: int) -> set[int]:
    """The direct child processes of one."""
    try:
        listed = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return set()
    return {int(child) for child in chain.from_iterable(text.split() for text in listed)}


def descendants(pid: int) -> set[int]:
    """All descendants of a process."""
    below = children(pid)
    return below.union(*map(descendants, below))


@contextmanager
def ending(pids: Iterable[int]) -> Iterator[Callable[[], bool]]:
    """A function that returns whether all those processes end within a short time."""
    with ExitStack() as stack:
        handles = []
        for pid in pids:
            with suppress(ProcessLookupError):  # it has ended
                handles.append(os.pidfd_open(pid))
                stack.callback(os.close, handles[-1])
        yield lambda: soon(lambda: ended(handles))


def ended(handles: list[int]) -> bool:
    """Whether all the processes of those pidfds have ended."""
    return len(select.select(handles, [], [], 0)[0]) == len(handles)
