"""The grid search and its least squares."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from service.engine.models.grids import (
    MOST_ROWS,
    centres,
    log_frame,
    product,
    project,
    ratio_frame,
    search,
    span,
    span_frame,
    thinned,
)
from service.engine.models.oscillations import guess_sine


def _random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def test_projection_is_least_squares():
    columns, y = _random(5, 4, 20, 3), _random(5, 1, 20)
    scales = torch.tensor([1.0, 1e12, 1e-12], dtype=torch.float64)
    rss, coefficients = project((scales * columns).unbind(-1), y)
    expected = torch.linalg.lstsq(columns, y.expand(5, 4, 20).unsqueeze(-1)).solution.squeeze(-1)
    rest = y - (columns * expected.unsqueeze(2)).sum(dim=-1)
    torch.testing.assert_close(scales * coefficients, expected, rtol=1e-10, atol=0)
    torch.testing.assert_close(rss, rest.square().sum(dim=-1), rtol=1e-10, atol=0)


def test_a_column_that_depends_on_the_others_counts_nothing():
    column, y = _random(2, 9).unbind(0)
    rss, coefficients = project([column, 3 * column], y)
    torch.testing.assert_close(coefficients[0], (column @ y) / (column @ column))
    assert float(coefficients[1]) == 0
    assert float(rss) < float(y @ y)


def test_frames_forget_the_units():
    x, y = _random(2, 3, 10).abs().unbind(0)
    for frame in (span_frame, log_frame, ratio_frame):
        one, other = frame(x, y), frame(1e8 * x, 1e-5 * y)
        torch.testing.assert_close(other.v, one.v, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(other.y, one.y)


def test_a_frame_leads_back():
    x, y = _random(2, 3, 10).unbind(0)
    frame = span_frame(x, y)
    back = frame.low.unsqueeze(-1) + frame.width.unsqueeze(-1) * frame.v
    torch.testing.assert_close(back, x.sort(dim=-1).values)


def test_thinning_means_over_neighbours():
    rows = 3 * MOST_ROWS
    x = torch.arange(rows, dtype=torch.float64).unsqueeze(0)
    v, y = thinned(span_frame(x, 2 * x + 1))
    assert v.shape == (1, MOST_ROWS)
    torch.testing.assert_close(v[0, :2] * (rows - 1), torch.tensor([1.0, 4.0]).double())
    torch.testing.assert_close(y[0, :2] * (2 * rows - 1), torch.tensor([3.0, 9.0]).double())


def test_centres_are_a_width_apart_and_reach_no_farther_than_asked():
    grid = centres(span(-4.0, 0.0, 3), -0.5, 2.0, reach=2.0)
    for scale in (-4.0, -2.0, 0.0):
        mine = grid.at[:, 1] == scale
        places, steps = grid.at[mine, 0], grid.step[mine]
        assert float(places.diff().max()) <= math.exp(scale) + 1e-12
        torch.testing.assert_close(places.diff(), steps[1:, 0])
        assert float(places.min()) == max(-0.5, -2 * math.exp(scale))
        assert float(places.max()) == min(2.0, 1 + 2 * math.exp(scale))


def test_the_search_ends_between_the_places_of_its_grid():
    """The rate 1.377 lies between the places of a grid that is 0.25 apart."""
    v = torch.linspace(0, 1, 30, dtype=torch.float64).unsqueeze(0)
    y = torch.exp(-1.377 * v)
    found = search(lambda v, t: [torch.exp(-t * v)], v, y, product(span(0.0, 4.0, 17)))
    assert abs(float(found.at[0, 0]) - 1.377) < 0.25 / 2**8
    assert abs(float(found.coefficients[0, 0]) - 1) < 1e-3


def test_every_part_of_a_grid_is_refined():
    """A broad valley has the lowest places of the grid; a narrow one, between them, is deeper."""
    v = torch.linspace(0, 1, 30, dtype=torch.float64).unsqueeze(0)

    def basis(v: Tensor, t: Tensor) -> list[Tensor]:
        height = torch.minimum(0.3 + 0.01 * (t - 1).abs(), 4 * (t - 6.11).abs())
        return [v + height * (1 - v)]

    found = search(basis, v, v, product(span(0.0, 8.0, 33)))
    assert abs(float(found.at[0, 0]) - 6.11) < 0.25 / 2**8


def test_a_fast_sine_is_found_in_many_rows():
    """900 periods in 5,000 rows, unevenly placed."""
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(5000, generator=generator, dtype=torch.float64)
    y = 2 * torch.sin(2 * math.pi * 900.25 * x + 0.5) + 1 + 0.1 * _random(5000)
    a, f, phi, c = guess_sine(x.unsqueeze(0), y.unsqueeze(0))[0].tolist()
    assert abs(f - 900.25) < 0.05
    assert abs(a - 2) < 0.05
    assert abs(c - 1) < 0.05
    assert abs(phi - 0.5) < 0.2
