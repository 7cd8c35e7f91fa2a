"""Values as bytes. Checkpoints of every optimizer are in tests/engine/test_running.py."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from service.fitting import ComparisonRun, packing, to_compared, to_comparison
from service.fitting.grouped_curves import Curves
from service.fitting.packing import OtherVersion, pack, unpack
from service.schemas.answers import Timings
from service.schemas.columns import Labels
from service.schemas.compare import CompareRequest


def test_scalars_and_containers():
    value: dict[str, object] = {
        "a": [1, 2.5, None, True],
        "b": ("x", float("inf"), {3: [], "4": ()}),
    }
    assert unpack(pack(value)) == value
    assert np.isnan(unpack(pack(float("nan"))))


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (4, 2, 3)])
@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.int64, torch.bool])
def test_tensors_keep_their_bits_and_their_strides(shape, kind):
    whole = torch.arange(24)[: int(np.prod(shape))].reshape(shape).to(kind)
    for tensor in (whole, whole.mT if whole.dim() > 1 else whole):
        found = unpack(pack(tensor))
        assert found.dtype == tensor.dtype
        assert torch.equal(found, tensor)
        assert found.stride() == tensor.stride() or tensor.numel() == 0


def test_columns_and_curves():
    labels = Labels.of(["a", None, "b", "a"])
    found = unpack(pack({"g": labels, "x": np.array([1.0, np.nan])}))
    assert found["g"].tolist() == labels.tolist()
    assert np.array_equal(found["x"], [1.0, np.nan], equal_nan=True)
    found["x"][0] = 3.0
    curves = Curves("a*x", None, "float64", ("g",), b'["a"]', ("a",), np.ones((1, 1)))
    again = unpack(pack(curves))
    assert (again.keys, again.names, again.theta.tolist()) == (b'["a"]', ("a",), [[1.0]])


@pytest.mark.parametrize("group_by", [None, "g"])
def test_a_comparison_goes_on_from_its_checkpoint_with_the_same_answer(group_by):
    x = np.arange(12.0)
    data = {"x": x % 6, "y": 1 + 2 * (x % 6) + np.sin(x), "g": x // 6}
    asked = CompareRequest.model_validate(
        {"models": ["a*x", "a*x + b", "a*x**2 + b"], "data": data, "group_by": group_by}
    )
    plan = to_comparison(asked)

    def answer(stored: bool) -> str:
        run = ComparisonRun(plan)
        while not run.done:
            before = run.epoch
            while run.epoch == before:
                run.step(10**6)
            if stored:
                run = ComparisonRun(plan, unpack(pack(run.checkpoint())))
        found = to_compared(plan, run.result(), job_id="", timings=Timings(queued_s=0, fit_s=0))
        return found.model_dump_json()

    assert answer(True) == answer(False)


def test_other_versions_and_classes_are_refused(monkeypatch):
    data = pack([1])
    monkeypatch.setattr(packing, "VERSION", "another")
    with pytest.raises(OtherVersion):
        unpack(data)
    monkeypatch.undo()
    with pytest.raises(TypeError, match="table of classes"):
        pack(object())


def test_names_in_the_bytes_are_only_looked_up():
    head = json.dumps([packing.VERSION, ["record", "os.system", ["true"]], []]).encode()
    with pytest.raises(KeyError):
        unpack(len(head).to_bytes(8, "little") + head)
    head = json.dumps([packing.VERSION, ["array", 0], [["|O", [1]]]]).encode()
    with pytest.raises(ValueError, match="objects"):
        unpack(len(head).to_bytes(8, "little") + head + bytes(64))
