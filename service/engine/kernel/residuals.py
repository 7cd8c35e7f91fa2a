"""Residuals of fits: how far the farthest lie, whether neighbours are autocorrelated, and whether
they grow with the prediction.

Sources: the median absolute deviation, Rousseeuw and Croux, J. Am. Stat. Assoc. 88 (1993) 1273; the
ratio of the mean square of successive differences to the variance, von Neumann, Annals of
Mathematical Statistics 12 (1941) 367; the score test of a constant variance, Koenker, Journal of
Econometrics 17 (1981) 107.
"""

from __future__ import annotations

import math

import numpy as np

from service.engine.kernel.compiled import allocating, compiled
from service.engine.kernel.types import Floats, Ints

SAMPLE = 2**15
"""Rows of a group above which an even sample of them is looked at."""

FEW = 15.0
"""The spread of few rows is uncertain: of n rows, one is far beyond 1 + FEW/n times the limit."""

OUTLYING, STANDING_OUT = 5.0, 4.0
"""Robust standard deviations beyond which a row is an outlier, and stands out."""

FIGURES = 8
CENTRE, SPREAD, LIMIT, FAR, RATIO, TARGET, APART, GROWTH = range(FIGURES)
"""Of a fit: the median of z; 1.4826 times its median absolute deviation; the distance from the
median beyond which a row is an outlier; how many rows are; von Neumann's ratio along the first
input, which is about 2 for independent rows, NaN where there is no input; the largest |target|; how
many rows stand out; √(n·R²), with the sign of the slope, of z² on ln(1 + |f|/mean|f|), where f is
the prediction: a normal deviate where the variance is constant, 0 where it has no value."""


@allocating
def look(columns: Floats, target: Floats, z: Floats, first: int, until: int, found: Floats) -> None:
    """Of the rows from `first` to before `until`, with residuals z (rows,): figures (FIGURES,)."""
    step = (until - first + SAMPLE - 1) // SAMPLE
    sample = z[first:until:step].copy()
    found[RATIO] = math.nan
    if len(columns):
        x = columns[0][first:until:step]
        if not _is_sorted(x):
            sample = sample[np.argsort(x, kind="mergesort")]
        found[RATIO] = _ratio(sample)
    sample.sort()
    found[CENTRE] = _median(sample)
    for i in range(len(sample)):
        sample[i] = abs(sample[i] - found[CENTRE])
    sample.sort()
    found[SPREAD] = 1.4826 * _median(sample)
    unit = (1.0 + FEW / (until - first)) * found[SPREAD]
    found[LIMIT] = OUTLYING * unit
    found[GROWTH] = _growth(target, z, first, until, step)
    _count(found, target, z, first, until, STANDING_OUT * unit)


@compiled
def _count(found: Floats, target: Floats, z: Floats, first: int, until: int, limit: float) -> None:
    far, apart, largest = 0, 0, 0.0
    for i in range(first, until):
        distance = abs(z[i] - found[CENTRE])
        if distance > found[LIMIT]:
            far += 1
        if distance > limit:
            apart += 1
        largest = max(largest, abs(target[i]))
    found[FAR], found[APART], found[TARGET] = far, apart, largest


@compiled
def _growth(target: Floats, z: Floats, first: int, until: int, step: int) -> float:
    largest, n, size = 0.0, 0, 0.0
    for i in range(first, until, step):
        largest = max(largest, abs(z[i]))
        size += abs(target[i] + z[i])
        n += 1
    if not (0.0 < largest < math.inf and 0.0 < size < math.inf):
        return 0.0
    mean_square = 0.0
    for i in range(first, until, step):
        mean_square += (z[i] / largest) * (z[i] / largest) / n
    sum_x, sum_xx, sum_xu, sum_uu = 0.0, 0.0, 0.0, 0.0
    for i in range(first, until, step):
        x = math.log1p(abs(target[i] + z[i]) / size * n)
        u = (z[i] / largest) * (z[i] / largest) / mean_square - 1.0
        sum_x += x
        sum_xx += x * x
        sum_xu += x * u
        sum_uu += u * u
    varied = sum_xx - sum_x * sum_x / n
    if not (varied > 1e-12 * sum_xx and sum_uu > 0.0):
        return 0.0
    return math.sqrt(n / (varied * sum_uu)) * sum_xu


@compiled
def _is_sorted(x: Floats) -> bool:
    falls = 0
    for i in range(1, len(x)):
        falls += x[i] < x[i - 1]
    return bool(falls == 0)


@compiled
def _median(ordered: Floats) -> float:
    n = len(ordered)
    middle: float = 0.5 * ordered[(n - 1) // 2] + 0.5 * ordered[n // 2]
    return middle


@compiled
def _ratio(z: Floats) -> float:
    """Of z in order of x; scaled by the largest, so that no square overflows or vanishes."""
    largest = 0.0
    for i in range(len(z)):
        largest = max(largest, abs(z[i]))
    if not 0.0 < largest < math.inf:
        return math.nan
    steps, squares, before = 0.0, 0.0, z[0] / largest
    for i in range(len(z)):
        here = z[i] / largest
        steps += (here - before) * (here - before)
        squares += here * here
        before = here
    return steps / squares


@allocating
def sizes(column: Floats, spans: Ints) -> Floats:
    """Of each group, (groups, 2): the largest |x|, and the standard deviation of x."""
    found = np.empty((spans.shape[1], 2))
    for g in range(spans.shape[1]):
        own = column[spans[0, g] : spans[1, g]]
        largest, total = 0.0, 0.0
        for i in range(len(own)):
            largest = max(largest, abs(own[i]))
        if not 0.0 < largest < math.inf:
            found[g] = largest
            continue
        about = own[0] / largest
        for i in range(len(own)):
            total += own[i] / largest - about
        mean, squares = about + total / len(own), 0.0
        for i in range(len(own)):
            squares += (own[i] / largest - mean) ** 2
        found[g, 0], found[g, 1] = largest, largest * math.sqrt(squares / len(own))
    return found
