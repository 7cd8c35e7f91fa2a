"""The service that a command uses: the one at --url, or a temporary one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from service.cli import exits

if TYPE_CHECKING:
    from service.client import Descent

RETRIES = 3
"""Few, since a person waits."""


@contextmanager
def descent(
    url: str | None, key: str | None, *, own: bool, timeout: float | None = None
) -> Iterator[Descent]:
    """A client of the service at `url`; by default of a temporary one (`own`), or of port 8000 on
    this machine. Errors end the command with a message and an exit code."""
    with exits.reported(), ExitStack() as stack:
        if url is None and own:
            url = stack.enter_context(_own())
        yield stack.enter_context(_client(url, key, timeout))


def _client(url: str | None, key: str | None, timeout: float | None) -> Descent:
    from service.client import Descent

    try:
        return Descent(url, timeout=timeout, retries=RETRIES, api_key=key)
    except ValueError as error:
        exits.usage(str(error))


@contextmanager
def _own() -> Iterator[str]:
    exits.need_the_service()
    from service.client import embedded

    with ExitStack() as stack:
        with _starting():
            try:
                address = stack.enter_context(embedded.running())
            except embedded.CannotStart as error:
                exits.leave(exits.UNREACHABLE, "a service could not be started:", str(error))
        yield address


@contextmanager
def _starting() -> Iterator[None]:
    """Shows a status on a terminal while the service starts."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status("starting a service for this fit"):
        yield
