"""What there is to say of the fits of groups, in parts of groups of about as many rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from service.engine.diagnostics.finding import Findings
from service.engine.inference.statistics import summarise_fits
from service.engine.kernel.types import Floats
from service.engine.problem import Task
from service.engine.result import Ends


def look_at(task: Task, ends: Ends, guessed: tuple[str, ...]) -> Iterator[tuple[Tensor, Findings]]:
    """What the checks look at, of groups that have ended, or stand where they were stopped: which
    groups, and their findings. Of a fit that was cut short, or is not finite, its best params
    speak, as of a single one."""
    double = task.double()
    problem, fits = double.problem, double.fits
    whole = torch.tensor([reason not in (None, "diverged") for reason in ends.reasons])
    whole &= torch.isfinite(ends.loss) & torch.isfinite(ends.theta).all(dim=1)
    theta = torch.where((whole | (ends.loss < ends.best_loss)).unsqueeze(-1), ends.theta, ends.best)
    figures, z = summarise_fits(problem, fits, theta)
    for at in fits.alike():
        some, places = fits.at(at), at.numpy()
        rows = _Rows(some.spans)
        yield (
            at,
            Findings(
                problem=problem,
                options=task.options,
                statistics=figures.at(places),
                z=rows.padded(z, 0.0),
                theta=theta[at].numpy(),
                params=ends.theta[at].numpy(),
                initial=ends.initial[at].double().numpy(),
                loss=ends.loss[at].numpy(),
                best_loss=ends.best_loss[at].numpy(),
                first_loss=ends.first_loss[at].numpy(),
                first_gradient=ends.first_gradient[at].numpy(),
                epochs=ends.epochs[at].numpy(),
                reasons=[ends.reasons[i] or "cancelled" for i in places.tolist()],
                inputs={n: rows.padded(c.cpu().numpy()) for n, c in problem.columns.items()},
                target=np.abs(rows.padded(problem.target.cpu().numpy())).max(axis=1),
                fits=some,
                kept=rows.kept,
                guessed=guessed,
            ),
        )


class _Rows:
    """The rows of groups as lines of a matrix; beyond a group's own, its last one again."""

    def __init__(self, spans: Tensor) -> None:
        first, end = spans.numpy()
        sizes = end - first
        longest = int(sizes.max())
        ragged = bool((sizes != longest).any())
        beside = bool((first[1:] == end[:-1]).all()) and not ragged
        self._slice = slice(int(first[0]), int(end[-1])) if beside else None
        self._shape = (len(first), longest)
        self.kept, self._index = None, np.empty(0, dtype=np.int64)
        if self._slice is None:
            place = np.arange(longest)
            self.kept = place < sizes[:, None] if ragged else None
            self._index = first[:, None] + np.minimum(place, sizes[:, None] - 1)

    def padded(self, column: Floats, beyond: float | None = None) -> Floats:
        """A column, (groups, rows of the longest); as a view, where the groups lie side by side."""
        if self._slice is not None:
            return column[self._slice].reshape(self._shape)
        found: Floats = column[self._index]
        return found if self.kept is None or beyond is None else np.where(self.kept, found, beyond)
