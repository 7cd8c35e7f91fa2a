"""Each compiled operator against the same in plain torch, for any formula, loss and groups of rows;
and that neither slices, threads, pieces nor the order of the groups change a bit.

Tolerances: plain torch is read again with every operation off by a few roundings, which says how
far rounding may lead; where these readings disagree on what is finite nothing is said.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from service import engine
from service.catalogue.optimizers.adagrad import Adagrad
from service.catalogue.optimizers.adam import Adam
from service.catalogue.optimizers.rmsprop import Rmsprop
from service.catalogue.optimizers.sgd import Sgd
from service.catalogue.options import NoOptions
from service.engine import Ends, GroupedResult, Rows, Task
from service.engine.fit_options import Tolerance
from service.engine.formula import Formula, read_formula
from service.engine.kernel import composite, fitting, operators, readings, rows, sharing
from service.engine.solvers.marquardt import Marquardt, State
from tests.engine.kernel.arrays import spans_of
from tests.engine.kernel.formulas import COLUMNS, FORMULAS, Case, assert_read, cases, grams, numbers

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


def rows_of(case: Case) -> list[tuple[Tensor, Tensor]]:
    """z (rows,) and ∂z/∂θ (q, rows) of each group by plain torch, in float64."""
    of, found = case.of, []
    for theta, (begin, end) in zip(case.theta, case.fits.spans.T.tolist(), strict=True):
        read = composite.read(of.program, of.inputs[:, begin:end], theta.unsqueeze(0))[:, 0]
        spread = 1.0 if of.sigma is None else of.sigma[begin:end].double()
        z = (read[0] - of.target[begin:end]).double() / spread
        found.append((z, read[1:].double() / spread))
    return found


def sizes_of(case: Case) -> Tensor:
    """Σ|∂z/∂θ| of each group, (groups, q), of which a sum over its rows is rounded."""
    return torch.stack([slopes.abs().sum(dim=-1) for _, slopes in rows_of(case)]).nan_to_num(
        nan=torch.inf
    )


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


@given(case=cases())
def test_losses_at_several_points(case: Case) -> None:
    """Of all rows, and the same bits as of one group alone."""
    of, (_, loss, delta, data) = case.of, case.arguments
    assert isinstance(of.formula, Formula)
    program, points, whole = of.formula.program(()).tensors, case.theta.double(), data[:3]
    found = operators.losses(program, loss, delta, whole, points)
    spans, width = torch.tensor([[0], [of.rows]]), torch.full((1,), rows.MEASURE).double()
    for point, mine in zip(points, found, strict=True):
        alone = (program, loss, delta, (*whole, spans), point.unsqueeze(0), width)
        sums = operators.linearise(*alone)[0]
        due = sums[:, int(of.loss.name in CORNERED)] / of.rows
        assert torch.equal(mine.nan_to_num(nan=-7.25), due[0].nan_to_num(nan=-7.25))

    def plain() -> Tensor:
        return readings.composite_losses(program, loss, delta, whole, points)

    assert_read(found, plain, ROUNDING[of.target.dtype])


@given(case=cases(dtypes=[torch.float64]))
def test_a_reduction(case: Case) -> None:
    r, sums, z = operators.reduce(*case.arguments, case.theta)

    def plain(part: int) -> Tensor:
        return composite.reduce(*(*case.arguments, case.theta))[part]

    rounding = ROUNDING[torch.float64]
    number = torch.isfinite(sums[:, 0])  # a slope of no number, or of an infinite one, is no slope
    assert_read(grams(r)[number], lambda: grams(plain(0))[number], rounding, 1.0)
    assert_read(sums, lambda: plain(1), rounding, spreads_of(case))
    in_groups = torch.zeros(len(z), dtype=torch.bool)
    for begin, end in case.fits.spans.T.tolist():
        in_groups[begin:end] = True
    if not (case.fits.spans[0, 1:] < case.fits.spans[1, :-1]).any():
        assert_read(z[in_groups], lambda: plain(2)[in_groups], rounding)


@given(case=cases(dtypes=[torch.float64]), absolute=st.booleans())
def test_an_assessment(case: Case, absolute: bool) -> None:
    """Read and summarised in one go as one after the other, to the last bit."""
    of, loss, spans = case.of, case.of.loss, case.fits.spans
    assume(not (spans[0, 1:] < spans[1, :-1]).any())
    options = [True, loss.is_least_squares, loss.is_smooth, absolute]
    table, z = operators.assess(*case.arguments, case.theta, of.limits, options)
    factors, sums, due_z = operators.reduce(*case.arguments, case.theta)
    free = of.free_index
    data = case.arguments[3]
    due = readings.conclude(factors, sums, due_z, data, case.theta, of.limits, free, options)
    assert torch.equal(table.nan_to_num(nan=-7.25), due.nan_to_num(nan=-7.25))
    for begin, end in spans.T.tolist():
        assert np.array_equal(z[begin:end], due_z[begin:end], equal_nan=True)


@DTYPES
@given(seed=SEEDS, fixed=st.booleans(), weighed=st.booleans())
def test_a_linear_step(dtype: torch.dtype, seed: int, fixed: bool, weighed: bool) -> None:
    """Of groups of which some have fewer rows than there are params."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 60, 7).tolist()
    rows = sum(sizes)
    formula = read_formula("y = a + b*x1 + c*x1**2", ("x1", "y"))
    program = formula.program([0, 2] if fixed else range(3)).tensors
    x = torch.from_numpy(rng.uniform(-2, 2, (1, rows))).to(dtype)
    y = torch.from_numpy(rng.normal(size=rows)).to(dtype)
    sigma = torch.from_numpy(rng.uniform(0.5, 2, rows)).to(dtype) if weighed else y[:0]
    data, start = (x, y, sigma, spans_of(sizes)), torch.ones((7, 3), dtype=torch.float64)
    table, r = operators.solve(program, data, start, 2)
    due, due_r = readings.composite_solve(program, data, start, 2)
    rounding = 1e-10 if dtype == torch.float64 else 1e-4
    assert torch.allclose(table, due, rtol=rounding, atol=rounding)
    slopes, due_slopes = (each[:, :-1, :-1] for each in (r, due_r))  # of z, rounding may be left
    assert torch.allclose(
        slopes.mT @ slopes, due_slopes.mT @ due_slopes, rtol=rounding, atol=rounding
    )


