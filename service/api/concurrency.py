"""Limits on what is held at the same time, in total and for each caller."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import QueueFull


class TooManyStreams(QueueFull):
    """No room for another event stream just now; try again later."""

    type = "too-many-streams"


class TooManyBytes(QueueFull):
    """No room for another large body just now; try again later."""

    type = "too-many-bytes"


class TooManyAnswers(QueueFull):
    """No room for another long answer just now; try again later."""

    type = "too-many-answers"


class TooManyPictures(QueueFull):
    """No room for another picture or long table just now; try again later."""

    type = "too-many-pictures"


class ConcurrencyLimit:
    """A count of what is held, by caller."""

    def __init__(
        self, most: int, share: int, full: type[QueueFull], retry_after_s: int, unit: str = ""
    ) -> None:
        self._most, self._share, self._full = most, share, full
        self._retry_after_s = retry_after_s
        self._unit = unit or full.type.removeprefix("too-many-")
        self._held: Counter[str] = Counter()
        self._total = 0

    def __len__(self) -> int:
        return self._total

    @contextmanager
    def hold(self, client: str, count: int = 1) -> Iterator[None]:
        """Holds so many places for as long as it lasts; raises where there are not so many."""
        if self._held[client] + count > self._share:
            raise self._full(
                f"This caller holds {self._held[client]:,} of the {self._share:,} "
                f"{self._unit} that one may; try again later.",
                retry_after_s=self._retry_after_s,
            )
        if self._total + count > self._most:
            raise self._full(retry_after_s=self._retry_after_s)
        self._held[client] += count
        self._total += count
        try:
            yield
        finally:
            self._held[client] -= count
            self._total -= count
            if not self._held[client]:
                del self._held[client]
