"""A bounded queue in which lanes take turns, so that a flood in one does not starve another."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Generic, TypeVar

SHARE = 8
"""A lane may hold at most so many times the places that are free. A lane alone fills 8/9 of a long
queue and leaves room for another; the rule is Choudhury and Hahne's dynamic threshold (1998)."""

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Round-robin over lanes, first come first served within one."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._size = 0
        self._lanes: OrderedDict[str, deque[Item]] = OrderedDict()
        """Lanes that hold something, the next to be served first."""

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Item]:
        for lane in self._lanes.values():
            yield from lane

    def has_room(self, lane: str, *, coming: int = 0) -> bool:
        """Whether one more may join that lane, beside `coming` that were let in already."""
        free = self._bound - self._size - coming
        return free > 0 and len(self._lanes.get(lane, ())) < SHARE * free

    def push(self, lane: str, item: Item) -> None:
        """Adds it at the end of its lane; a new lane is served last."""
        self._lanes.setdefault(lane, deque()).append(item)
        self._size += 1

    def pop(self) -> Item:
        """The next; IndexError where there is none."""
        if not self._lanes:
            raise IndexError("the queue is empty")
        lane, items = self._lanes.popitem(last=False)
        item = items.popleft()
        if items:
            self._lanes[lane] = items
        self._size -= 1
        return item

    def remove(self, lane: str, item: Item) -> None:
        """Takes it out; ValueError where it is not there."""
        items = self._lanes.get(lane, deque())
        items.remove(item)
        self._size -= 1
        if not items:
            del self._lanes[lane]

    def position(self, lane: str, item: Item) -> int | None:
        """How many are served before it, if no more come; None where it is not there."""
        items = self._lanes.get(lane)
        if items is None or item not in items:
            return None
        ahead = items.index(item)
        total, passed = ahead, False
        for name, others in self._lanes.items():
            passed |= name == lane
            if name != lane:
                total += min(len(others), ahead + (not passed))
        return total
