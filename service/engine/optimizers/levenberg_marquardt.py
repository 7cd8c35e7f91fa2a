"""Levenberg–Marquardt over a batch of groups, by QR, scaled by the Jacobian, within bounds.

Each trial step δ minimises ‖Jδ + z‖² + λ‖Dδ‖² over the params that no bound holds back, D the norms
of J's columns; it is projected onto the bounds, and taken if the loss falls. λ follows Nielsen's
rule. Only the R factor of [J z] is kept. For a loss other than mse, J and z carry the square root
of its weights, so that JᵀZ is its gradient's half (iterative reweighting).
Sources: Moré, The Levenberg-Marquardt algorithm (1978); Nielsen, Damping parameter in Marquardt's
method (1999); Kanzow, Yamashita and Fukushima, J. Comput. Appl. Math. 172 (2004) 375 (projection);
Ruhe and Wedin, SIAM Review 22 (1980) 318 (separable problems).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from service.engine.factors import norms, solution, swift_triangles

START = 1e-4
SHRINK = 1.0 / 3.0
STALL = 1e20
ROUNDING = 64.0
DWARFED = 1e4
SLANT = 1e-3

Linearised = tuple[Tensor, Tensor]
"""Loss (groups,) and the R factor of [J z] (groups, free + 1, free + 1)."""


@dataclass(frozen=True, slots=True)
class LevenbergMarquardt:
    """Its options. The defaults are Moré's: they come first, and mostly suffice.

    `separable` solves for the params that the prediction is linear in after each step, and before
    the first, so that the others are followed along their own valley.
    """

    damping: float = START
    """The first λ, relative to the Jacobian's scale."""
    running_scale: bool = True
    """Let D be the largest norms so far, rather than the present ones."""
    separable: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """Where each group stands; all of shape (groups, …), theta over the free params."""

    theta: Tensor
    loss: Tensor
    factor: Tensor
    scale: Tensor
    damping: Tensor
    growth: Tensor
    moved: Tensor
    """Relative size ‖Dδ‖/‖Dθ‖ of the last trial step."""
    slant: Tensor
    """The largest cosine between z and a column of J that no bound holds back (MINPACK's gtol)."""
    promised: Tensor
    """Reduction of the loss that the linear model promised for it, relative to the loss."""
    accepted: Tensor
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Model:
    """What is minimised: `linearise(θ)`, the rows n, and the bounds (groups or 1, free)."""

    linearise: Callable[[Tensor], Linearised]
    rows: Tensor
    lower: Tensor
    upper: Tensor
    linear: Tensor
    """Which free params the prediction is jointly linear in, (free,)."""
    bounded: bool = True
    """Whether there is a finite bound."""


def begin(model: Model, theta: Tensor, settings: LevenbergMarquardt) -> State:
    """The state at the start θ (groups, free)."""
    loss, factor = model.linearise(theta)
    return State(
        theta=theta,
        loss=loss,
        factor=factor,
        scale=_column_norms(factor),
        damping=torch.full_like(loss, settings.damping),
        growth=torch.full_like(loss, 2.0),
        moved=torch.full_like(loss, torch.inf),
        promised=torch.full_like(loss, torch.inf),
        slant=torch.full_like(loss, torch.inf),
        accepted=torch.zeros_like(loss, dtype=torch.bool),
    )


def gradient(model: Model, state: State) -> Tensor:
    """∂loss/∂θ = 2Jᵀz/n: (groups, free)."""
    r, c = _split(state.factor)
    return 2 * (r.mT @ c.unsqueeze(-1)).squeeze(-1) / model.rows.unsqueeze(-1)


def advance(model: Model, state: State, settings: LevenbergMarquardt) -> State:
    """One trial step of every group."""
    separable = settings.separable and bool(model.linear.any())
    held = ~model.linear if separable and state.epoch == 0 else None
    pull = _pull(model, state)
    trial, promised, moved = _trial(model, state, pull, held)
    loss, factor = model.linearise(trial)
    if separable and held is None:
        trial, loss, factor = _solve_linear(model, state, trial, loss, factor)
    actual = state.loss - loss
    fits = torch.isfinite(loss) & torch.isfinite(factor).flatten(1).all(dim=1)
    rounding = ROUNDING * torch.finfo(loss.dtype).eps * state.loss
    negligible = promised.abs() <= rounding
    accepted = fits & (((actual > 0) & (promised > 0)) | (negligible & (actual >= -rounding)))
    ratio = torch.where(negligible & accepted, torch.ones_like(actual), actual / promised)
    shrink = torch.clamp(1 - (2 * ratio - 1) ** 3, min=SHRINK)
    took = accepted.unsqueeze(-1)
    scale = _column_norms(factor)
    if settings.running_scale:
        scale = torch.maximum(state.scale, scale)
    return State(
        theta=torch.where(took, trial, state.theta),
        loss=torch.where(accepted, loss, state.loss),
        factor=torch.where(took.unsqueeze(-1), factor, state.factor),
        scale=torch.where(took, scale, state.scale),
        damping=torch.where(
            accepted, (state.damping * shrink).clamp(min=1e-16), state.damping * state.growth
        ),
        growth=torch.where(accepted, torch.full_like(state.growth, 2.0), state.growth * 2),
        moved=moved,
        promised=promised.abs() / state.loss,
        slant=_slant(state, pull),
        accepted=accepted,
        epoch=state.epoch + 1,
    )


