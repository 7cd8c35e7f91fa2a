"""Intervals of unknowns by the replicates of the bootstrap of their standard curve.

For each replicate the curve is that of its θ*, and the mean of the readings gets the mean of as
many errors, drawn from the pool of the fit (normal ones for the kind `parametric`). The standard
error is the standard deviation of the unknowns, the interval their percentiles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from service.engine.inference.inversion import nearest
from service.engine.inference.standard_curves import Range, Readings, StandardCurves
from service.engine.kernel.types import Floats, Ints
from service.engine.resampling.figures import draw_figures
from service.engine.resampling.philox import READINGS, normal, uniforms
from service.errors import BudgetExceeded, InvalidRequest
from service.fitting.drawn import Drawn
from service.fitting.samples import Rows, Samples

EVALUATIONS = 30
"""Evaluations of a replicate's curve for a sample, about."""
AT_ONCE = 2**16
"""Samples × replicates that are solved together, about."""


@dataclass(frozen=True, eq=False)
class DrawnIntervals:
    """Of samples, (samples,); NaN where there are too few replicates."""

    stderr: Floats
    lower: Floats
    upper: Floats
    failed: Ints


def check_cost(drawn: Drawn, operations: int, samples: int, most: float) -> None:
    """Raises BudgetExceeded if the unknowns of all replicates take too long."""
    cost = float(len(drawn.theta)) * EVALUATIONS * samples * operations
    if cost > most:
        raise BudgetExceeded(
            f"the unknowns of {samples:,} samples by {len(drawn.theta):,} replicates would take "
            f"about {cost:.2g} operations, more than the {most:.2g} allowed; send fewer samples, "
            "or use the interval 'inversion'",
            pointer="/interval/kind",
        )


def drawn_intervals(
    drawn: Drawn, curves: StandardCurves, rows: Rows, samples: Samples, chosen: Ints,
    estimate: Floats, spread: Floats, searched: Range, level: float, *, of_mean: bool,
) -> DrawnIntervals:  # fmt: skip
    """The intervals of the samples `chosen`, whose unknowns by θ̂ are `estimate`, with
    standard errors of about `spread`."""
    count = len(chosen)
    which = np.flatnonzero(np.isfinite(drawn.theta).all(axis=1))
    places = [drawn.names.index(name) for name in curves.formula.params]
    solutions = np.full((len(drawn.theta), count), np.nan)
    noise = _no_noise if of_mean else _noise(drawn, rows, samples, chosen)
    first = samples.first[chosen]
    others = {name: column[first] for name, column in rows.others.items()}
    step = max(1, AT_ONCE // max(1, count))
    for start in range(0, len(which), step):
        some = which[start : start + step]
        one = replace(curves, theta=drawn.theta[some][:, places], free=(), covariance=None)
        mean = samples.mean[chosen] + noise(some)
        readings = Readings(
            np.broadcast_to(mean, (len(some), count)).reshape(-1),
            np.zeros(len(some) * count),
            np.repeat(np.arange(len(some)), count),
            {name: np.tile(column, len(some)) for name, column in others.items()},
        )
        around = np.tile(estimate, len(some)), np.tile(spread, len(some))
        solutions[some] = nearest(one, readings, *around, searched).reshape(len(some), count)
    figures = draw_figures(
        solutions[None], estimate[None], level, "percentile", np.zeros((1, count))
    )
    failed = len(solutions) - figures.used[0]
    return DrawnIntervals(figures.stderr[0], figures.lower[0], figures.upper[0], failed)


def _no_noise(replicates: Ints) -> Floats:
    return np.zeros((len(replicates), 1))


def _noise(drawn: Drawn, rows: Rows, samples: Samples, chosen: Ints) -> Callable[[Ints], Floats]:
    """The noise of the means of readings by replicate, (replicates, samples). Raises
    InvalidRequest."""
    if not np.isfinite(drawn.pool).all():
        raise InvalidRequest(
            "the noise of a reading is not that of the residuals, for it follows from the mean; "
            'use an interval of the "mean"',
            pointer="/interval",
        )
    order = np.argsort(samples.of, kind="stable")
    of = samples.of[order]
    kept = np.isin(of, chosen)
    order, of = order[kept], of[kept]
    place = np.full(len(samples.n), -1)
    place[chosen] = np.arange(len(chosen))
    of = place[of]
    # The mean is weighted by 1/σ², so an error e·σ counts as e/σ.
    weight = np.sqrt(rows.weight[order])
    by = np.argsort(of, kind="stable")
    of, weight = of[by], weight[by]
    sizes = np.bincount(of, minlength=len(chosen))
    total = samples.weight[chosen]

    def noise(replicates: Ints) -> Floats:
        many, count = len(replicates), len(chosen)
        numbers = uniforms(
            drawn.seed, READINGS, np.tile(np.arange(count), many), np.repeat(replicates, count),
            np.tile(sizes, many),
        )  # fmt: skip
        if drawn.kind == "parametric":
            errors = drawn.noise * normal(numbers)
        else:
            errors = drawn.pool[(numbers * len(drawn.pool)).astype(np.int64)]
        errors = errors.reshape(many, -1) * weight * drawn.sigma
        cell = np.repeat(np.arange(many), len(of)) * count + np.tile(of, many)
        sums = np.bincount(cell, errors.reshape(-1), many * count).reshape(many, count)
        found: Floats = sums / total
        return found

    return noise
