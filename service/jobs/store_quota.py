"""What each owner holds of a store that all share, and whose finished jobs go to make room.

The owner who holds the most gives first, so that nobody can push out the jobs of another before
their own. Where nobody says who they are there is one owner, and the oldest job goes.

What is unfinished cannot go. So that one owner's jobs that wait do not take the room of all others,
they may hold an even share of it: the store's bytes by the owners who have such jobs and one more,
who may come.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from heapq import heapify, heappop, heappush


class _Owned:
    """What one owner holds."""

    __slots__ = ("finished", "finished_nbytes", "jobs", "nbytes")

    def __init__(self) -> None:
        self.jobs = self.nbytes = self.finished_nbytes = 0
        self.finished: OrderedDict[str, int] = OrderedDict()
        """Bytes of each, in the order in which they finished."""

    @property
    def unfinished(self) -> int:
        return self.jobs - len(self.finished)


class StoreQuota:
    """Jobs and bytes by owner."""

    def __init__(self, max_jobs: int, max_nbytes: int) -> None:
        self._max_jobs, self._max_nbytes = max_jobs, max_nbytes
        self._shares: dict[str, _Owned] = {}
        self._busy = 0
        """Owners with unfinished jobs."""
        self.finished_nbytes = 0
        """Of all owners: what may go."""

    def add(self, owner: str, nbytes: int) -> None:
        """The owner has one more job."""
        share = self._shares.get(owner)
        if share is None:
            share = self._shares[owner] = _Owned()
        self._busy += not share.unfinished
        share.jobs += 1
        share.nbytes += nbytes

    def grow(self, owner: str, nbytes: int) -> None:
        """One of the owner's unfinished jobs holds so much more."""
        self._shares[owner].nbytes += nbytes

    def finish(self, owner: str, job_id: str, nbytes: int) -> None:
        """The job, which holds so much, may go from now on."""
        share = self._shares[owner]
        share.finished[job_id] = nbytes
        share.finished_nbytes += nbytes
        self.finished_nbytes += nbytes
        self._busy -= not share.unfinished

    def remove(self, owner: str, job_id: str) -> None:
        """The finished job has gone."""
        share = self._shares[owner]
        nbytes = share.finished.pop(job_id)
        share.finished_nbytes -= nbytes
        self.finished_nbytes -= nbytes
        share.jobs -= 1
        share.nbytes -= nbytes
        if not share.jobs:
            del self._shares[owner]

    def uneven(self, owner: str, nbytes: int) -> bool:
        """Whether the owner's unfinished jobs would hold more than an even share with one more of
        so many bytes. The first one is let in however large it is, and so is everything where
        nobody says who they are."""
        share = self._shares.get(owner)
        if not owner or share is None or not share.unfinished:
            return False
        held = share.nbytes - share.finished_nbytes
        return (held + nbytes) * (self._busy + 1) > self._max_nbytes

    def victims(self, asker: str, spare: str | None = None) -> Iterator[tuple[str, int]]:
        """The finished jobs that go to make room for one of `asker`'s, and their bytes, in turn:
        each the oldest of whoever holds the most by then. Who holds less than `asker` is left
        alone. Nothing is taken away here, and nothing may be meanwhile."""
        own = self._weight(asker, 0, 0)
        givers = []
        for order, (owner, share) in enumerate(self._shares.items()):
            left = (item for item in share.finished.items() if item[0] != spare)
            givers.append((-self._weight(owner, 0, 0), order, owner, 0, 0, left))
        heapify(givers)
        while givers:
            weight, order, owner, jobs, nbytes, left = heappop(givers)
            if -weight < own:
                return
            job = next(left, None)
            if job is None:
                continue
            yield job
            jobs, nbytes = jobs + 1, nbytes + job[1]
            weight = self._weight(owner, jobs, nbytes)
            own = weight if owner == asker else own
            heappush(givers, (-weight, order, owner, jobs, nbytes, left))

    def _weight(self, owner: str, jobs: int, nbytes: int) -> float:
        """The part of the store that is held, by whichever bound is nearer, when so much has
        gone."""
        share = self._shares.get(owner)
        if share is None:
            return 0.0
        return max((share.jobs - jobs) / self._max_jobs, (share.nbytes - nbytes) / self._max_nbytes)
