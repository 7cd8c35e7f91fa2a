"""What of the arithmetic depends on the device.

A problem's columns say where it is fitted: every tensor that the engine makes is made like them.
Three things are on the CPU wherever the columns are: the rows of the history, the statistics and
diagnostics, which NumPy reckons from R factors, and the R factor that stands for the data of a
linear problem in gradient descent. The readers by NumPy are chosen for the CPU alone.
"""

from __future__ import annotations

import torch

TIMES = {"cpu": 1, "cuda": 32}
"""How many times what stays in a CPU's cache is worked on at once. A GPU wants enough to outweigh
the start of each operation, and room for it in its memory: 2²² entries of a batch are 34 MB a
column in float64. Not yet measured on a GPU."""


def at_once(device: torch.device) -> int:
    """That number."""
    return TIMES.get(device.type, 1)
