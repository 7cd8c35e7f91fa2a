"""How many threads the arithmetic takes in this process."""

from __future__ import annotations

import torch


def use_threads(count: int) -> None:
    """Has torch take that many.

    Two threads that work on few numbers wait for each other at each step, and where another process
    has one's core, for its whole time slice: 8 ms.
    """
    torch.set_num_threads(count)
