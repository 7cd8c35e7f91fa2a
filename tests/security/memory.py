"""The most memory that a server had while something was done to it, as the kernel counted it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.resilience.servers import Server


@contextmanager
def watched(server: Server) -> Iterator[Callable[[], int]]:
    """Asks by how many bytes the server's memory stood above that of the beginning, at most. It is
    the kernel's high-water mark, so that no peak is too short to be seen."""
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")  # the mark is now what there is
    before = _kib(server, "VmRSS")
    yield lambda: 1024 * (_kib(server, "VmHWM") - before)


def _kib(server: Server, name: str) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split(f"{name}:")[1].split()[0])
