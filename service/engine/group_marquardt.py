"""Levenberg–Marquardt on a batch of groups: one trial step of each at a time.

The ways and their turns are those of `marquardt`: a group whose first way ends where it is not
believed, finds no step, or is slow, goes on with the next. Groups that have ended leave the batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from service.engine.factors import swift_triangles
from service.engine.group_objective import GroupObjective
from service.engine.group_result import REASONS, GroupEnds, GroupHistory
from service.engine.groups import Batch, GroupedTask
from service.engine.marquardt import EXPLAINED, PATIENCE, WAYS, linear_params
from service.engine.optimizers import levenberg_marquardt as lm
from service.engine.problem import Problem

CROWDED = 0.75
"""A batch of which a smaller part is at work is made smaller."""
NOT_ENDED, CONVERGED, STALLED, DIVERGED, MAX_EPOCHS = range(5)
"""How a group's way stands; what is not NOT_ENDED is a place in REASONS."""


@dataclass(eq=False)
class Path:
    """One way, for all groups of the batch: where each stands, and how it ended there."""

    state: lm.State
    ended: Tensor
    believed: Tensor
    steps: Tensor
    begun: bool = False


@dataclass(eq=False)
class Turn:
    """Some groups at work on one way, in a batch of their own."""

    way: int
    at: Tensor
    """Which groups of the whole batch they are."""
    objective: GroupObjective
    model: lm.Model
    state: lm.State
    alive: Tensor
    left: int
    """Trial steps until others have their turn."""


