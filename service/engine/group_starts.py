"""Starts for groups whose initial values nobody gave: searched for on a few of them.

Any one group may be noise, constant or broken: a start is
kept only if it explains something of the group that it was found on, and groups that end badly get
another turn, from where the others ended well and from searches on some of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from service.engine.group_marquardt import model_of
from service.engine.group_objective import GroupObjective
from service.engine.group_result import GroupEnds
from service.engine.groups import Batch, GroupedTask
from service.engine.marquardt import WAYS, linear_params
from service.engine.multistart import POLISHED_ROWS, SAME, Search, polish, screen, thinned
from service.engine.optimizers import levenberg_marquardt as lm
from service.engine.problem import Problem

STARTS = 4
"""The ends of one search that groups may start from."""
MUCH = 0.5
"""So large a part of a group's variation explained, and no other group is searched on."""
LITTLE = 0.05
"""So small a part, and what was found is no start."""
PLACES = (1 / 2, 3 / 4, 1, 1 / 4, 0)
"""Where in the order of their sizes the groups lie that are searched on, in turn."""
ENOUGH = 4
"""Rows for each free param that a group to search on should have."""
AGAIN = 4
"""Groups that ended badly of which so many have a search of their own, at most."""
SHARED = 3
"""Groups that ended well of which so many lend their params."""


@dataclass(frozen=True, eq=False)
class Round:
    """What there is to fit in batches, and from where."""

    left: tuple[Tensor, ...]
    """The batches that wait, by their groups."""
    starts: Tensor
    """(starts, params); where there is none, the initial values are."""
    search: tuple[int, ...]
    """The groups that are yet to be searched on."""
    again: bool = False
    """Whether it is the second, of groups that have ended badly."""


class GroupSearch:
    """A search on some groups in turn. In a first round one that explains much is enough."""

    def __init__(self, task: GroupedTask, planned: Round) -> None:
        self._task, self._waiting = task, list(planned.search)
        self._enough = torch.inf if planned.again else MUCH
        self._found: list[Tensor] = list(planned.starts)
        self._problem: Problem | None = None
        self._search = Search(())

    @property
    def done(self) -> bool:
        return self._problem is None and not self._waiting

    @property
    def starts(self) -> Tensor:
        """(starts, params)"""
        return torch.stack(self._found) if self._found else self._task.initial[:0]

    def step(self) -> None:
        """One candidate more, or the next group."""
        options = self._task.options
        if self._problem is None:
            self._problem = self._task.one(self._waiting[0]).problem
            self._search = screen(self._problem, options.search, options.seed)
        elif not self._search.done:
            self._search = polish(thinned(self._problem, POLISHED_ROWS), self._search)
        else:
            self._keep(self._waiting.pop(0))
            self._problem = None

    def _keep(self, group: int) -> None:
        """Takes over the ends that explain about as much as the lowest does."""
        still = float(still_losses(self._task, torch.tensor([group]))[0])
        ends = sorted(self._search.ends, key=lambda end: end[1])
        if not (ends and ends[0][1] <= (1 - LITTLE) * still):
            return
        most, before, kept = 0.5 * (still + ends[0][1]), -torch.inf, 0
        for theta, loss in ends:
            if loss <= most and loss > before * (1 + SAME) and kept < STARTS:
                self._found.append(theta)
                before, kept = loss, kept + 1
        if ends[0][1] <= (1 - self._enough) * still:
            self._waiting.clear()


def first_round(task: GroupedTask, left: Sequence[Tensor]) -> Round:
    """All batches, from what a search on groups of diverse sizes finds."""
    search: tuple[int, ...] = ()
    if left and task.options.search:
        by_size = torch.cat(list(left))
        by_size = by_size[torch.argsort(task.sizes[by_size], stable=True)]
        wanted = ENOUGH * len(task.problem.free_params)
        eligible = by_size[task.sizes[by_size] >= wanted]
        if not len(eligible):
            eligible = by_size[-len(PLACES) :]
        at = dict.fromkeys(int(place * (len(eligible) - 1)) for place in PLACES)
        search = tuple(int(eligible[i]) for i in at)
    return Round(tuple(left), task.initial[:0], search)