def spreads_of(case: Case) -> Tensor:
    """What the four sums of each group are rounded next to."""
    of, found = case.of, []
    for begin, end in case.fits.spans.T.tolist():
        y = of.target[begin:end]
        sigma = torch.ones_like(y) if of.sigma is None else of.sigma[begin:end]
        size, logs = (y / sigma).square().sum(), sigma.log().abs().sum()
        found.append(torch.stack([0 * size, 0 * size, size, logs]))
    return torch.stack(found)


@given(case=cases())
def test_a_gradient(case: Case) -> None:
    """Of float32 where a residual's powers are float32's: the kernel has the loss in float64."""
    losses, gradients = operators.gradient(*case.arguments, case.theta)

    def plain(part: int) -> Tensor:
        return composite.gradient(*(*case.arguments, case.theta))[part]

    rounding, loss, rows = ROUNDING[case.of.target.dtype], case.of.loss, rows_of(case)
    terms = [loss.slope(z) * slopes for z, slopes in rows]
    pulls = torch.stack([each.abs().sum(dim=-1) for each in terms]).nan_to_num(nan=torch.inf)
    told = torch.ones(len(losses), dtype=torch.bool)
    if case.of.target.dtype == torch.float32:
        told = torch.stack([z.abs().max() < 1e7 for z, _ in rows])
    assert_read(losses[told], lambda: plain(0)[told], rounding)
    told &= torch.isfinite(losses)
    assert_read(gradients[told], lambda: plain(1)[told], rounding, pulls[told])


@given(case=cases(), sample=st.sampled_from([7, 100, 10**6]))
def test_what_there_is_to_explain(case: Case, sample: int) -> None:
    """In float64 of the data as they are; of long groups in a part of their rows."""
    _, loss, delta, data = case.arguments
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readings, "SAMPLE", sample)
        found = operators.constant_losses(loss, delta, data)
    plain = composite.constant_losses(loss, delta, data, sample)
    torch.testing.assert_close(found, plain, rtol=1e-13, atol=1e-15)


