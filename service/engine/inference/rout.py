"""Which rows are outliers, by the residuals of a robust fit: Motulsky and Brown, BMC Bioinformatics
7 (2006) 123 ("ROUT").

The residuals over their robust standard deviation (RSDR) have Student's t with n − p degrees of
freedom; of the 30 % largest, those beyond the first one whose two-sided p is below q·(n − (i −
1))/n, i its rank from the smallest, are outliers: the false discovery rate is at most q (Benjamini
and Hochberg 1995).
"""

from __future__ import annotations

import numpy as np

from service.engine.inference.distributions import t_quantile
from service.engine.kernel.types import Bools, Floats

TESTED = 0.7
"""The part of the residuals, the smallest, that are not tested."""


def outliers(sizes: Floats, free: int, q: float) -> Bools:
    """Which rows of a fit are outliers, by |residual|/RSDR (rows,), in a fit of that many free
    params."""
    n = len(sizes)
    found = np.zeros(n, dtype=np.bool_)
    if n <= free or not np.isfinite(sizes).all():
        return found
    order = np.argsort(sizes, kind="stable")
    # p < α where |t| is beyond the quantile of 1 − α/2, which needs no p.
    for rank in range(max(1, int(TESTED * n)), n + 1):
        limit = _limit(q * (n - (rank - 1)) / n, n - free)
        if sizes[order[rank - 1]] > limit:
            found[order[rank - 1 :]] = True
            break
    return found


def _limit(alpha: float, degrees: int) -> float:
    return t_quantile(1 - alpha / 2, float(degrees))
