"""The number of epochs in a slice, after which a worker checks for messages."""

from __future__ import annotations

SLICE_S = 0.02
"""Target seconds of a slice: a cancel is noticed soon, and the overhead is negligible."""

_MOST = 16
"""The largest growth from one slice to the next, since epochs may differ in cost."""


class SliceSize:
    """Starts with `first` epochs, then adapts to `SLICE_S` by the duration of the last slice."""

    def __init__(self, first: int = 1) -> None:
        self._epochs = first

    def epochs(self, left: int) -> int:
        """Epochs of the next slice, at most `left`."""
        self._epochs = max(1, min(self._epochs, left))
        return self._epochs

    def took(self, seconds: float) -> None:
        """Adapts to the seconds that the last slice took."""
        factor = min(SLICE_S / seconds, _MOST) if seconds > 0 else _MOST
        self._epochs = max(1, int(self._epochs * factor))
