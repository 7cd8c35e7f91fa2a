"""Random formulas over every operation of the language, and how far their rounding may lead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from service.catalogue.losses import LOSSES
from service.engine import Groups, Options, Problem, Task
from service.engine.fit_options import Settings
from service.engine.formula import Formula, read_formula
from service.engine.kernel import composite
from service.engine.kernel.losses import NAMES
from service.engine.losses import Loss
from service.engine.operations import CALLABLE, COMPARISONS
from service.errors import InvalidFormula
from tests.engine.kernel.arrays import spans_of

COLUMNS = frozenset({"x", "z", "y"})
PARAMS = ("a", "b", "c", "d")
LEAVES = (*"xz" * 2, *PARAMS, "0", "1", "2", "-0.5", "3", "0.5", "pi", "-1")

_CALLS = [
    (name, operation.arity) for name, operation in sorted(CALLABLE.items()) if name != "where"
]
_SIGNS = ["+", "-", "*", "/", "**"]
DEPTH = 4


@st.composite
def _texts(draw: st.DrawFn, depth: int = DEPTH) -> str:
    """A formula's text, by any operation on smaller ones."""
    kind = (
        draw(st.sampled_from(["leaf", "call", "sign", "square", "minus", "where"])) if depth else ""
    )

    def part() -> str:
        return draw(_texts(depth - 1))

    match kind:
        case "call":
            name, arity = draw(st.sampled_from(_CALLS))
            return f"{name}({', '.join(part() for _ in range(arity))})"
        case "sign":
            return f"({part()}) {draw(st.sampled_from(_SIGNS))} ({part()})"
        case "square":
            return f"({part()})**2"
        case "minus":
            return f"-({part()})"
        case "where":
            condition = f"{part()} {draw(st.sampled_from(sorted(COMPARISONS)))} {part()}"
            return f"where({condition}, {part()}, {part()})"
        case _:
            return str(draw(st.sampled_from(LEAVES)))


def _read(text: str) -> Formula | None:
    """The formula, where it is one: a constant part may be no finite number."""
    try:
        return read_formula(f"y = {text}", COLUMNS)
    except InvalidFormula:
        return None


FORMULAS: st.SearchStrategy[Any] = _texts().map(_read).filter(lambda formula: formula is not None)

NASTY = np.array([0.0, -0.0, 1.0, -1.0, 2.0, 0.5, 1e-9, -1e8, 1e20, 1e155, -1e155, 1e300, 1e-300])


def numbers(rng: np.random.Generator, *shape: int, nasty: float = 0.1) -> Tensor:
    """Numbers of an ordinary size, some of which are at the edges of what functions take."""
    plain = rng.normal(size=shape) * rng.choice([0.3, 1.0, 3.0])
    edges = rng.choice(NASTY, shape)
    return torch.from_numpy(np.where(rng.random(shape) < nasty, edges, plain))


_SPECIAL = {"gamma": 1.0, "lgamma": 1.0, "digamma": 1.0, "trigamma": 1e6}
"""Functions that two libraries have to fewer digits: what they are given is shaken too. torch's
trigamma has nine digits."""


@contextmanager
def shaken(seed: int, size: float) -> Iterator[None]:
    """While it is on, plain torch rounds every operation of a program anew, and worse: each result
    is off by up to `size` of it."""
    generator = torch.Generator().manual_seed(seed)

    def noise(like: Tensor) -> Tensor:
        return size * (2 * torch.rand(like.shape, generator=generator, dtype=like.dtype) - 1)

    def off(value: Tensor) -> Tensor:
        return value if value.dtype == torch.bool else value * (1 + noise(value))

    def wrapped(operation: Any) -> Any:
        evaluate: Callable[..., Tensor] = operation.evaluate_safe

        def shake(*arguments: Tensor) -> Tensor:
            more = _SPECIAL.get(operation.name)
            if more is None:
                return off(evaluate(*arguments))
            (x,) = arguments
            found = evaluate(off(x))
            return found + more * noise(found) * (found.abs() + 1)

        return SimpleNamespace(name=operation.name, arity=operation.arity, evaluate_safe=shake)

    with pytest.MonkeyPatch.context() as patch:
        table = {code: wrapped(operation) for code, operation in composite._TABLE.items()}
        patch.setattr(composite, "_TABLE", table)
        yield


