"""Which service a command talks to: the one that is named, or one of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from service.cli import exits

if TYPE_CHECKING:
    from service.client import Descent

RETRIES = 3
"""A person waits."""


@contextmanager
def descent(
    url: str | None, key: str | None, *, own: bool, timeout: float | None = None
) -> Iterator[Descent]:
    """A client of the service at `url`. Where none is named: of one that runs for this command
    alone (`own`), or of that on this machine's port 8000. Errors are told."""
    with exits.told(), ExitStack() as stack:
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
    from service.cli import embedded

    with ExitStack() as stack:
        with _starting():
            try:
                address = stack.enter_context(embedded.running())
            except embedded.CannotStart as error:
                exits.leave(exits.UNREACHABLE, "a service could not be started:", str(error))
        yield address


@contextmanager
def _starting() -> Iterator[None]:
    """Says on a terminal why one waits."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status("starting a service for this fit"):
        yield
