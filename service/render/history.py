"""The scene of the loss by epoch."""

from __future__ import annotations

import numpy as np

from service.render.digits import counted
from service.schemas.answers import Best, Fit, History
from service.schemas.columns import Numbers
from service.schemas.plot import PlotHistory
from service.schemas.scenes import LossScene


def loss_of_fit(fit: Fit, history: History | PlotHistory | None = None) -> LossScene:
    """The rows (default: the fit's own), and the loss of the params that it returned."""
    rows = fit.history if history is None else history
    return loss_scene(
        fit.model.formula,
        np.array(rows.epoch, dtype=np.float64),
        np.array(rows.loss, dtype=np.float64),
        end=(fit.epochs, fit.loss),
        best=fit.best,
        verdict=_diverged(fit) if fit.stop_reason == "diverged" else None,
        thinned=rows.thinned,
    )


def _diverged(fit: Fit) -> str:
    return f"it diverged after {epochs_in_words(fit.epochs)}"


def loss_scene(
    title: str,
    epoch: Numbers,
    loss: Numbers,
    *,
    end: tuple[int, float] | None = None,
    best: Best | None = None,
    verdict: str | None = None,
    thinned: bool = False,
) -> LossScene:
    """The loss before each epoch's step; `end` is the loss after the last epoch, drawn at the next
    epoch."""
    notes = []
    if end is not None and (not epoch.size or end[0] >= epoch[-1]):
        epoch, loss = np.append(epoch, end[0] + 1.0), np.append(loss, end[1])
    if thinned:
        notes.append("some epochs are not shown")
    if np.any(loss == 0):
        notes.append("a loss of 0 cannot be shown on a logarithmic axis")
    lost = np.flatnonzero(~np.isfinite(loss))
    return LossScene(
        title=title,
        epoch=epoch,
        loss=np.where(np.isfinite(loss) & (loss > 0), loss, np.nan),
        best=_best(epoch, loss, best, end),
        lost=float(epoch[lost[0]]) if lost.size else None,
        verdict=verdict,
        notes=tuple(notes),
    )


def _best(
    epoch: Numbers, loss: Numbers, best: Best | None, end: tuple[int, float] | None
) -> tuple[float, float] | None:
    if best is not None and np.isfinite(best.loss):
        after = end is not None and best.epoch == end[0] and best.loss == end[1]
        return best.epoch + (1.0 if after else 0.0), best.loss
    finite = np.where(np.isfinite(loss), loss, np.inf)
    if not finite.size or not np.isfinite(finite.min()):
        return None
    return float(epoch[finite.argmin()]), float(finite.min())


def epochs_in_words(count: int) -> str:
    """ "1 epoch", "5,000 epochs"."""
    return counted(count, "epoch")
