"""How many epochs to do before looking up again."""

from __future__ import annotations

SLICE_S = 0.02
"""Seconds that a slice should take: soon enough to hear a cancel, long enough to cost nothing."""

_MOST = 16
"""A slice grows by no more than this from one to the next: epochs may be of unequal cost."""


class SliceSize:
    """Starts with so many epochs, then aims at `SLICE_S` by what the last slice took."""

    def __init__(self, first: int = 1) -> None:
        self._epochs = first

    def epochs(self, left: int) -> int:
        """Epochs of the next slice, of those that are left."""
        self._epochs = max(1, min(self._epochs, left))
        return self._epochs

    def took(self, seconds: float) -> None:
        """Learns from the slice just done."""
        factor = min(SLICE_S / seconds, _MOST) if seconds > 0 else _MOST
        self._epochs = max(1, int(self._epochs * factor))
