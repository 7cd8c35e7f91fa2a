"""What an answer costs, and which of them may be reckoned where others wait."""

from __future__ import annotations

from typing import Any

import pytest

from service.fitting import is_little
from service.fitting.costs import of_gradient
from service.fitting.models import resolve
from service.schemas.compute import GradientRequest, LossRequest, PredictRequest

Request = PredictRequest | LossRequest | GradientRequest
KINDS: dict[str, type[Request]] = {
    "predict": PredictRequest,
    "loss": LossRequest,
    "gradient": GradientRequest,
}
MLP = {"name": "mlp", "hidden": [40, 40]}
LINE = "y = a * x"


def asked(kind: str, model: object, rows: int, **more: Any) -> Request:
    column = [0.5] * rows
    body = {"model": model, "params": {"a": 1.0}, "data": {"x": column, "y": column}, **more}
    return KINDS[kind].model_validate(body)


@pytest.mark.parametrize("kind", KINDS)
def test_a_formula_of_some_thousand_rows_is_little(kind: str) -> None:
    assert is_little(asked(kind, LINE, 9900))


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_of_as_many_is_not(kind: str) -> None:
    assert not is_little(asked(kind, MLP, 9900))


@pytest.mark.parametrize("more", [{"gradient": "numeric"}, {"check": True}])
def test_a_gradient_by_differences_is_work_by_its_params(more: dict[str, Any]) -> None:
    """A row is enough, since the model is read some thousand times."""
    assert is_little(asked("gradient", LINE, 1, **more))
    assert not is_little(asked("gradient", MLP, 1, **more))


def test_what_will_be_refused_is_little() -> None:
    assert is_little(asked("gradient", "y = a *", 9900))


def test_each_method_is_counted_as_often_as_it_reads() -> None:
    model = resolve(LINE, {"x", "y"}).formula
    plain = asked("gradient", LINE, 1)
    numeric, checked = (
        asked("gradient", LINE, 1, gradient="numeric"),
        asked("gradient", LINE, 1, check=True),
    )
    found = []
    for each in (plain, numeric, checked):
        assert isinstance(each, GradientRequest)
        found.append(of_gradient(model, each).evaluations)
    assert found == [1, 3, 1 + (1 + 1 + 3)]
