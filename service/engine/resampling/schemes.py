"""Resampled data of fits: residual, case, parametric and wild bootstrap.

With f the prediction, e = (y − f)/σ the error of a row (σ = 1 without sigma), h its leverage and s
the standard deviation of the noise:

residual:    y* = f + σ·d, d drawn from the e/√(1 − h) of the fit, less their mean;
case:        rows are drawn with their x and σ;
parametric:  y* = f + σ·s·n, n standard normal; s = 1 where σ is absolute; of a likelihood counts
             are drawn from it (see `counts`);
wild:        y* = f + σ·v·e/√(1 − h), v = ±1 with equal chance (Rademacher).

Sources: Davison and Hinkley, Bootstrap Methods and their Application (1997), 6.2 and 6.3; Davidson
and Flachaire, Journal of Econometrics 146 (2008) 162, for ±1 and 1/√(1 − h) in the wild bootstrap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from service.engine.inference.covariance import LEVERAGE, are_whole, inverses, linearised
from service.engine.inference.statistics import Figures
from service.engine.kernel.types import Bools, Floats, Ints
from service.engine.problem import Groups, Problem
from service.engine.resampling.counts import Counts
from service.engine.resampling.philox import normal, uniforms

Kind = Literal["residual", "case", "parametric", "wild"]


WHOLE = 1e-9
"""Relative distance to a whole number that is the rounding of σ = 1/√n."""


@dataclass(frozen=True, eq=False)
class Base:
    """Fits at their θ̂, of whose data others are drawn. All rows are those of the problem."""

    problem: Problem
    """In float64, on the CPU."""
    fits: Groups
    """Their `initial` are the θ̂."""
    kind: Kind
    usable: Bools
    """Which fits have what the kind needs, (fits,)."""
    prediction: Floats
    """(rows,)"""
    plain: Floats
    """e, (rows,)."""
    errors: Floats
    """e/√(1 − h), less the mean for the kind `residual`; (rows,)."""
    noise: Floats
    """s of each fit, (fits,)."""
    influence: Floats
    """Change of the free params by one unit of a row's e, to first order; (rows, q)."""
    jackknife: Floats
    """e/(1 − h), which times `influence` is the change without that row, to first order."""
    design: Ints
    """The number of each row's inputs: rows of equal inputs have the same; (rows,)."""
    counts: Counts | None = None
    """The distributions of the targets, of the kind `parametric` with a likelihood."""

    @classmethod
    def of(
        cls, problem: Problem, fits: Groups, theta: Tensor, figures: Figures, kind: Kind
    ) -> Base:
        """Fits with these figures at θ (fits, params); of a problem with a model of the noise, with
        the σ that it gives there."""
        problem = problem.double().to("cpu")
        theta = theta.double().cpu()
        rows, q = problem.rows, len(problem.places)
        prediction, plain, errors, jackknife = np.full((4, rows), np.nan)
        influence = np.zeros((rows, q))
        inputs = problem.inputs.numpy()
        design = np.zeros(rows, dtype=np.int64)
        if len(inputs) and kind == "case":
            design = np.unique(inputs, axis=1, return_inverse=True)[1].reshape(-1)
        usable = torch.isfinite(theta).all(dim=1).numpy()
        noise, inverse = np.full(len(fits), np.nan), np.broadcast_to(np.eye(q), (len(fits), q, q))
        if problem.loss.is_least_squares:  # else rows or counts are drawn, without residuals
            usable = usable & are_whole(figures) & (figures.degrees_of_freedom > 0)
            noise, inverse = np.reshape(figures.noise, len(fits)), inverses(figures, usable)
        back = torch.from_numpy(inverse.copy())
        for part in linearised(problem, fits, theta, inverse.copy()):
            left, at = part.left.numpy(), part.row.numpy()
            plain[at] = error = -part.z.numpy()
            apart = left > LEVERAGE  # a row that determines a param alone has no error
            with np.errstate(all="ignore"):
                errors[at] = np.where(apart, error / np.sqrt(left), 0.0)
                jackknife[at] = np.where(apart, error / left, 0.0)
            prediction[at] = part.prediction.numpy()
            influence[at] = (back[part.fit] @ part.own.unsqueeze(-1)).squeeze(-1).numpy()
        counts = None
        if problem.loss.likelihood is not None and kind == "parametric":
            of, row = _rows(fits)
            fine = np.isfinite(prediction[row]) & (prediction[row] >= 0)
            usable = usable & (np.bincount(of, ~fine, len(fits)) == 0)
            counts = Counts.of(problem.loss.likelihood, prediction, _weight(problem))
        if kind == "residual":
            of, row = _rows(fits)
            mean = np.bincount(of, errors[row], len(fits)) / fits.sizes.numpy()
            errors[row] -= mean[of]
        points = Groups(fits.spans, theta)
        return cls(
            problem, points, kind, usable, prediction, plain, errors, noise, influence, jackknife,
            design, counts,
        )  # fmt: skip

    def drawn(
        self, seed: int, purpose: int, fit: Ints, number: Ints, replicate: Ints
    ) -> tuple[Problem, Groups, Bools]:
        """The data of some replicates, one group each, which starts at θ̂; and whether its rows may
        determine the params. `number` are those by which the random numbers of the fits are
        drawn."""
        spans = self.fits.spans.numpy()
        first, sizes = spans[0][fit], (spans[1] - spans[0])[fit]
        of = np.repeat(np.arange(len(fit)), sizes)
        end = np.cumsum(sizes)
        numbers = uniforms(seed, purpose, number, replicate, sizes)
        own = first[of] + np.arange(len(of)) - (end - sizes)[of]
        picked = first[of] + (numbers * sizes[of]).astype(np.int64)
        initial, problem = self.fits.initial[torch.from_numpy(fit)], self.problem
        groups = Groups(torch.from_numpy(np.stack([end - sizes, end])), initial)
        if self.kind == "case":
            known = np.unique(of * len(self.design) + self.design[picked])
            distinct = np.bincount(known // len(self.design), minlength=len(fit))
            rows = torch.from_numpy(picked)
            enough: Bools = distinct >= min(len(problem.places), self._designs)
            return problem.on(rows, problem.initial), groups, enough
        rows = torch.from_numpy(own)
        made = problem.on(rows, problem.initial)
        if self.counts is not None:
            shares = self.counts.drawn(own, numbers) / _weight(made)
            return replace(made, target=torch.from_numpy(shares)), groups, _all(fit)
        if self.kind == "residual":
            noise = self.errors[picked]
        elif self.kind == "wild":
            noise = np.where(numbers < 0.5, -1.0, 1.0) * self.errors[own]
        else:
            noise = self.noise[fit][of] * normal(numbers)
        sigma = 1.0 if made.sigma is None else made.sigma.numpy()
        target = torch.from_numpy(self.prediction[own] + sigma * noise)
        return replace(made, target=target), groups, _all(fit)

    @property
    def _designs(self) -> int:
        return int(self.design.max(initial=0)) + 1

    def acceleration(self, slopes: Floats) -> Floats:
        """BCa's acceleration of quantities with derivatives `slopes` by the free params (fits, m,
        q): a sixth of the skewness that the scheme gives them, to first order. (fits, m).

        For rows drawn it is the jackknife's. Residuals drawn have the skewness of their pool;
        normal noise and ±1 have none. Source: Efron, J. Am. Stat. Assoc. 82 (1987) 171, (6.6)
        and 7.
        """
        fits, m = slopes.shape[:2]
        if self.kind in ("parametric", "wild"):
            return np.zeros((fits, m))
        of, row = _rows(self.fits)
        own = np.einsum("kq,kmq->km", self.influence[row], slopes[of])
        if self.kind == "case":
            own = own * self.jackknife[row][:, None]
            own -= (_sums(of, own, fits) / self.fits.sizes.numpy()[:, None])[of]
            skew = _sums(of, own**3, fits), _sums(of, own**2, fits)
        else:
            error, sizes = self.errors[row][:, None], self.fits.sizes.numpy()[:, None]
            second, third = (_sums(of, error**k, fits) / sizes for k in (2, 3))
            skew = _sums(of, own**3, fits) * third, _sums(of, own**2, fits) * second
        with np.errstate(all="ignore"):
            found: Floats = np.nan_to_num(skew[0] / (6 * skew[1] ** 1.5))
        return found


def _all(fit: Ints) -> Bools:
    return np.ones(len(fit), dtype=np.bool_)


def _weight(problem: Problem) -> Floats:
    """1/σ² of the rows: of a likelihood the exposure, or the number of trials."""
    if problem.sigma is None:
        return np.ones(problem.rows)
    found = problem.sigma.numpy() ** -2.0
    whole = np.rint(found)
    near: Floats = np.where(np.abs(found - whole) <= WHOLE * found, whole, found)
    return near


def _rows(fits: Groups) -> tuple[Ints, Ints]:
    """The fit and the row of each row of the fits."""
    sizes, first = fits.sizes.numpy(), fits.spans[0].numpy()
    of = np.repeat(np.arange(len(sizes)), sizes)
    return of, first[of] + np.arange(len(of)) - (np.cumsum(sizes) - sizes)[of]


def _sums(of: Ints, values: Floats, fits: int) -> Floats:
    """Sums over the rows of each fit, (fits, columns)."""
    return np.stack([np.bincount(of, column, fits) for column in values.T], axis=1)
