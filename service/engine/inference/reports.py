"""Quantities derived from the params of fits: their values, standard errors and intervals.

delta:    se² = ∇hᵀC∇h, the interval h ± t·se; on the log scale h·exp(±t·se/h).
fieller:  for a ratio R = a/b, all R with (a − R·b)² ≤ t²(v11 − 2R·v12 + R²·v22): exact where a and
          b are normal. Unbounded where b is not significantly different from 0, g = t²v22/b² ≥ 1.
          Source: Fieller, J. R. Stat. Soc. B 16 (1954) 175.
profile:  by `inference.reparametrised`.
bootstrap: by the replicates of `engine.resampling`; here as by delta.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from service.engine.expressions import Derived, read_expression
from service.engine.kernel.types import Bools, Floats
from service.engine.syntax import Call, Name

Method = Literal["delta", "fieller", "profile", "bootstrap"]
NO_COVARIANCE = "there is no covariance of the params"
Reasons = npt.NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity to report, and how its interval is computed."""

    name: str
    text: str
    method: Method = "delta"
    log: bool = False
    """Whether the interval is symmetric on the log scale."""

    @property
    def ratio(self) -> tuple[str, str] | None:
        """Numerator and denominator of a ratio of two params."""
        tree = read_expression(self.text)
        if not isinstance(tree, Call) or tree.operation != "divide":
            return None
        above, below = tree.arguments
        if not (isinstance(above, Name) and isinstance(below, Name)) or above.name == below.name:
            return None
        return above.name, below.name


@dataclass(frozen=True, eq=False)
class Spread:
    """What is known of the free params of fits."""

    covariance: Floats
    """(fits, q, q); NaN where there is none."""
    t: Floats
    """Half the width of an interval in standard errors, (fits,)."""
    reasons: Sequence[str | None]
    """Why a fit has no covariance."""
    held: Bools
    """Which params are at a bound, (fits, q)."""
    names: tuple[str, ...]
    """Of the free params."""


@dataclass(frozen=True, eq=False)
class Estimates:
    """Derived quantities of fits, (fits, quantities) each; NaN where a value does not exist."""

    value: Floats
    stderr: Floats
    lower: Floats
    upper: Floats
    reasons: Reasons
    """Why the standard error, or an end of the interval, does not exist; else None."""

    def clear(self, where: Any, quantity: int, reason: str) -> None:
        """Clears the standard error and the interval, and says why."""
        self.stderr[where, quantity] = np.nan
        self.explain(where, quantity, reason)

    def explain(self, where: Any, quantity: int, reason: str) -> None:
        """Clears the interval of a quantity in some fits, and says why."""
        self.lower[where, quantity] = self.upper[where, quantity] = np.nan
        self.reasons[where, quantity] = reason


def estimate(
    derived: Derived, asked: Sequence[Quantity], values: Floats, slopes: Floats, depends: Bools,
    spread: Spread,
) -> Estimates:  # fmt: skip
    """The quantities of fits by `delta` or `fieller`; those by `profile` are as by `delta` yet.

    values (fits, quantities); slopes (fits, quantities, q), their derivatives by the free params;
    depends (quantities, q), on which of these they depend at all.
    """
    with np.errstate(all="ignore"):
        variance = np.einsum("fmi,fij,fmj->fm", slopes, spread.covariance, slopes)
        stderr = np.sqrt(np.maximum(variance, 0.0))
        half = spread.t[:, None] * stderr
        found = Estimates(
            values.copy(), stderr, values - half, values + half,
            np.full(values.shape, None, dtype=np.object_),
        )  # fmt: skip
        for m, each in enumerate(asked):
            if each.log:
                _on_log_scale(found, m, spread.t)
            if each.method == "fieller" and depends[m].any():
                _fieller(found, m, each, slopes, spread)
    for m in range(len(asked)):
        _without_error(found, m, derived, depends[m], spread)
        if depends[m].any():
            still = (slopes[:, m] == 0.0).all(axis=1) & (found.reasons[:, m] == None)  # noqa: E711
            found.clear(still, m, "its derivative is 0 at these params")
    return found


def _on_log_scale(found: Estimates, m: int, t: Floats) -> None:
    value, factor = found.value[:, m], np.exp(t * found.stderr[:, m] / np.abs(found.value[:, m]))
    found.lower[:, m], found.upper[:, m] = value / factor, value * factor
    found.explain(~(value > 0), m, "an interval on the log scale needs a value above 0")


def _fieller(found: Estimates, m: int, asked: Quantity, slopes: Floats, spread: Spread) -> None:
    """The interval of a ratio: the roots of A·R² − 2B·R + C = 0, A = b² − t²v22, B = ab − t²v12 and
    C = a² − t²v11. With ∂R/∂a = 1/b and a = R·b the values follow from the slopes."""
    assert asked.ratio is not None
    places = [spread.names.index(name) if name in spread.names else -1 for name in asked.ratio]
    ratio, fits = found.value[:, m], len(found.value)
    zero = np.zeros(fits)
    v11, v12, v22 = (
        zero if -1 in (i, j) else spread.covariance[:, i, j]
        for i, j in ((places[0], places[0]), (places[0], places[1]), (places[1], places[1]))
    )
    # Both slopes are known where the param is free: ∂R/∂a = 1/b and ∂R/∂b = −R/b.
    b = 1 / slopes[:, m, places[0]] if places[0] >= 0 else -ratio / slopes[:, m, places[1]]
    a, squared = ratio * b, np.square(spread.t)
    leading = b * b - squared * v22
    middle = a * b - squared * v12
    root = np.sqrt(np.maximum(middle * middle - leading * (a * a - squared * v11), 0.0))
    found.lower[:, m], found.upper[:, m] = (middle - root) / leading, (middle + root) / leading
    below = asked.ratio[1]
    reason = f"'{below}' does not differ significantly from 0 (g ≥ 1), so the interval is unbounded"
    found.explain(leading <= 0, m, reason)


def _without_error(
    found: Estimates, m: int, derived: Derived, depends: Bools, spread: Spread
) -> None:
    """Clears the standard error of a quantity where there is none, and says why."""
    if not depends.any():
        fixed = [n for n, own in zip(derived.params, derived.depends[m], strict=True) if own]
        reason = (
            f"it depends on fixed params only ({', '.join(fixed)})" if fixed else "it is a constant"
        )
        found.clear(np.ones(len(found.value), dtype=np.bool_), m, reason)
    else:
        nothing: Bools = np.isnan(spread.covariance).any(axis=(1, 2)).reshape(-1)
        for fit in np.flatnonzero(nothing).tolist():
            found.clear(fit, m, spread.reasons[fit] or NO_COVARIANCE)
        at: Bools = np.where(nothing[:, None], False, spread.held & depends)
        for place in np.flatnonzero(at.any(axis=0)).tolist():
            found.clear(at[:, place], m, f"'{spread.names[place]}' is at a bound")
    odd = ~np.isfinite(found.value[:, m])
    found.clear(odd, m, "it is not finite at these params")
    lost = ~np.isfinite(found.stderr[:, m]) & (found.reasons[:, m] == None)  # noqa: E711
    found.clear(lost, m, "its derivative is not finite at these params")