def second_round(task: GroupedTask, ended: Sequence[GroupEnds], starts: Tensor) -> Round:
    """The groups that ended badly: short of convergence, or explaining far less than some
    other does. They have as starts where others ended, too."""
    at = torch.cat([ends.at for ends in ended])
    theta, loss = (torch.cat([getattr(e, name) for e in ended]) for name in ("theta", "loss"))
    converged = torch.cat([ends.converged for ends in ended])
    still = torch.cat([still_losses(task, ends.at) for ends in ended])
    varied = still > 0
    explained = torch.where(varied, 1 - loss / still, 0.0).nan_to_num(nan=0.0, neginf=0.0)
    telling = converged & (task.sizes[at] > len(task.problem.free_params))
    best = float(explained[telling].max()) if bool(telling.any()) else 0.0
    poor = varied & (explained < max(LITTLE, best - MUCH))
    bad = ~converged | poor
    good = theta[~bad & (explained > LITTLE)]
    middle = good.median(dim=0).values.unsqueeze(0) if len(good) else good
    starts = torch.cat(
        [starts, middle, _spread(good, SHARED), task.problem.initial.unsqueeze(0).to(theta)]
    )
    hopeful = bad & varied & torch.isfinite(loss)
    hopeful = hopeful if bool(hopeful.any()) else bad & ~torch.isfinite(loss)
    mask = torch.zeros_like(task.sizes, dtype=torch.bool)
    mask[at[bad]] = True
    left = tuple(part for each in task.batches() if len(part := each[mask[each]]))
    return Round(left, starts, tuple(_spread(at[hopeful], AGAIN).tolist()), again=True)


def lower_of(ended: Sequence[GroupEnds], again: GroupEnds, groups: int) -> list[GroupEnds]:
    """How groups ended, when some have ended again: each where its loss is lower."""
    loss = again.loss.new_full((groups,), torch.nan)
    converged = torch.zeros(groups, dtype=torch.bool, device=loss.device)
    for ends in ended:
        loss[ends.at], converged[ends.at] = ends.loss, ends.converged
    before, after = loss[again.at], again.loss
    lower = (after < before * (1 - 1e-9)) | (torch.isfinite(after) & ~torch.isfinite(before))
    lower |= (after <= before * (1 + 1e-9)) & again.converged & ~converged[again.at]
    taken = torch.zeros_like(converged)
    taken[again.at[lower]] = True
    parts = [ends.on(~taken[ends.at]) for ends in ended]
    return [part for part in (*parts, again.on(lower)) if len(part.at)]


def set_out(task: GroupedTask, batch: Batch, planned: Round) -> Batch:
    """The batch with each group at the start of the lowest loss; in a second round, once the params
    that the prediction is linear in are solved for, which leads to other ends than the first."""
    starts = planned.starts if len(planned.starts) else task.problem.initial.unsqueeze(0)
    if len(starts) == 1:
        return replace(batch, initial=starts.expand(len(batch), -1).clone())
    objective = GroupObjective.of(task.problem, batch)
    free, linear = list(objective.free), linear_params(task.problem)
    model = model_of(task.problem, objective, linear)
    points, losses = [], []
    for start in starts:
        state = lm.begin(model, start[free].expand(len(batch), -1), WAYS[1])
        if planned.again and bool(linear.any()):
            state = lm.advance(model, state, WAYS[1])
        points.append(state.theta)
        losses.append(state.loss.nan_to_num(nan=torch.inf))
    best = torch.stack(losses).argmin(dim=0)
    initial = starts[best]
    initial[:, free] = torch.stack(points)[best, torch.arange(len(batch), device=best.device)]
    return replace(batch, initial=initial)


def still_losses(task: GroupedTask, at: Tensor) -> Tensor:
    """What there is to explain in some groups: the losses of their means, (groups,)."""
    batch = task.batch(at.to(task.codes.device))
    return GroupObjective.of(task.problem, batch).still_loss()


def _spread(items: Tensor, most: int) -> Tensor:
    """At most so many of them, evenly spread."""
    if len(items) <= most:
        return items
    places = torch.linspace(0, len(items) - 1, most).long()
    return items[places.to(items.device)]
