"""What goes to the service and what comes back, as values: who sends them is not said here.

A conversation with the service is a generator that yields calls and is sent their replies. The
client that blocks and the one that does not are two ways to drive the same conversations.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One request; it may be sent more than once."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    held_s: float = 0.0
    """Seconds for which the service was asked to hold its answer back."""
    retried: bool = True
    """Whether it may be sent again where no answer came, or one that says to come again."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """By lower-case names."""
    body: bytes
    attempts: int = 1
    """How many times the call was sent until this answer came."""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


Exchange = Generator[Call, Reply, T]
