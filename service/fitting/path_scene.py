"""The scene of the `path` view: the path of the params on the loss surface."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch

from service.engine import begin, outcome
from service.engine.formula import Formula
from service.engine.objectives.objective import Objective
from service.errors import InvalidData, InvalidRequest, UnknownName, token
from service.fitting.plan import to_plan
from service.fitting.plot_request import Looked, evenly, look, needed
from service.fitting.start import known_names
from service.fitting.ties import own_values
from service.schemas.columns import Numbers
from service.schemas.fit import FitRequest
from service.schemas.options import Param, Tied
from service.schemas.plot import PlotHistory, PlotRequest
from service.schemas.scenes import PathScene

GRID = 121
"""Grid values along each of two axes."""
LINE = 401
"""Grid values along a single axis."""
OPERATIONS = 3e8
"""Budget of the surface: points × rows × operations of the formula; about half a second."""
FEWEST_ROWS, MOST_ROWS = 50, 20_000
NEAR, FIRST = 8.0, 200.0
"""Largest width of the picture, in units of the distance from the start to the lowest loss, to
include the path; and to include its first step."""
ROOM = 0.12
SEARCH_EPOCHS = 100
MOST_STEPS = 2_000

Pair = Numbers
"""(names,)"""


def path_scene(request: PlotRequest, max_rows: int = 2**62) -> PathScene:
    """The loss over one or two params, and the params of the history as a path on it."""
    history = needed(request.history, "history", request.view)
    seen = look(request, MOST_ROWS, max_rows)
    names = _along(seen, history)
    path, epochs = _path(request, history, names)
    seen = _affordable(seen, GRID**2 if len(names) == 2 else LINE)
    lowest = _lowest(seen, names)
    low, high = _window(request, names, path, lowest, seen)
    axes = tuple(
        np.linspace(a, b, GRID if len(names) == 2 else LINE) for a, b in zip(low, high, strict=True)
    )
    drawn, left = _cut(path, low, high)
    kept = [n for n in seen.formula.params if n not in names]
    notes = [*seen.notes]
    if kept:
        notes.append(
            "the other param is at its fitted value"
            if len(kept) == 1
            else f"the other {len(kept)} params are at their fitted values"
        )
    if seen.target.shape[0] < seen.rows:
        notes.append(f"the loss is computed from {seen.target.shape[0]:,} of {seen.rows:,} rows")
    return PathScene(
        title=seen.title,
        names=names,
        axes=axes,
        surface=_surface(seen, names, axes),
        path=drawn,
        epochs=epochs,
        left=left,
        minimum=lowest,
        notes=tuple(notes),
    )


def _along(seen: Looked, history: PlotHistory) -> tuple[str, ...]:
    """The requested params, else the two that changed most."""
    request, params = seen.request, seen.formula.params
    asked = request.along or list(request.axes or ())
    if asked:
        known_names(asked, params, "/along")
        for name in asked:
            if name not in history.params:
                raise UnknownName("param", name, history.params, pointer="/along")
        return tuple(dict.fromkeys(asked))
    gone = {}
    for name in params:
        column = np.array(history.params.get(name, ()), dtype=np.float64)
        begin = (request.start or {}).get(name)
        values = np.append(column, [] if begin is None else [begin])
        values = values[np.isfinite(values)]
        if values.size:
            gone[name] = float(values.max() / 2 - values.min() / 2)
    if not gone:
        raise InvalidRequest(
            "the view 'path' requires the `params` of the history", pointer="/history/params"
        )
    far = sorted(gone, key=lambda name: -gone[name])[:2]
    moved = [name for name in far if gone[name] > 0] or far[:1]
    return tuple(name for name in params if name in moved)


def _path(
    request: PlotRequest, history: PlotHistory, names: tuple[str, ...]
) -> tuple[Numbers, tuple[int, int]]:
    """The points before the first non-finite one, (steps, names), and the epochs of its ends."""
    columns = [history.params[name] for name in names]
    if any(len(column) != len(history.epoch) for column in columns):
        raise InvalidData("the columns of the history differ in length", pointer="/history")
    path = np.array(columns, dtype=np.float64).T.reshape(-1, len(names))
    first = history.epoch[0] if history.epoch else 0
    if request.start is not None and all(name in request.start for name in names):
        path = np.vstack([[request.start[name] for name in names], path])
        first = max(first - 1, 0)
    whole = np.isfinite(path).all(axis=1)
    count = int(whole.argmin()) if not whole.all() else len(path)
    if not count:
        raise InvalidData("the path has no finite point", pointer="/history/params")
    return path[:count], (first, first + count - 1 if not history.epoch else history.epoch[-1])


def _affordable(seen: Looked, points: int) -> Looked:
    """Evenly chosen rows, as many as the budget of the surface allows."""
    most = OPERATIONS / (points * max(seen.formula.operations, 1))
    rows = seen.target.shape[0]
    if rows <= max(most, FEWEST_ROWS):
        return seen
    chosen = torch.from_numpy(evenly(rows, int(max(most, FEWEST_ROWS))))
    return replace(
        seen,
        raw={name: column[chosen] for name, column in seen.raw.items()},
        target=seen.target[chosen],
        sigma=None if seen.sigma is None else seen.sigma[chosen],
    )


def _lowest(seen: Looked, names: tuple[str, ...]) -> Pair | None:
    """The minimum of the loss over these params with the others fixed, by a short fit; (names,)."""
    if not isinstance(seen.formula, Formula) or len(seen.formula.target_columns) != 1:
        return None
    given = seen.request.params or {}
    name = seen.formula.target_columns[0]
    if seen.formula.target != name:
        return None
    columns = seen.problem().columns  # scaled, as the params are
    request = FitRequest(
        model=seen.formula.text,
        data={**{n: x.numpy() for n, x in columns.items()}, name: seen.target.numpy()},
        sigma=None if seen.sigma is None else seen.sigma.tolist(),
        params={
            n: Param(expr=v.expr) if isinstance(v, Tied) else Param(value=v, fixed=n not in names)
            for n, v in given.items()
        },
        loss=seen.request.loss,
        epochs=SEARCH_EPOCHS,
    )
    try:
        run = begin(to_plan(request).task)
        run.step(SEARCH_EPOCHS)
        found = outcome(run)
    except InvalidRequest:
        return None
    where = [float(found.best.params[seen.formula.params.index(n)]) for n in names]
    return np.array(where) if np.isfinite(where).all() and found.best.loss >= 0 else None


def _window(
    request: PlotRequest,
    names: tuple[str, ...],
    path: Numbers,
    lowest: Pair | None,
    seen: Looked,
) -> tuple[Pair, Pair]:
    """The lower and upper corner of the picture, (names,) each."""
    values = own_values(request.params or {})
    ends = np.array([values[name] for name in names])
    anchors = np.vstack([path[:1], ends if lowest is None else lowest])
    low, high = anchors.min(axis=0), anchors.max(axis=0)
    reach = np.maximum(high - low, 1e-3 * np.abs(anchors).max(axis=0))
    reach = np.where(reach > 0, reach, 1.0)
    for step, point in enumerate(path[1:], start=1):
        wider = np.minimum(low, point), np.maximum(high, point)
        if ((wider[1] - wider[0]) > (FIRST if step == 1 else NEAR) * reach).any():
            if step > 1 and ((point < low) | (point > high)).any():
                break
            continue
        low, high = wider
    span = np.maximum(high - low, reach * 0.5)
    middle = low / 2 + high / 2
    low, high = middle - span * (0.5 + ROOM), middle + span * (0.5 + ROOM)
    for i, name in enumerate(names):
        if request.axes and name in request.axes:
            axis = request.axes[name]
            if not axis.min < axis.max:
                raise InvalidData("`min` must be below `max`", pointer=f"/axes/{token(name)}")
            low[i], high[i] = axis.min, axis.max
    if not np.isfinite(high - low).all():
        raise InvalidRequest("the params are too far apart to draw", pointer="/history/params")
    return low, high


def _cut(path: Numbers, low: Pair, high: Pair) -> tuple[Numbers, Pair | None]:
    """The path until it leaves the picture permanently, and the first point outside."""
    inside = ((path >= low) & (path <= high)).all(axis=1)
    last = int(np.flatnonzero(inside).max()) if inside.any() else 0
    if last == len(path) - 1:
        return _fewer(path), None
    outside = path[last + 1]
    before = path[last]
    # Far enough to be clipped by the frame, but not so far that the renderer overflows.
    far = float(np.max(np.abs(outside / 2 - before / 2) / (high - low))) * 2
    beyond = before + (outside - before) * min(1.0, 20.0 / far if math.isfinite(far) else 0.0)
    limit = 20.0 * (high - low)
    whole = np.clip(path[: last + 1], low - limit, high + limit)
    return np.vstack([_fewer(whole), beyond]), outside


def _fewer(path: Numbers) -> Numbers:
    return path[evenly(len(path), MOST_STEPS)]


def _surface(seen: Looked, names: tuple[str, ...], axes: tuple[Numbers, ...]) -> Numbers:
    problem = seen.problem()
    grid = torch.cartesian_prod(*(torch.from_numpy(axis) for axis in axes))
    positions = [problem.params.index(name) for name in names]
    losses: Numbers = Objective(problem).losses(grid, positions).numpy()
    grid_of: Numbers = losses.reshape([len(axis) for axis in axes])
    return grid_of
