"""Extreme numbers, which an axis cannot show: its width is a difference, its ticks are fractions.

Near the limits of float64 a difference overflows, or a fraction is 0. Numbers beyond `HUGE` are
drawn at it, and those within `TINY` of 0 as 0, with a note in the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from service.render.scene import Scene

HUGE, TINY = 1e300, 1e-290
_NOTE = f"numbers beyond {HUGE:g} are drawn there, and those within {TINY:g} of 0 as 0"


def drawable(scene: Scene) -> Scene:
    """The scene with all numbers within the range of an axis."""
    tamed: Scene = _limited(scene)
    return scene if tamed is scene else replace(tamed, notes=(*scene.notes, _NOTE))


def _limited(value: Any) -> Any:
    """The value limited to the range; the value itself if nothing changes."""
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, float):
        found = float(_array(np.array(value)))
        return value if found == value or value != value else found
    if isinstance(value, Mapping):
        made = {name: _limited(each) for name, each in value.items()}
        return made if any(made[name] is not value[name] for name in made) else value
    if isinstance(value, tuple):
        parts = tuple(map(_limited, value))
        return parts if any(a is not b for a, b in zip(parts, value, strict=True)) else value
    if is_dataclass(value) and not isinstance(value, type):
        found_of = {field.name: _limited(getattr(value, field.name)) for field in fields(value)}
        changed = {name: v for name, v in found_of.items() if v is not getattr(value, name)}
        return replace(value, **changed) if changed else value
    return value


def _array(values: Any) -> Any:
    sizes = np.abs(values)
    beyond, within = (sizes > HUGE) & np.isfinite(sizes), (sizes < TINY) & (sizes > 0)
    if not (beyond | within).any():
        return values
    return np.where(beyond, np.copysign(HUGE, values), np.where(within, 0.0, values))
