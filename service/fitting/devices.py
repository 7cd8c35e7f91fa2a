"""The devices of this machine."""

from __future__ import annotations

import torch

OUT_OF_MEMORY: tuple[type[Exception], ...] = (MemoryError, torch.OutOfMemoryError)
"""Exceptions for a lack of memory, of the CPU or the GPU."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error is due to a lack of memory; for the CPU, torch only has a message."""
    return isinstance(error, OUT_OF_MEMORY) or "can't allocate memory" in str(error)


class NoDevice(RuntimeError):
    """The settings name a device that this machine lacks."""


def has_cuda() -> bool:
    """Whether there is a GPU that torch can use.

    The count comes from the driver's management library (NVML), since the workers are forks, and
    CUDA cannot be used in forks of a process that has initialized it.
    """
    return torch.cuda.device_count() > 0


def must_have(device: str) -> None:
    """Raises NoDevice if the settings require a GPU and there is none."""
    if device != "cuda" or has_cuda():
        return
    built = torch.version.cuda
    why = "torch finds none" if built else "this build of torch has no CUDA"
    raise NoDevice(
        f"DESCENT_DEVICE=cuda requires a GPU, but {why}. Use cpu, the default, or auto, which "
        "uses a GPU if there is one."
    )
