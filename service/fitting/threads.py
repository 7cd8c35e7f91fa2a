"""Number of threads of torch's computations in this process."""

from __future__ import annotations

import torch


def use_threads(count: int) -> None:
    """Sets the number of threads of torch.

    On few numbers, two threads wait for each other at each step; if another process occupies the
    core of one, for a whole time slice of 8 ms.
    """
    torch.set_num_threads(count)
