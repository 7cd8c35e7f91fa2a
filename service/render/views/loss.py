"""The loss by epoch, with a logarithmic axis."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from service.errors import InvalidRequest
from service.render.cells import wrapped
from service.render.characters import NOTHING, canvas_of, with_axes
from service.render.digits import counted, number
from service.render.scales import around
from service.render.scene import PlotInput, Scene
from service.schemas.answers import Best, Fit, History
from service.schemas.columns import Numbers
from service.schemas.plot import PlotHistory

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from service.render.figure import Palette

_FEW = 40
_MARKED = 30
"""Up to so many epochs, each is marked in characters."""


@dataclass(frozen=True, slots=True, eq=False)
class LossScene(Scene):
    """The loss by epoch: before each epoch's step, and after the last step if known."""

    epoch: Numbers
    loss: Numbers
    best: tuple[float, float] | None
    """Epoch and value of the lowest loss."""
    lost: float | None
    """The first epoch at which the loss was not finite."""
    verdict: str | None = None
    """What went wrong, if anything."""

    def draw(self, figure: Figure, palette: Palette) -> None:
        """Draws the loss, its best, and the epoch from which it was not finite."""
        from service.render.figure import figure_text, legend, name_axes, plain, style_axes

        axes = figure.add_subplot()
        axes.set_yscale("log")
        if not (np.isfinite(self.loss) & (self.loss > 0)).any():
            axes.set_ylim(0.1, 10)
        few = np.count_nonzero(np.isfinite(self.loss)) <= _FEW
        axes.plot(
            self.epoch,
            self.loss,
            color=palette.curve,
            linewidth=2.0,
            marker="o" if few else "",
            markersize=4.5,
            label="loss",
            gid="loss",
            zorder=3,
        )
        if self.best is not None and self.best[1] > 0:
            axes.plot(
                [self.best[0]],
                [self.best[1]],
                linestyle="none",
                marker="D",
                markersize=8,
                markerfacecolor=palette.second,
                markeredgecolor=palette.background,
                label=f"best: {figure_text(self.best[1])}",
                zorder=5,
            )
        if self.lost is not None:
            axes.axvline(
                self.lost,
                color=palette.accent,
                linewidth=1.8,
                linestyle=(0, (4, 3)),
                label=f"not finite from epoch {self.lost:,.0f} on",
            )
        if self.verdict is not None:
            axes.set_title(plain(self.verdict), color=palette.accent)
        name_axes(axes, "epoch", "loss")
        style_axes(axes, palette, log="y", whole="x")
        legend(axes, palette, loc="best")

    def characters(self, width: int, lines: int) -> list[str]:
        """The loss, with its best marked."""
        y = around([self.loss], log=True, margin=0.03)
        canvas = canvas_of(around([self.epoch]), y, width, lines)
        if canvas is None:
            return [NOTHING]
        canvas.curve(self.epoch, self.loss)
        if len(self.epoch) <= _MARKED:
            canvas.marks(self.epoch, self.loss)
        if self.best is not None:
            canvas.marks(np.array(self.best[:1]), np.array(self.best[1:]), "◆")
        made = with_axes(canvas, "epoch", "loss, logarithmic")
        if self.best is not None:
            made += wrapped(f"◆ the best, {number(self.best[1], 4)}", width, "  ")
        if self.verdict is not None:
            made += wrapped(self.verdict, width, "  ")
        if self.lost is not None:
            made += wrapped(f"not finite from epoch {self.lost:,.0f} on", width, "  ")
        return made


def scene(given: PlotInput) -> LossScene:
    """The loss of the history; of a job with a fit, with its best and last."""
    history, title = given.request.history, given.request.title
    assert history is not None
    if given.fit is not None:
        return replace(loss_of_fit(given.fit, history), title=title or "")
    if len(history.epoch) != len(history.loss):
        raise InvalidRequest(
            "`epoch` and `loss` must have the same length", pointer="/history/loss"
        )
    return loss_scene(
        title or "Loss by epoch",
        np.array(history.epoch, dtype=np.float64),
        np.array(history.loss, dtype=np.float64),
        thinned=history.thinned,
    )


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
    return f"it diverged after {counted(fit.epochs, 'epoch')}"


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