def reach(read: Callable[[], Tensor], size: float, times: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """What plain torch reads; how far its rounding leads; and where all readings are of one kind:
    finite, or the same infinity, or no number."""
    plain = read().double()
    clear = torch.ones_like(plain, dtype=torch.bool)
    apart = torch.zeros_like(plain)
    for seed in range(times):
        with shaken(seed, size):
            other = read().double()
        same = (plain == other) | (plain.isnan() & other.isnan())
        clear &= same | (torch.isfinite(plain) & torch.isfinite(other))
        apart = torch.maximum(apart, torch.where(same, 0.0, (plain - other).abs()))
    return plain, apart, clear


def assert_read(
    found: Tensor, read: Callable[[], Tensor], size: float, scale: Tensor | float = 0.0
) -> None:
    """What is found is what plain torch reads, to some times what its rounding makes of it and a
    few roundings of `scale`."""
    plain, apart, clear = reach(read, size)
    found = found.double()
    same = (found == plain) | (found.isnan() & plain.isnan())
    near = (found - plain).abs() <= 20 * apart + 20 * size * (plain.abs() + scale)
    wrong = clear & ~same & ~near
    if wrong.any():
        at = wrong.nonzero()[0].tolist()
        told = tuple(float(each[tuple(at)]) for each in (found, plain, apart))
        raise AssertionError(f"{at}: {told[0]!r} where plain torch has {told[1]!r} ± {told[2]!r}")


@dataclass(frozen=True, eq=False)
class Case:
    """A problem of a random formula on random rows, in groups, and params to read it at."""

    of: Problem
    fits: Groups
    theta: Tensor
    """(groups, params)"""

    def __repr__(self) -> str:
        of, sizes = self.of, self.fits.spans.T.tolist()
        weighed = "weighed" if of.sigma is not None else "alike"
        free = [name for name, is_free in zip(of.params, of.free, strict=True) if is_free]
        return (
            f"Case({of.formula.text} by {of.loss.name}({of.loss.delta}), {weighed}, "
            f"{of.target.dtype}, {free} free, of {sizes} at {self.theta.tolist()})"
        )

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What the operators take before θ."""
        of = self.of
        return of.program, of.loss_number, of.loss.delta, of.data(self.fits.spans)

    def task(self, name: str, settings: Settings, epochs: int, **options: Any) -> Task:
        """The fits from those params."""
        options.setdefault("record_every", 1)
        return Task(self.of, Options(name, settings, epochs, **options), self.fits)


def _spans(rng: np.random.Generator, kind: str) -> Tensor:
    """Where groups lie, of that kind."""
    if kind == "shared":
        first = rng.integers(0, 30, 5)
        return torch.from_numpy(np.stack([first, first + rng.integers(1, 90, 5)]))
    sizes = {
        "one row": [1],
        "one": [int(rng.integers(2, 40))],
        "long": [int(rng.integers(577, 1300))],
        "alike": [int(rng.integers(2, 20))] * 6,
        "ragged": rng.choice([1, 2, 5, 20, 63, 64, 65, 130, 600], 6).tolist(),
    }[kind]
    return spans_of(sizes)


GROUPS = ("one row", "one", "long", "alike", "ragged", "shared")


@st.composite
def cases(
    draw: st.DrawFn,
    *,
    formulas: st.SearchStrategy[Formula] = FORMULAS,
    dtypes: Sequence[torch.dtype] = (torch.float64, torch.float32),
    losses: Sequence[str] = NAMES,
    groups: Sequence[str] = GROUPS,
    nasty: float = 0.1,
) -> Case:
    """Any formula on any rows by any loss."""
    formula, loss = draw(formulas), LOSSES[draw(st.sampled_from(losses))]
    dtype, kind = draw(st.sampled_from(dtypes)), draw(st.sampled_from(groups))
    weighed, delta = draw(st.booleans()), draw(st.sampled_from([0.05, 0.3, 0.8, loss.default]))
    fixed = draw(st.sets(st.sampled_from(PARAMS), max_size=2))
    bounded = draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    spans, params = _spans(rng, kind), len(formula.params)
    rows = int(spans.max())
    most = torch.finfo(dtype).max
    columns = numbers(rng, len(formula.inputs), rows, nasty=nasty).clamp(-most, most).to(dtype)
    theta = numbers(rng, spans.shape[1], params, nasty=nasty / 3).clamp(-most, most).to(dtype)
    lower = torch.full((params,), -torch.inf, dtype=dtype)
    upper = -lower
    if bounded:
        lower = theta.min(dim=0).values - torch.from_numpy(rng.exponential(size=params)).to(dtype)
        upper = theta.max(dim=0).values + torch.from_numpy(rng.exponential(size=params)).to(dtype)
    of = Problem(
        formula=formula,
        columns=dict(zip(formula.inputs, columns, strict=True)),
        target=numbers(rng, rows, nasty=0.0).to(dtype),
        initial=theta[0],
        lower=lower,
        upper=upper,
        free=tuple(name not in fixed for name in formula.params),
        loss=Loss(loss, delta),
        sigma=torch.from_numpy(rng.uniform(0.3, 3.0, rows)).to(dtype) if weighed else None,
    )
    return Case(of, Groups(spans, theta, history=True), theta)


def grams(r: Tensor) -> Tensor:
    """Of R factors (groups, q + 1, q + 1) what is unique: the lengths of the columns, and the
    cosines between them; no number where one of R is not finite."""
    lengths = torch.linalg.vector_norm(r / _peak(r), dim=-2, keepdim=True)
    unit = r / _peak(r) / torch.where(lengths > 0, lengths, 1.0)
    found = torch.cat([lengths * _peak(r), unit.mT @ unit], dim=-2)
    return torch.where(torch.isfinite(r).all(-1).all(-1)[:, None, None], found, torch.nan)


def _peak(r: Tensor) -> Tensor:
    peak = r.abs().amax(dim=-2, keepdim=True)
    return torch.where(peak > 0, peak, 1.0)
