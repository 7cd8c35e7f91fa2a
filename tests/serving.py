"""The address of a service on a free port, and of a port on which nothing listens."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.resilience.servers import started


@contextmanager
def serving(**settings: object) -> Iterator[str]:
    """The address of the service, such as 127.0.0.1:54321; settings by name."""
    with started(**settings) as server:
        yield server.address


@contextmanager
def unused_address() -> Iterator[str]:
    """An address on which nothing listens, reserved so that nothing else can."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"
