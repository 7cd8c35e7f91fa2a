"""Numbers that no axis can have: the width of one is a difference, and its ticks are a fraction.

Near the ends of float64 a difference overflows, or a fraction is 0. What lies beyond `HUGE` is
drawn there, and what lies within `TINY` of 0 as 0, and the picture says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from service.schemas.scenes import Scene

HUGE, TINY = 1e300, 1e-290
_NOTE = f"numbers beyond {HUGE:g} are drawn there, and those within {TINY:g} of 0 as 0"


def drawable(scene: Scene) -> Scene:
    """The scene with numbers that an axis can have."""
    tamed: Scene = _tamed(scene)
    return scene if tamed is scene else replace(tamed, notes=(*scene.notes, _NOTE))


def _tamed(value: Any) -> Any:
    """The same, or the value itself where nothing in it has to change."""
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, float):
        found = float(_array(np.array(value)))
        return value if found == value or value != value else found
    if isinstance(value, Mapping):
        made = {name: _tamed(each) for name, each in value.items()}
        return made if any(made[name] is not value[name] for name in made) else value
    if isinstance(value, tuple):
        parts = tuple(map(_tamed, value))
        return parts if any(a is not b for a, b in zip(parts, value, strict=True)) else value
    if is_dataclass(value) and not isinstance(value, type):
        found_of = {field.name: _tamed(getattr(value, field.name)) for field in fields(value)}
        changed = {name: v for name, v in found_of.items() if v is not getattr(value, name)}
        return replace(value, **changed) if changed else value
    return value


def _array(values: Any) -> Any:
    sizes = np.abs(values)
    beyond, within = (sizes > HUGE) & np.isfinite(sizes), (sizes < TINY) & (sizes > 0)
    if not (beyond | within).any():
        return values
    return np.where(beyond, np.copysign(HUGE, values), np.where(within, 0.0, values))