def _solve_linear(
    model: Model, state: State, theta: Tensor, loss: Tensor, factor: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The same point with its linear params solved for, where that lowers the loss."""
    there = replace(state, theta=theta, loss=loss, factor=factor, scale=_column_norms(factor))
    usable = torch.isfinite(factor).flatten(1).all(dim=1, keepdim=True)
    there = replace(
        there,
        factor=torch.where(usable.unsqueeze(-1), factor, state.factor),
        scale=torch.where(usable, there.scale, state.scale),
    )
    solved, _, _ = _trial(model, there, _pull(model, there), ~model.linear)
    solved_loss, solved_factor = model.linearise(solved)
    better = (solved_loss < loss).unsqueeze(-1)
    return (
        torch.where(better, solved, theta),
        torch.where(better.squeeze(-1), solved_loss, loss),
        torch.where(better.unsqueeze(-1), solved_factor, factor),
    )


def converged(state: State, tolerance: float) -> Tensor:
    """Which groups' last trial step was below the tolerance: relative to θ, or so small that the
    loss it promised is tolerance² of the loss; or whose loss is zero."""
    small = (state.moved <= tolerance) & (state.slant <= SLANT)
    return small | (state.promised <= tolerance**2) | (state.loss == 0)


def stalled(state: State) -> Tensor:
    """Which groups find no step that lowers the loss."""
    return ~state.accepted & (state.damping > STALL)


def uncertain(model: Model, state: State) -> Tensor:
    """Which groups ended where some param hardly matters: its standard error dwarfs it, or the
    columns are dependent. A way that leads there is not believed at once."""
    r, _ = _split(state.factor)
    sizes = _column_norms(state.factor)
    safe = torch.where(sizes > 0, sizes, torch.ones_like(sizes))
    inverse, singular = torch.linalg.inv_ex(r / safe.unsqueeze(-2))
    spread = _length(inverse) / safe
    noise = (state.loss * model.rows / (model.rows - r.shape[-1]).clamp(min=1)).sqrt()
    stderr = spread * noise.unsqueeze(-1)
    lost = (stderr > DWARFED * state.theta.abs()) | (sizes == 0) | ~torch.isfinite(stderr)
    doubtful: Tensor = lost.any(dim=-1) | (singular != 0)
    return doubtful


def select(state: State, groups: Tensor) -> State:
    """The state of some of the groups."""
    fields = [name for name in State.__dataclass_fields__ if name != "epoch"]
    return replace(state, **{name: getattr(state, name)[groups] for name in fields})


def _pull(model: Model, state: State) -> tuple[Tensor, Tensor | None]:
    """Jᵀz (groups, free), and which params a bound holds back; None where there is no bound."""
    r, c = _split(state.factor)
    slope = (r * c.unsqueeze(-1)).sum(dim=-2)
    if not model.bounded:
        return slope, None
    below, above = state.theta <= model.lower, state.theta >= model.upper
    return slope, (below & (slope > 0)) | (above & (slope < 0))


def _trial(
    model: Model, state: State, pull: tuple[Tensor, Tensor | None], kept: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """The params to try, the reduction promised, and the step's relative size; those in `kept`
    stay, and then the step is undamped."""
    r, c = _split(state.factor)
    scale = torch.where(state.scale > 0, state.scale, 1.0)
    held = pull[1]
    if kept is not None:
        held = kept if held is None else held | kept
    part = r if held is None else torch.where(held.unsqueeze(-2), 0.0, r)
    part = part / scale.unsqueeze(-2)
    step = _damped(part, c, state.damping if kept is None else 1e-20 * state.damping) / scale
    trial = state.theta + step
    if model.bounded:
        trial = torch.clamp(trial, model.lower, model.upper)
    step = trial - state.theta
    bent = (r * step.unsqueeze(-2)).sum(dim=-1)
    promised = -((bent + 2 * c) * bent).sum(dim=-1) / model.rows
    size = _length(scale * state.theta)
    moved = _length(scale * step) / size.clamp(min=1e-300)
    return trial, promised, moved


def _damped(r: Tensor, c: Tensor, damping: Tensor) -> Tensor:
    """The δ of least ‖Rδ + c‖² + λ‖δ‖², by QR of [R c] on [√λ·I 0]."""
    groups, p = r.shape[0], r.shape[-1]
    columns = r.new_zeros((p + 1, groups, 2 * p))
    columns[:p, :, :p] = r.permute(2, 0, 1)
    columns[p, :, :p] = c
    columns[:p, :, p:].diagonal(dim1=0, dim2=2)[:] = damping.sqrt().unsqueeze(-1)
    return solution(swift_triangles(columns))


def _slant(state: State, pull: tuple[Tensor, Tensor | None]) -> Tensor:
    slope, held = pull
    size = _column_norms(state.factor) * _length(state.factor[..., -1]).unsqueeze(-1)
    cosine = slope.abs() / size.clamp(min=1e-300)
    if held is not None:
        cosine = torch.where(held, 0.0, cosine)
    return torch.where(size == 0, 0.0, cosine).amax(dim=-1)


def _split(factor: Tensor) -> tuple[Tensor, Tensor]:
    return factor[..., :-1, :-1], factor[..., :-1, -1]


def _column_norms(factor: Tensor) -> Tensor:
    return norms(factor[..., :-1, :-1])


def _length(vectors: Tensor) -> Tensor:
    return vectors.square().sum(dim=-1).sqrt()
