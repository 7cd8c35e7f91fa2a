"""What each owner holds of a store that all share, and whose finished job goes to make room.

The owner who holds the most gives first, so that nobody can push out the jobs of another before
their own. Where nobody says who they are there is one owner, and the oldest job goes.
"""

from __future__ import annotations

from collections import OrderedDict


class _Share:
    """What one owner holds."""

    __slots__ = ("finished", "jobs", "nbytes")

    def __init__(self) -> None:
        self.jobs = self.nbytes = 0
        self.finished: OrderedDict[str, None] = OrderedDict()
        """In the order in which they finished."""

    def oldest(self, spare: str | None) -> str | None:
        """The finished job that goes first, were it not for `spare`."""
        return next((job_id for job_id in self.finished if job_id != spare), None)


class Shares:
    """Jobs and bytes by owner."""

    def __init__(self, max_jobs: int, max_nbytes: int) -> None:
        self._max_jobs, self._max_nbytes = max_jobs, max_nbytes
        self._shares: dict[str, _Share] = {}

    def add(self, owner: str, nbytes: int) -> None:
        """The owner has one more job."""
        share = self._shares.get(owner)
        if share is None:
            share = self._shares[owner] = _Share()
        share.jobs += 1
        share.nbytes += nbytes

    def grow(self, owner: str, nbytes: int) -> None:
        """One of the owner's jobs holds so much more."""
        self._shares[owner].nbytes += nbytes

    def finish(self, owner: str, job_id: str) -> None:
        """The job may go from now on."""
        self._shares[owner].finished[job_id] = None

    def remove(self, owner: str, job_id: str, nbytes: int) -> None:
        """The job has gone."""
        share = self._shares[owner]
        share.finished.pop(job_id, None)
        share.jobs -= 1
        share.nbytes -= nbytes
        if not share.jobs:
            del self._shares[owner]

    def victim(self, asker: str, spare: str | None = None) -> str | None:
        """The finished job that goes to make room for one of `asker`'s: the oldest of whoever
        holds the most. Who holds less than `asker` is left alone; None where nobody else is left.
        """
        own = self._weight(self._shares[asker]) if asker in self._shares else 0.0
        most, found = -1.0, None
        for owner, share in self._shares.items():
            weight = self._weight(share)
            if weight > most and (owner == asker or weight >= own):
                oldest = share.oldest(spare)
                if oldest is not None:
                    most, found = weight, oldest
        return found

    def _weight(self, share: _Share) -> float:
        """The part of the store that is held, by whichever bound is nearer."""
        return max(share.jobs / self._max_jobs, share.nbytes / self._max_nbytes)
