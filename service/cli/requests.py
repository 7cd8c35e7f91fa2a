"""Converts command-line options to the options of a request."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from service.cli import exits

Tree = dict[str, Any]


def request(
    *,
    params: Iterable[str] = (),
    fixed: Iterable[str] = (),
    bounds: Iterable[str] = (),
    ties: Iterable[str] = (),
    priors: Iterable[str] = (),
    reports: Iterable[str] = (),
    errors: Iterable[str] = (),
    settings: Iterable[str] = (),
    patch: str | None = None,
    **options: Any,
) -> Tree:
    """The given options as a request has them. An invalid one ends the command."""
    made = {name: _json_or_text(value) for name, value in options.items() if value is not None}
    started: dict[str, Tree] = {
        name: {"value": _number(value, name)} for name, value in map(_pair, params)
    }
    for name, value in map(_pair, fixed):
        started[name] = {"value": _number(value, name), "fixed": True}
    for name, limits in map(_pair, bounds):
        started.setdefault(name, {}).update(_bounds(limits, name))
    for name, text in map(_pair, ties):
        started.setdefault(name, {})["expr"] = text
    for name, known in map(_pair, priors):
        started.setdefault(name, {})["prior"] = _prior(known, name)
    asked_reports = list(reports)
    if asked_reports == ["default"]:
        made["report"] = "default"
    elif asked_reports:
        made["report"] = dict(map(_pair, asked_reports))
    spreads = {name: _json_or_text(value) for name, value in map(_pair, errors)}
    if spreads:
        made["sigma_x"] = spreads
    if started:
        made["params"] = {name: _short(param) for name, param in started.items()}
    for path, value in map(_pair, settings):
        _set(made, path.split("."), _json_or_text(value))
    if patch is not None:
        asked = _object(patch)
        made = merged({name: _as_object(value, name, asked) for name, value in made.items()}, asked)
    return made


def earlier(path: Path) -> Any:
    """The `predict` of a saved fit, as a prior."""
    from service.client import Fit

    return Fit.load(path).raw["predict"]


def noise(expr: str, estimated: Iterable[str]) -> Tree:
    """σ as an expression, with the params that are estimated, some with an initial value."""
    found: Tree = {}
    for word in estimated:
        name, equals, value = word.partition("=")
        found[name.strip()] = _number(value, name) if equals else None
    return {"expr": expr, "estimate": found} if found else {"expr": expr}


def merged(target: Any, patch: Any) -> Any:
    """`target` with a JSON merge patch (RFC 7396) applied."""
    if not isinstance(patch, dict):
        return patch
    made = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = merged(made.get(name), value)
    return made


def values(params: Iterable[str]) -> dict[str, float]:
    """`w=1` and `b=0` as numbers by name."""
    return {name: _number(value, name) for name, value in map(_pair, params)}


def _pair(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not (name.strip() and equals):
        exits.usage(f"'{word}' is not of the form name=value")
    return name.strip(), value.strip()


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        exits.usage(f"the value of '{name}' must be a number, not '{text}'")


def _bounds(text: str, name: str) -> dict[str, float]:
    """`0:10`, `0:` or `:10`."""
    low, colon, high = text.partition(":")
    if not colon:
        exits.usage(f"the bounds of '{name}' must be low:high, low: or :high")
    sides = {"min": low.strip(), "max": high.strip()}
    return {side: _number(value, name) for side, value in sides.items() if value}


def _prior(text: str, name: str) -> dict[str, float]:
    """`1.9:0.05`, a mean and a standard deviation."""
    mean, colon, sd = text.partition(":")
    if not colon:
        exits.usage(f"the prior of '{name}' must be mean:sd, such as 1.9:0.05, not '{text}'")
    return {"mean": _number(mean, name), "sd": _number(sd, name)}


def limits(text: str, name: str) -> list[float]:
    """`0:10`"""
    ends = _bounds(text, name)
    if len(ends) < 2:
        exits.usage(f"the {name} must be low:high, not '{text}'")
    return [ends["min"], ends["max"]]


def _short(param: Tree) -> Any:
    return param["value"] if set(param) == {"value"} else param


def _as_object(value: Any, name: str, patch: Tree) -> Any:
    """A bare name as the object that it stands for, where a patch goes into that."""
    bare = isinstance(value, str) and isinstance(patch.get(name), dict)
    return {_KEYS.get(name, "name"): value} if bare else value


def _set(tree: Tree, path: list[str], value: Any) -> None:
    """Puts a value at a path. A bare name on the way is that of an object: `sgd` and then
    `optimizer.learning_rate`."""
    for part in path[:-1]:
        below = tree.get(part)
        if not isinstance(below, dict):
            below = {} if below is None else {_KEYS.get(part, "name"): below}
            tree[part] = below
        tree = below
    tree[path[-1]] = value


_KEYS = {
    "gradient": "method", "interval": "kind", "group_by": "column", "outliers": "method",
}  # fmt: skip
"""The field that a bare name gives, where it is not `name`."""


def _json_or_text(value: Any) -> Any:
    """The value of a text that is JSON; any other text unchanged."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _object(text: str) -> Tree:
    found = _json_or_text(text)
    if not isinstance(found, dict):
        exits.usage(f"a patch must be a JSON object, not '{text}'")
    return found
