"""The pretended device refuses what CUDA refuses; or what runs on it would prove nothing."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from service.catalogue.families import FAMILIES
from service.engine.kernel import operators
from service.engine.models import guess
from tests.devices import OTHERS, on
from tests.engine.builders import formula

HERE = torch.arange(6, dtype=torch.float64).reshape(2, 3)

REFUSED: dict[str, Callable[[Tensor], object]] = {
    "a sum": lambda there: there + HERE,
    "a sum the other way round": lambda there: HERE + there,
    "a column of the CPU with a number of the device": lambda there: HERE * there.sum(),
    "where": lambda there: torch.where(there > 1, there, HERE),
    "a product": lambda there: there.mT @ HERE,
    "a stack": lambda there: torch.stack([there, HERE]),
    "a stack of numbers": lambda there: torch.stack([there.sum(), HERE.sum()]),
    "a place to write": lambda there: torch.sub(there, 1.0, out=torch.empty_like(HERE)),
    "an index of the device": lambda there: HERE[there.long()[0, :1]],
    "numpy": lambda there: there.numpy(),
    "an array": lambda there: np.asarray(there),
    "an array among the arguments": lambda there: there + torch.from_numpy(np.ones((2, 3))),
    "a generator of the CPU": lambda there: torch.rand(
        2, generator=torch.Generator(), device=there.device
    ),
}


@pytest.mark.filterwarnings("ignore:__array__ implementation")
@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("device", OTHERS)
def test_what_mixes_devices_is_refused(device: str, name: str) -> None:
    with on(device) as known:
        there = HERE.to(known)
        with pytest.raises((RuntimeError, TypeError)):
            REFUSED[name](there)


KEPT: dict[str, Callable[[Tensor], Tensor]] = {
    "a view": lambda there: there[:, 1],
    "a line": lambda there: next(iter(there)),
    "a number beside it": lambda there: there + torch.tensor(1.0),
    "like it": torch.zeros_like,
    "new": lambda there: there.new_zeros(3),
    "made there": lambda there: torch.full((2,), 1.0, device=there.device),
    "another dtype": lambda there: there.float(),
    "a factor": lambda there: torch.linalg.qr(there).R,
    "a gradient": lambda there: torch.autograd.grad(
        (leaf := there.clone().requires_grad_()).square().sum(), leaf
    )[0],
    "a copy": copy.deepcopy,
    "a pickle": lambda there: pickle.loads(pickle.dumps(there)),
}


@pytest.mark.parametrize("name", KEPT)
@pytest.mark.parametrize("device", OTHERS)
def test_what_is_made_of_it_is_there_too(device: str, name: str) -> None:
    with on(device) as known:
        made = KEPT[name](HERE.to(known))
        assert made.device.type == known
        assert made.cpu().device.type == "cpu"
        assert made.cpu().numpy().tolist() == made.tolist()


@pytest.mark.parametrize("device", OTHERS)
def test_its_memory_is_its_own(device: str) -> None:
    with on(device) as known:
        there = HERE.to(known)
        back = there.cpu()
        there += 1
        assert HERE.equal(back)
        assert there.to(known) is there


@pytest.mark.parametrize("device", OTHERS)
def test_an_operator_of_the_kernel_is_read_where_its_data_are(device: str) -> None:
    """As 2·3 + 1; params are brought there, and what is reduced comes back."""
    line = formula("y = a*x + b", "xy")
    theta = torch.tensor([[2.0, 1.0]], dtype=torch.float64)
    columns = torch.full((1, 4), 3.0, dtype=torch.float64)
    with on(device) as known:
        found = operators.read(line.forward.tensors, columns.to(known), theta.to(known))
        assert found.device.type == known
        assert found.cpu().flatten().tolist() == [7.0] * 4
        brought = operators.read(line.forward.tensors, columns.to(known), theta.to("cpu"))
        assert brought.cpu().equal(found.cpu())
        widths, spans = torch.zeros(1, dtype=torch.float64), torch.tensor([[0], [4]])
        data = [each.to(known) for each in (columns, columns[0], columns[0, :0])]
        for each in operators.linearise(line.full.tensors, 0, 1.0, [*data, spans], theta, widths):
            assert each.device.type == "cpu"


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("device", OTHERS)
def test_a_family_guesses_where_the_data_are(device: str, name: str) -> None:
    """To 1e-6 of what it guesses on the CPU: the sums are the same, the search is discrete."""
    noise = torch.randn(2, 200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.linspace(0.1, 10, 200, dtype=torch.float64).expand(2, -1)
    y = torch.stack([2 * torch.exp(-0.5 * x[0]) + 1, 3 * torch.exp(-((x[0] - 4) ** 2)) + x[0]])
    y = y + 0.01 * noise
    due = guess(FAMILIES[name], x, y)
    with on(device) as known:
        found = guess(FAMILIES[name], x.to(known), y.to(known))
        assert found.device.type == known
        assert torch.allclose(found.cpu(), due, rtol=1e-6, atol=1e-9)