class GroupMarquardt:
    """Levenberg–Marquardt on a batch of groups."""

    def __init__(self, task: GroupedTask, batch: Batch) -> None:
        self._task, self._batch = task, batch
        self._objective = GroupObjective.of(task.problem, batch)
        self._free = list(self._objective.free)
        self._linear = linear_params(task.problem)
        epsilon = 4 * torch.finfo(batch.target.dtype).eps
        self._tolerance = max(task.options.tolerance.params, epsilon)
        self._history = GroupHistory(len(batch)) if task.history else None
        start = batch.initial[:, self._free]
        state = lm.begin(self._model(self._objective), start, WAYS[0])
        self.first_loss = state.loss
        self._first_gradient = lm.gradient(self._model(self._objective), state)
        self._paths = [self._path(state), self._path(replace(state, loss=state.loss + torch.inf))]
        self._paths[0].begun = True
        self._reasons = self._hopeless()
        self._waiting = [(0, at)] if len(at := self._undecided()) else []
        self._turn = self._next()

    @property
    def done(self) -> bool:
        return self._turn is None

    def step(self) -> None:
        """One trial step of the groups whose turn it is."""
        turn = self._turn
        assert turn is not None
        before = turn.state
        turn.state = lm.advance(turn.model, before, WAYS[turn.way])
        turn.left -= 1
        path = self._paths[turn.way]
        path.steps[turn.at[turn.alive]] += 1
        self._record(turn, before)
        ended = self._ended(turn, before)
        new = turn.alive & (ended != NOT_ENDED)
        if bool(new.any()):
            self._settle(turn, new, ended)
            turn.alive = turn.alive & ~new
        spent = self._steps(turn.at) >= self._task.options.epochs
        turn.alive = turn.alive & self._keep(turn, turn.alive & spent)
        working = int(turn.alive.sum())
        if not working or not turn.left:
            self._keep(turn, turn.alive)
            self._turn = self._next()
        elif working < CROWDED * len(turn.at):
            self._shrink(turn)

    def ends(self) -> GroupEnds:
        """How each group ended, or stands."""
        if self._turn is not None:
            self._keep(self._turn, self._turn.alive)
        first, second = self._paths
        other = second.state.loss < first.state.loss
        theta = torch.where(other.unsqueeze(-1), second.state.theta, first.state.theta)
        loss = torch.where(other, second.state.loss, first.state.loss)
        return GroupEnds(
            at=self._batch.at,
            initial=self._batch.initial,
            theta=self._objective.whole(theta),
            loss=loss,
            first_loss=self.first_loss,
            epochs=self._steps(_every(loss)),
            reasons=[REASONS[code] for code in self._reasons.tolist()],
            history=self._history,
        )

    # --- turns ------------------------------------------------------------------------------------

    def _next(self) -> Turn | None:
        """The next turn; None where all groups have ended."""
        if not self._waiting:
            self._decide()
            self._waiting = self._queue(self._undecided())
        return self._take(*self._waiting.pop(0)) if self._waiting else None

    def _queue(self, at: Tensor) -> list[tuple[int, Tensor]]:
        """Which groups go on with which way."""
        if not len(at):
            return []
        if not self._paths[1].begun:
            return [(1, at)]
        first, second = (path.ended[at] == NOT_ENDED for path in self._paths)
        turns = [path.steps[at] // PATIENCE for path in self._paths]
        way = torch.where(first & (~second | (turns[0] <= turns[1])), 0, 1)
        parts = [(number, at[way == number]) for number in (0, 1)]
        return [(number, groups) for number, groups in parts if len(groups)]

    def _take(self, way: int, at: Tensor) -> Turn:
        whole = len(at) == len(self._batch)
        objective = self._objective if whole else self._objective.on(at)
        model, path = self._model(objective), self._paths[way]
        if path.begun:
            # Its first step, which a separable way takes by another rule, is done.
            first = replace(path.state, epoch=way)
            state = first if whole else lm.select(first, at)
        else:
            path.begun = True
            state = lm.begin(model, objective.initial[:, self._free], WAYS[way])
        alive = torch.ones_like(at, dtype=torch.bool)
        return Turn(way, at, objective, model, state, alive, PATIENCE)

    def _shrink(self, turn: Turn) -> None:
        kept = turn.alive.nonzero().squeeze(-1)
        turn.objective = turn.objective.on(kept)
        turn.model = self._model(turn.objective)
        turn.state = lm.select(turn.state, kept)
        turn.at, turn.alive = turn.at[kept], turn.alive[kept]

    # --- endings ----------------------------------------------------------------------------------

    def _ended(self, turn: Turn, before: lm.State) -> Tensor:
        """How each group of a turn has ended, if it has."""
        state, tolerance = turn.state, self._task.options.tolerance
        converged = lm.converged(state, self._tolerance)
        if tolerance.loss:
            fell = before.loss - state.loss
            converged |= state.accepted & (fell <= tolerance.loss * before.loss)
        if tolerance.gradient:
            first = self._first_gradient[turn.at].abs().amax(dim=-1)
            size = lm.gradient(turn.model, state).abs().amax(dim=-1)
            converged |= size <= tolerance.gradient * first
        stalled = torch.where(lm.stalled(state), STALLED, NOT_ENDED)
        return torch.where(converged, CONVERGED, stalled)

    def _settle(self, turn: Turn, new: Tensor, ended: Tensor) -> None:
        """Keeps how some groups of a turn ended, and whether that is believed."""
        chosen = new.nonzero().squeeze(-1)
        path, at = self._paths[turn.way], turn.at[chosen]
        state = lm.select(turn.state, chosen)
        objective = turn.objective.on(chosen)
        doubtful = lm.uncertain(self._model(objective), state)
        still = EXPLAINED * objective.still_loss()
        doubtful |= (state.loss >= still) & (still > 0)
        path.ended[at] = ended[chosen]
        path.believed[at] = (ended[chosen] == CONVERGED) & ~doubtful
        _write(path.state, at, state)

    def _keep(self, turn: Turn, groups: Tensor) -> Tensor:
        """Keeps where some groups of a turn stand; which groups are others."""
        if bool(groups.any()):
            chosen = groups.nonzero().squeeze(-1)
            _write(self._paths[turn.way].state, turn.at[chosen], lm.select(turn.state, chosen))
        return ~groups

    def _decide(self) -> None:
        """Ends the groups whose lowest way is believed, all of whose ways have ended, or that have
        done all of their epochs."""
        first, second = self._paths
        lowest = torch.minimum(first.state.loss, second.state.loss) * (1 + 1e-9)
        believed = (first.believed & (first.state.loss <= lowest)) | (
            second.believed & (second.state.loss <= lowest)
        )
        lower = torch.where(second.state.loss < first.state.loss, second.ended, first.ended)
        over = (first.ended != NOT_ENDED) & (second.ended != NOT_ENDED)
        spent = self._steps(_every(lower)) >= self._task.options.epochs
        reason = torch.where(spent, MAX_EPOCHS, NOT_ENDED)
        reason = torch.where(over, lower, reason)
        reason = torch.where(believed, CONVERGED, reason)
        self._reasons = torch.where(self._reasons == NOT_ENDED, reason, self._reasons)

    def _hopeless(self) -> Tensor:
        """Ends the groups that have no finite loss to start from, or nothing to fit."""
        finite = torch.isfinite(self.first_loss)
        reason = torch.where(finite, CONVERGED if not self._free else NOT_ENDED, DIVERGED)
        self._paths[0].steps += (reason != NOT_ENDED).long()
        return reason

    def _undecided(self) -> Tensor:
        return (self._reasons == NOT_ENDED).nonzero().squeeze(-1)

    # --- parts ------------------------------------------------------------------------------------

    def _steps(self, at: Tensor) -> Tensor:
        """Trial steps of some groups, on both ways."""
        return self._paths[0].steps[at] + self._paths[1].steps[at]

    def _model(self, objective: GroupObjective) -> lm.Model:
        return model_of(self._task.problem, objective, self._linear)

    def _path(self, state: lm.State) -> Path:
        names = [name for name in lm.State.__dataclass_fields__ if name != "epoch"]
        own = replace(state, **{name: getattr(state, name).clone() for name in names})
        return Path(
            own,
            torch.full_like(self._batch.at, NOT_ENDED),
            torch.zeros_like(self._batch.at, dtype=torch.bool),
            torch.zeros_like(self._batch.at),
        )

    def _record(self, turn: Turn, before: lm.State) -> None:
        """The epoch of each group at work: loss and gradient before it, params after."""
        if self._history is None:
            return
        at, alive = turn.at[turn.alive], turn.alive
        gradient = turn.objective.whole(turn.state.theta).new_zeros(
            (len(turn.at), self._batch.initial.shape[-1])
        )
        gradient[:, self._free] = lm.gradient(turn.model, before)
        theta = turn.objective.whole(turn.state.theta)
        self._history.add(at, self._steps(at), before.loss[alive], theta[alive], gradient[alive])


def model_of(problem: Problem, objective: GroupObjective, linear: Tensor) -> lm.Model:
    """What is minimised; `linear` says which free params the prediction is jointly linear in."""
    free = list(objective.free)
    linearise = partial(objective.linearise, factors=swift_triangles)
    lower, upper = problem.lower[free], problem.upper[free]
    return lm.Model(linearise, objective.rows, lower, upper, linear, problem.is_bounded)


def _every(groups: Tensor) -> Tensor:
    return torch.arange(len(groups), device=groups.device)


def _write(whole: lm.State, at: Tensor, part: lm.State) -> None:
    """Puts the states of some groups among those of all."""
    for name in lm.State.__dataclass_fields__:
        if name != "epoch":
            getattr(whole, name)[at] = getattr(part, name)
