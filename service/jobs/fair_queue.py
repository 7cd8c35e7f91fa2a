"""A bounded fair queue: round-robin over keys, so that a flood by one does not starve another."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator, Sequence
from typing import Generic, TypeVar

SHARE = 8
"""A key may use at most this many times the places that are free. One key alone can use 8/9 of a
long queue, which leaves room for another. (Choudhury and Hahne's dynamic threshold, 1998.)"""

Item = TypeVar("Item", bound=Hashable)


class FairQueue(Generic[Item]):
    """Round-robin over keys, first in first out within one."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._size = 0
        self._queues: OrderedDict[str, deque[Item]] = OrderedDict()
        """The items by key, the next key to be served first; no key is empty."""

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Item]:
        for key in self._queues.values():
            yield from key

    def has_room(self, key: str, *, coming: int = 0) -> bool:
        """Whether the key may add one more, besides `coming` that were admitted already."""
        free = self._bound - self._size - coming
        return free > 0 and len(self._queues.get(key, ())) < SHARE * free

    def push(self, key: str, item: Item) -> None:
        """Appends it to its key's items; a new key is served last."""
        self._queues.setdefault(key, deque()).append(item)
        self._size += 1

    def pop(self) -> Item:
        """Removes and returns the next item. Raises IndexError where there is none."""
        if not self._queues:
            raise IndexError("the queue is empty")
        key, items = self._queues.popitem(last=False)
        item = items.popleft()
        if items:
            self._queues[key] = items
        self._size -= 1
        return item

    def remove(self, key: str, item: Item) -> None:
        """Removes it. Raises ValueError where it is not queued."""
        items = self._queues.get(key, deque())
        items.remove(item)
        self._size -= 1
        if not items:
            del self._queues[key]

    def positions(self, wanted: Sequence[tuple[str, Item]]) -> list[int | None]:
        """For each item, named with its key, the number of items served before it, if no more are
        added; None where it is not queued."""
        indices = {
            key: {item: index for index, item in enumerate(self._queues.get(key, ()))}
            for key in {key for key, _ in wanted}
        }
        rounds: dict[int, dict[str, int]] = {}
        found: list[int | None] = []
        for key, item in wanted:
            ahead = indices[key].get(item)
            if ahead is not None and ahead not in rounds:
                rounds[ahead] = self._round(ahead)
            found.append(None if ahead is None else rounds[ahead][key])
        return found

    def _round(self, ahead: int) -> dict[str, int]:
        """The positions of each key's item that has `ahead` others of its key before it."""
        position = sum(min(len(items), ahead) for items in self._queues.values())
        keys = (key for key, items in self._queues.items() if len(items) > ahead)
        return {key: at for at, key in enumerate(keys, position)}
