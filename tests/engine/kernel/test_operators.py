"""Each compiled operator against the same in plain torch, for any formula, loss and groups of rows;
and that neither slices, threads, pieces nor the order of the groups change a bit.

Tolerances: plain torch is read again with every operation off by a few roundings, which says how
far rounding may lead; where these readings disagree on what is finite nothing is said.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from service.engine.formula import Formula
from service.engine.kernel import composite, operators
from tests.engine.kernel.formulas import FORMULAS, Case, assert_read, cases, grams, numbers

ROUNDING = {torch.float64: 4e-15, torch.float32: 2e-6}
"""What each operation is shaken by."""
DTYPES = pytest.mark.parametrize("dtype", ROUNDING, ids=str)
SEEDS = st.integers(0, 2**32 - 1)
CORNERED = ("mae", "quantile")


@DTYPES
@given(formula=FORMULAS, seed=SEEDS)
def test_a_reading(dtype: torch.dtype, formula: Formula, seed: int) -> None:

    rng = np.random.default_rng(seed)
    columns = numbers(rng, len(formula.inputs), 9).to(dtype)
    theta = numbers(rng, 5, len(formula.params)).to(dtype)
    program = formula.full.tensors
    found = operators.read(program, columns, theta)
    assert_read(found, lambda: composite.read(program, columns, theta), ROUNDING[dtype])


def sizes_of(case: Case) -> Tensor:
    """Σ|∂z/∂θ| of each group, (groups, q), of which a sum over its rows is rounded."""
    of, found = case.of, []
    for theta, (begin, end) in zip(case.theta, case.fits.spans.T.tolist(), strict=True):
        slopes = composite.read(of.program, of.inputs[:, begin:end], theta.unsqueeze(0))[1:, 0]
        spread = 1.0 if of.sigma is None else of.sigma[begin:end]
        found.append((slopes / spread).abs().sum(dim=-1).double())
    return torch.stack(found).nan_to_num(nan=torch.inf)


@given(case=cases(), width=st.sampled_from([1e-6, 0.1, 3.0]))
def test_a_linearisation(case: Case, width: float) -> None:
    rounding = ROUNDING[case.of.target.dtype]
    theta, widths = case.theta.double(), torch.full((len(case.fits),), width).double()
    sums, r, slopes = operators.linearise(*case.arguments, theta, widths)

    def plain(part: int) -> Tensor:
        return composite.linearise(*(*case.arguments, theta, widths))[part]

    told = 3 if case.of.loss.name in CORNERED else 1
    assert_read(sums[:, :told], lambda: plain(0)[:, :told], rounding)
    assert_read(grams(r), lambda: grams(plain(1)), rounding, 1.0)
    if case.of.loss.name in CORNERED:
        number = ~sums[:, 1].isnan()  # of no number torch says that its sign is 0
        size = sizes_of(case)[number]
        assert_read(slopes[number], lambda: plain(2)[number], rounding, size)


@given(case=cases(dtypes=[torch.float64]))
def test_a_reduction(case: Case) -> None:
    r, sums, z = operators.reduce(*case.arguments, case.theta)

    def plain(part: int) -> Tensor:
        return composite.reduce(*(*case.arguments, case.theta))[part]

    rounding = ROUNDING[torch.float64]
    number = torch.isfinite(sums[:, 0])  # a slope of no number, or of an infinite one, is no slope
    assert_read(grams(r)[number], lambda: grams(plain(0))[number], rounding, 1.0)
    assert_read(sums, lambda: plain(1), rounding)
    in_groups = torch.zeros(len(z), dtype=torch.bool)
    for begin, end in case.fits.spans.T.tolist():
        in_groups[begin:end] = True
    if not (case.fits.spans[0, 1:] < case.fits.spans[1, :-1]).any():
        assert_read(z[in_groups], lambda: plain(2)[in_groups], rounding)


@given(case=cases())
def test_a_gradient(case: Case) -> None:
    losses, gradients = operators.gradient(*case.arguments, case.theta)

    def plain(part: int) -> Tensor:
        return composite.gradient(*(*case.arguments, case.theta))[part]

    rounding = ROUNDING[case.of.target.dtype]
    assert_read(losses, lambda: plain(0), rounding)
    number = ~losses.isnan()
    assert_read(gradients[number], lambda: plain(1)[number], rounding, pulls_of(case)[number])


def pulls_of(case: Case) -> Tensor:
    """Σ|ψ(z)/n·∂z/∂θ| of each group, (groups, q)."""
    of, found = case.of, []
    for theta, (begin, end) in zip(case.theta, case.fits.spans.T.tolist(), strict=True):
        read = composite.read(of.program, of.inputs[:, begin:end], theta.unsqueeze(0))[:, 0]
        spread = torch.ones(end - begin) if of.sigma is None else of.sigma[begin:end]
        z = ((read[0] - of.target[begin:end]) / spread).double()
        terms = of.loss.slope(z) * read[1:] / spread
        found.append(terms.abs().sum(dim=-1).double())
    return torch.stack(found).nan_to_num(nan=torch.inf)


@given(case=cases(), sample=st.sampled_from([7, 100, 10**6]))
def test_what_there_is_to_explain(case: Case, sample: int) -> None:
    """In float64 of the data as they are; of long groups in a part of their rows."""
    _, loss, delta, data = case.arguments
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operators, "SAMPLE", sample)
        found = operators.constant_losses(loss, delta, data)
    plain = composite.constant_losses(loss, delta, data, sample)
    torch.testing.assert_close(found, plain, rtol=1e-13, atol=1e-15)
