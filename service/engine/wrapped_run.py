"""What runs have in common that step another run."""

from __future__ import annotations

from typing import Protocol


class Stepped(Protocol):
    """The progress of a run."""

    @property
    def stride(self) -> int: ...

    @property
    def left(self) -> int: ...

    @property
    def loss(self) -> float: ...

    @property
    def best_loss(self) -> float: ...


class WrappedRun:
    """A run whose progress is that of the run that it steps, `_run`."""

    _run: Stepped

    @property
    def stride(self) -> int:
        """Number of epochs that certainly takes little time, for the first step."""
        return self._run.stride

    @property
    def left(self) -> int:
        """The maximum number of remaining epochs."""
        return self._run.left

    @property
    def loss(self) -> float:
        """The loss of the last epoch, before its update."""
        return self._run.loss

    @property
    def best_loss(self) -> float:
        """The lowest loss so far."""
        return self._run.best_loss