# --- Levenberg-Marquardt --------------------------------------------------------------------------

PRECISE = Tolerance(params=1e-10)


def posed(case: Case, epochs: int = 60, **options: Any) -> Task:
    options.setdefault("tolerance", PRECISE)
    return case.task("levenberg_marquardt", NoOptions(), epochs, **options)


@contextmanager
def by_plain_torch(*, compiled_readings: bool) -> Iterator[None]:
    """While it is on, Levenberg-Marquardt is driven from outside the kernel, as on other devices:
    by plain torch's readings, or by compiled ones."""
    with pytest.MonkeyPatch.context() as patch:
        if compiled_readings:
            patch.setattr(composite, "linearise", operators.linearise)
            patch.setattr(
                composite, "constant_losses", lambda *given: operators.constant_losses(*given[:3])
            )
        patch.setattr(operators, "marquardt_slice", fitting.composite_marquardt)
        yield


def alike(one: Tensor, other: Tensor) -> bool:
    """Whether they have the same numbers, to the bit, and none at the same places."""
    return one.shape == other.shape and bool(((one == other) | (one.isnan() & other.isnan())).all())


def ended(task: Task) -> tuple[State, list[Rows]]:
    """The kernel's state when all is done, in one slice, and what is recorded."""
    solver = Marquardt(task)
    state, rows = solver.step(solver.init(), task.options.epochs)
    return state, list(rows.values())


@given(case=cases())
def test_the_machine_goes_the_same_way_by_readings_made_elsewhere(case: Case) -> None:
    """To the bit: the loop inside the kernel and the one around it are one algorithm."""
    whole, rows = ended(posed(case))
    with by_plain_torch(compiled_readings=True):
        driven, others = ended(posed(case))
    assert alike(whole.numbers, driven.numbers)
    assert torch.equal(whole.counts, driven.counts)
    assert all(alike(a.table, b.table) for a, b in zip(rows, others, strict=True))


CURVES = {
    "y = a*exp(-b*x) + c": (1.5, 0.9, 0.4),
    "y = a*exp(-(x - b)**2/(2*c**2))": (2.0, 1.4, 0.8),
    "y = a/(1 + exp(-b*(x - c)))": (2.0, 2.5, 1.6),
    "y = a*x/(b + x) + 0*z": (2.0, 0.7),
    "y = where(x < b, a*x, a*b + c*(x - b))": (1.5, 1.7, -0.6),
}


def noisy(case: Case, seed: int) -> Case:
    """The same formula and rows with a target that it describes, from a start near by."""
    rng, of = np.random.default_rng(seed), case.of
    x = torch.from_numpy(rng.uniform(0, 4, of.rows)).to(of.target)
    columns = {name: x if name == "x" else column for name, column in of.columns.items()}
    truth = torch.tensor(CURVES[of.formula.text], dtype=of.target.dtype)
    of = replace(of, columns=columns, lower=truth - 3, upper=truth + 3, initial=truth)
    exact = composite.read(of.program, of.inputs, truth.unsqueeze(0))[0, 0]
    noise = torch.from_numpy(0.05 * rng.standard_normal(of.rows)).to(exact)
    near = truth * torch.from_numpy(rng.uniform(0.9, 1.1, case.theta.shape)).to(truth)
    fits = replace(case.fits, initial=near)
    return Case(replace(of, target=exact + noise), fits, near)


curves = st.sampled_from(sorted(CURVES)).map(lambda text: read_formula(text, COLUMNS))


@given(
    case=cases(formulas=curves, dtypes=[torch.float64], groups=["one", "alike", "ragged"]),
    seed=SEEDS,
)
def test_a_fit_comes_to_the_end_of_plain_torchs(case: Case, seed: int) -> None:
    """To 1e-9 of the loss where both converge on as many params as the rows tell; a loss with a
    corner, which ends at a vertex by another way, to 1e-6."""
    case = noisy(case, seed)
    task = posed(case, 500)
    solver = Marquardt(task)
    ours = solver.ends(ended(task)[0])
    with by_plain_torch(compiled_readings=False):
        plain = solver.ends(ended(task)[0])
    assert torch.allclose(ours.first_loss, plain.first_loss, rtol=1e-12)
    told = case.fits.sizes > len(task.problem.free_params)
    told &= ours.converged & plain.converged
    near = 1e-9 if case.of.loss.is_smooth else 1e-6
    gap = (ours.loss - plain.loss).abs() / plain.loss
    assert (gap[told] <= near).all(), (ours.loss, plain.loss)


