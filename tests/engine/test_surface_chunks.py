"""A grid of losses of a wide model is reckoned a few points at a time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from service.engine.objectives.objective import Objective
from service.fitting import to_plan
from service.schemas.fit import FitRequest


def test_no_chunk_holds_more_numbers_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    request = {
        "model": {"name": "mlp", "hidden": [20, 20]},
        "data": {"x": [0.0, 0.5, 1.0, 1.5], "y": [0.0, 0.4, 0.9, 1.0]},
        "optimizer": "adam",
    }
    objective = Objective(to_plan(FitRequest.model_validate(request)).task.problem)
    points = torch.linspace(-1, 1, 600, dtype=torch.float64).reshape(300, 2)
    at_once = objective.losses(points, [0, 1])
    asked: list[int] = []
    predict = Objective.predict

    def watched(self: Objective, theta: Tensor) -> Tensor:
        asked.append(theta.numel())
        return predict(self, theta)

    monkeypatch.setattr(Objective, "predict", watched)
    a_few = objective.losses(points, [0, 1], chunk=20_000)
    assert max(asked) <= 20_000
    assert sum(asked) == 300 * len(objective.problem.params)
    torch.testing.assert_close(a_few, at_once, rtol=1e-12, atol=0)
