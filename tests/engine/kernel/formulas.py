"""Random formulas over every operation of the language, and how far their rounding may lead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from service.engine.formula import Formula, read_formula
from service.engine.kernel import composite
from service.engine.operations import CALLABLE, COMPARISONS
from service.errors import InvalidFormula

COLUMNS = frozenset({"x", "z", "y"})
PARAMS = ("a", "b", "c", "d")
LEAVES = (*"xz" * 2, *PARAMS, "0", "1", "2", "-0.5", "3", "0.5", "pi", "-1")

_CALLS = [(name, operation.arity) for name, operation in sorted(CALLABLE.items()) if name != "where"]
_SIGNS = ["+", "-", "*", "/", "**"]
DEPTH = 4


@st.composite
def _texts(draw: st.DrawFn, depth: int = DEPTH) -> str:
    """A formula's text, by any operation on smaller ones."""
    kind = draw(st.sampled_from(["leaf", "call", "sign", "square", "minus", "where"])) if depth else ""

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
            return draw(st.sampled_from(LEAVES))


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


_SPECIAL = frozenset({"gamma", "lgamma", "digamma", "trigamma"})
"""Functions that two libraries have to fewer digits: what they are given is shaken too."""


@contextmanager
def shaken(seed: int, size: float) -> Iterator[None]:
    """While it is on, plain torch rounds every operation of a program anew, and worse: each result
    is off by up to `size` of it."""
    generator = torch.Generator().manual_seed(seed)

    def off(value: Tensor) -> Tensor:
        if value.dtype == torch.bool:
            return value
        noise = 2 * torch.rand(value.shape, generator=generator, dtype=value.dtype) - 1
        return value * (1 + size * noise)

    def wrapped(operation: Any) -> Any:
        evaluate: Callable[..., Tensor] = operation.evaluate_safe

        def shake(*arguments: Tensor) -> Tensor:
            if operation.name in _SPECIAL:
                found = evaluate(*(off(argument) for argument in arguments))
                return off(found) + size * off(torch.zeros_like(found) + 1)
            return off(evaluate(*arguments))

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