# --- slices, threads, pieces, order ---------------------------------------------------------------

DESCENTS: dict[str, Any] = {
    "sgd": Sgd(0.01, momentum=0.8),
    "adam": Adam(0.05, amsgrad=True),
    "rmsprop": Rmsprop(0.02, momentum=0.5, centered=True),
    "adagrad": Adagrad(0.1, lr_decay=0.05),
}
EPOCHS = 30
HOWS = ["levenberg_marquardt", *DESCENTS, "sgd in batches", "exact"]


def asked(case: Case, how: str) -> Task:
    """The fits of a case by that optimizer; of a tolerance some end sooner than others."""
    if how == "levenberg_marquardt":
        return posed(case, EPOCHS, record_every=3)
    if how == "exact":
        return case.task("exact", NoOptions(), 1)
    name, batch = how.split()[0], 7 if "batches" in how else None
    return case.task(
        name, DESCENTS[name], EPOCHS, tolerance=Tolerance(loss=1e-3), batch_size=batch, seed=3,
        record_every=3,
    )  # fmt: skip


Found = tuple[Ends, Sequence[Rows]]


def run(task: Task, slices: Sequence[int] = (EPOCHS,), *, pickled: bool = False) -> Found:
    """How the fits end that are stepped in slices of those sizes, over and over."""
    going, turn = engine.begin(task), 0
    while not going.done:
        going.step(slices[turn % len(slices)])
        turn += 1
        if pickled:
            going = engine.begin(task, pickle.loads(pickle.dumps(going.checkpoint())))
    found = going.result()
    assert isinstance(found, GroupedResult)
    assert found.history is not None
    return found.ends, found.history


def assert_same(one: Found, other: Found) -> None:
    """To the bit."""
    ends, others = one[0], other[0]
    for field in fields(Ends):
        mine, theirs = getattr(ends, field.name), getattr(others, field.name)
        if isinstance(mine, Tensor):
            assert alike(mine, theirs), field.name
        else:
            assert mine == theirs, field.name
    for mine, theirs in zip(one[1], other[1], strict=True):
        assert alike(mine.table, theirs.table)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """While it is on, any work is worth so many threads."""
    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sharing, "WORTH", 0)
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)


EACH_WAY = pytest.mark.parametrize("how", HOWS)
FEW = settings(max_examples=settings().max_examples // 3)
"""For each of the ways."""


@EACH_WAY
@FEW
@given(case=cases(losses=["mse", "huber", "mae"]))
def test_slices_and_checkpoints_change_no_bit(how: str, case: Case) -> None:
    task = asked(case, how)
    whole = run(task)
    assert_same(run(task, [1]), whole)
    assert_same(run(task, [7, 0, 1, 11], pickled=True), whole)


@EACH_WAY
@FEW
@given(case=cases(losses=["mse", "huber", "mae"]))
def test_threads_change_no_bit(how: str, case: Case) -> None:
    task = asked(case, how)
    with threads(1):
        one = run(task)
    with threads(2):
        assert_same(run(task), one)


@EACH_WAY
@FEW
@given(case=cases(losses=["mse", "huber", "mae"]), seed=SEEDS)
def test_groups_in_another_order_have_their_answers_in_that_order(
    how: str, case: Case, seed: int
) -> None:
    first, end = case.fits.spans
    # A row has one place in the order of its mini-batch, so groups that share it are no such task.
    assume("batches" not in how or not bool((first[1:] < end[:-1]).any()))
    task = asked(case, how)
    ends, history = run(task)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(case.fits)))
    moved = run(replace(task, groups=case.fits.at(order)))
    assert_same(moved, (ends.at(order), [history[i] for i in order.tolist()]))
