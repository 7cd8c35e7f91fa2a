"""The devices of this machine."""

from __future__ import annotations

import torch

OUT_OF_MEMORY: tuple[type[Exception], ...] = (MemoryError, torch.OutOfMemoryError)
"""What is raised where the memory of either is short."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory was short: where a processor's is, torch says it in words alone."""
    return isinstance(error, OUT_OF_MEMORY) or "can't allocate memory" in str(error)


class NoDevice(RuntimeError):
    """The settings name a device that this machine lacks."""


def has_cuda() -> bool:
    """Whether there is a GPU that torch can use.

    They are counted by the driver's management library: CUDA itself, once begun in a process, is
    lost to its forks, and the workers are forks.
    """
    return torch.cuda.device_count() > 0


def must_have(device: str) -> None:
    """Raises NoDevice where the settings ask for a GPU and there is none."""
    if device != "cuda" or has_cuda():
        return
    built = torch.version.cuda
    why = "torch finds none here" if built else "this torch is built without CUDA"
    raise NoDevice(
        f"DESCENT_DEVICE=cuda asks for a GPU, and {why}. Say cpu, the default, or auto, which "
        "takes a GPU where there is one."
    )
