"""The statuses of unknowns, in words, and the solutions of those that have several."""

from __future__ import annotations

from typing import get_args

import numpy as np

from service.engine.inference import inversion
from service.engine.inference.standard_curves import Range
from service.engine.kernel.types import Floats, Ints
from service.schemas.names import InversionStatus
from service.schemas.series import Objects, cells

STATUSES: tuple[InversionStatus, ...] = get_args(InversionStatus)
"""In the order of their numbers in `engine.inference.inversion`."""
_ENDS = ("no lower end", "no upper end", "neither end")


def status_names(status: Ints) -> Objects:
    """The names of statuses."""
    return cells(STATUSES)[status]


def roots(found: inversion.Unknowns, dilution: Floats) -> Objects | None:
    """All solutions of the samples that have several."""
    if not len(found.roots):
        return None
    lists: list[list[float] | None] = [None] * len(found.status)
    for sample, root in zip(found.owner.tolist(), found.roots.tolist(), strict=True):
        own = lists[sample] = lists[sample] or []
        own.append(root * float(dilution[sample]))
    return cells(lists)


def why_no_error(*, has_covariance: bool, of_groups: bool) -> str:
    """Why an estimate has no standard error."""
    if has_covariance:
        return "the curve is flat here, or its fit has none"
    if of_groups:
        return "the fit was not asked for the covariance of its groups (`group_by.covariance`)"
    return "it needs `covariance` and `degrees_of_freedom`, which a fit with standard errors has"


def details(
    found: inversion.Unknowns, name: str, known: Range, searched: Range, no_error: str
) -> Objects:
    """What each status means, in words; `no_error`: why an estimate has no standard error."""
    has_none = np.isfinite(found.estimate) & np.isnan(found.stderr)
    columns = [found.status, *found.is_open, found.in_pieces, has_none]
    # One number a sample: rows of several are sorted twenty times more slowly.
    packed = np.zeros(len(found.status), dtype=np.int64)
    for column in columns:
        packed = packed * len(STATUSES) + column
    _, first, which = np.unique(packed, return_index=True, return_inverse=True)
    texts = [
        _detail(name, known, searched, no_error, *(int(column[i]) for column in columns))
        for i in first.tolist()
    ]
    return cells(texts)[which.reshape(-1)]


def _detail(
    name: str,
    known: Range,
    searched: Range,
    no_error: str,
    status: int,
    no_lower: int,
    no_upper: int,
    in_pieces: int,
    no_stderr: int,
) -> str | None:
    (low, high), (least, most) = known, searched
    said = []
    if status in (inversion.BELOW, inversion.ABOVE):
        end = "low" if status == inversion.BELOW else "high"
        said.append(
            f"no {name} from {least:g} to {most:g} has this reading; it is beyond the {end} end of "
            "the curve"
        )
    if status == inversion.EXTRAPOLATED:
        said.append(f"beyond the calibrators, which are from {low:g} to {high:g}")
    if status == inversion.NOT_MONOTONE:
        said.append("several solutions, see `roots`; a `range` with one of them chooses it")
    if status == inversion.NO_CURVE:
        said.append("the fit of this group failed")
    if in_pieces:
        said.append("the interval is in two pieces, so that it has no ends")
    elif no_lower or no_upper:
        said.append(f"the interval has {_ENDS[no_lower + 2 * no_upper - 1]}")
    if no_stderr:
        said.append(f"no standard error: {no_error}")
    return "; ".join(said) or None
