"""Requests and replies as values, independent of how they are sent.


An exchange with the service is a generator that yields calls and is sent their replies. The
blocking and the asynchronous client run the same exchanges.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One request, which may be retried."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    held_s: float = 0.0
    """Seconds for which the service is asked to wait before it answers."""
    retried: bool = True
    """Whether it may be retried without an answer, or after one that asks to retry."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """The headers, by lower-case names."""
    body: bytes
    attempts: int = 1
    """The number of times the call was sent."""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


Exchange = Generator[Call, Reply, T]
