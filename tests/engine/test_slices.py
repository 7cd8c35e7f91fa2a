"""Long data are read in slices, and nobody can tell."""

from __future__ import annotations

import pytest
import torch

from service.engine import slices
from service.engine.formula import Formula, read_formula
from service.engine.inference import bands
from service.engine.models.mlp import Network
from service.engine.problem import Model
from service.engine.tape import Builder

COLUMNS = frozenset({"x", "y"})


def formula(right: str) -> Formula:
    return read_formula(f"y = {right}", COLUMNS)


def network(*hidden: int) -> Network:
    builder = Builder()
    left = builder.tape([builder.column("y")])
    return Network(hidden, "tanh", ("x",), "y", ("y",), left)


def at(model: Model, rows: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = 5 * torch.rand(rows, generator=generator, dtype=torch.float64)
    return {"x": x}, torch.rand(model.size, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("right", ["a*x + b", "a*exp(-b*x) + tanh(c*x)", "a + b", "x"])
@pytest.mark.parametrize("rows", [1, slices.ROWS, slices.ROWS + 1, 3 * slices.ROWS - 7])
def test_a_formulas_predictions_are_the_same_to_the_bit(right: str, rows: int) -> None:
    model = formula(right)
    columns, theta = at(model, rows)
    whole = model.bind(columns, rows, theta).predict(theta)
    assert torch.equal(slices.predict(model, columns, rows, theta), whole)


def test_a_short_network_is_read_whole() -> None:
    model = network(40, 40)
    rows = slices.NUMBERS // sum(model.widths)
    columns, theta = at(model, rows)
    whole = model.bind(columns, rows, theta).predict(theta)
    assert torch.equal(slices.predict(model, columns, rows, theta), whole)


def test_a_long_network_never_has_all_its_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    model, read = network(40, 40), []
    bind = Network.bind
    rows = 100_000
    columns, theta = at(model, rows)
    whole = model.bind(columns, rows, theta).predict(theta)

    def counted(self: Network, columns: object, rows: int, like: torch.Tensor) -> object:
        read.append(rows)
        return bind(self, columns, rows, like)  # type: ignore[arg-type]

    monkeypatch.setattr(Network, "bind", counted)
    found = slices.predict(model, columns, rows, theta)
    assert sum(read) == rows
    assert max(read) * sum(model.widths) <= slices.NUMBERS
    assert torch.allclose(found, whole, rtol=1e-12, atol=1e-12)


def test_a_long_band_is_that_of_its_rows() -> None:
    model = formula("a*exp(-b*x) + c")
    rows = 2 * slices.ROWS + 5
    columns, theta = at(model, rows)

    def band(part: slice) -> bands.Band:
        own = {name: column[part] for name, column in columns.items()}
        return bands.band(
            model,
            own,
            theta,
            model.params,
            torch.eye(3, dtype=torch.float64),
            level=0.95,
            degrees_of_freedom=7.0,
            noise=None,
            rows=len(own["x"]),
        )

    whole, last = band(slice(None)), band(slice(rows - 300, None))
    assert torch.isfinite(whole.stderr).all()
    assert torch.allclose(whole.lower[-300:], last.lower, rtol=1e-12)
    assert torch.allclose(whole.stderr[-300:], last.stderr, rtol=1e-12)
