"""Gpufit's problem on each device that there is."""

from __future__ import annotations

import pytest
import torch

from benchmarks import pixels
from tests.devices import OTHERS, on


@pytest.mark.parametrize("device", OTHERS)
def test_gpufits_problem_runs_on_each_device(device: str) -> None:
    """To 1e-3 of each param, which is less than the noise of the pixels makes of it: float32."""
    task = pixels.to_task(*pixels.made(500))
    due = pixels.fitted(task, "cpu")
    with on(device) as known:
        found = pixels.fitted(task, known)
    assert found.device.type == "cpu"
    assert torch.allclose(found, due, rtol=1e-3, atol=1e-3)
    assert float(due[:, 0].median()) == pytest.approx(500, rel=0.02)
