"""What depends on the device.

A problem is fitted on the device of its columns, on which the engine creates all its tensors. Three
things are always on the CPU: the history; the statistics and diagnostics, which NumPy computes from
R factors; and the R factor that replaces the data of a linear problem in gradient descent.
"""

from __future__ import annotations

import torch

TIMES = {"cpu": 1, "cuda": 32}
"""Batch size by device, in units of what fits into a CPU's cache. On a GPU it must outweigh the
launch of each operation and fit into memory: 2²² entries of a batch are 34 MB per column in
float64. Not yet measured on a GPU."""


def at_once(device: torch.device) -> int:
    """The batch size of a device, in units of a CPU's."""
    return TIMES.get(device.type, 1)
