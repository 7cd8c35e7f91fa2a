"""The noise of readings whose σ is an expression of the curve's value: at the mean of a sample,
which is the curve's value at the estimate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from service.engine.formula import formula_names
from service.engine.inference.inversion import Unknowns
from service.engine.inference.standard_curves import Readings
from service.fitting.noise_at import must_scale, sigma_at
from service.fitting.samples import Rows, Samples
from service.fitting.standard import Standard
from service.schemas.unknowns import InvertRequest


def rows_weighted(
    request: InvertRequest, standard: Standard, rows: Rows, solve: Callable[[Readings], Unknowns]
) -> Rows:
    """The readings with the weights of the curve's noise, which all readings of a sample share.
    Raises InvalidRequest."""
    assert standard.noise is not None
    assert standard.noise_values is not None
    if standard.sigma_scale is None:
        must_scale(None)
    samples = Samples.gathered(rows)
    known = dict(rows.others)
    name = standard.curves.solve_for
    if name in formula_names(standard.noise):
        every = np.arange(len(samples.first))
        found = solve(samples.readings(rows, np.zeros(len(standard.curves.theta)), every))
        known[name] = np.where(np.isnan(rows.nominal), found.estimate[samples.of], rows.nominal)
    sigma = sigma_at(
        standard.noise,
        standard.noise_names,
        standard.noise_values[rows.curve],
        samples.mean[samples.of],
        {each: column for each, column in request.data.items() if each not in known},
        known,
    )
    return replace(rows, weight=np.square(1.0 / sigma))
