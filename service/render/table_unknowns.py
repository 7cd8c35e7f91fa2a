"""The table of unknowns."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from service.schemas.grouped import columns_of, values_of
from service.schemas.series import Array, cells, gapped
from service.schemas.unknowns import Unknowns

Table = Mapping[str, Array]


def unknowns_tables(found: Unknowns) -> tuple[Table, ...]:
    """Tables to be put side by side, with one row per unknown, then one per calibrator: the groups,
    the samples, and the facts about them."""
    known = found.calibrators
    back: dict[str, Array | None] = {} if known is None else vars(known)
    more = 0 if known is None else len(known.key)
    none = np.full(more, np.nan)

    def both(own: Array, back: Array | None = None) -> Array:
        return gapped(np.concatenate([own, none if back is None else back]))

    def either(own: Array, back: Array | None = None) -> Array:
        return cells([*own, *([None] * more if back is None else back)])

    keys = either(found.key, back.get("key"))
    if found.replicates_by is None:
        keys = cells([int(key) for key in keys])
    names: dict[str, Array] = {found.replicates_by or "row": keys}
    groups = None
    if found.group is not None:
        groups = either(found.group, back.get("group"))
    facts: dict[str, Array] = {
        "n": np.concatenate([found.n, known.n]) if known else found.n,
        "mean": both(found.mean),
    }
    if found.dilution is not None:
        facts["dilution"] = both(found.dilution)
    facts |= {
        "estimate": both(found.estimate, back.get("back_calculated")),
        "stderr": both(found.stderr),
        "lower": both(found.lower),
        "upper": both(found.upper),
        "status": either(found.status, back.get("status")),
    }
    if found.roots is not None:
        lists = (roots and " ".join(map(repr, roots)) for roots in found.roots)
        facts["roots"] = either(cells(list(lists)))
    if known is not None:
        unknown = np.full(len(found.key), np.nan)
        facts |= {
            "nominal": both(unknown, known.nominal),
            "recovery_percent": both(unknown, known.recovery_percent),
            "cv_percent": both(unknown, known.cv_percent),
            "within": either(cells([None] * len(found.key)), known.within),
            **_limits(found, groups, len(keys)),
        }
    facts["detail"] = either(found.detail)
    first: dict[str, Array] = {}
    if groups is not None and found.group_by is not None:
        parts = zip(*map(values_of, groups), strict=True)
        first = dict(zip(columns_of(found.group_by), map(cells, parts), strict=True))
    return first, names, facts


def _limits(found: Unknowns, groups: Array | None, rows: int) -> Table:
    """The limits of quantification, in each row those of its curve."""
    if found.limits is None or groups is None:
        return {
            "lloq": gapped(np.full(rows, np.nan if found.lloq is None else found.lloq)),
            "uloq": gapped(np.full(rows, np.nan if found.uloq is None else found.uloq)),
        }
    made = {}
    for name in ("lloq", "uloq"):
        of = dict(zip(map(values_of, found.limits.group), getattr(found.limits, name), strict=True))
        made[name] = gapped([of.get(values_of(group), np.nan) for group in groups])
    return made
