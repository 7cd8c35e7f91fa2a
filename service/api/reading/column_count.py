"""How many columns a body of JSON has at least, without parsing it: a million of one number each
would take a gigabyte before they could be counted."""

from __future__ import annotations

import re

OTHERS = 5000
"""Members of a body that may be lists beside its columns: as many as a network has params, and
some."""
_MEMBER = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"(\s*+:\s*+\[)?|\\?\Z)', re.DOTALL)
"""A string, and what follows where it names a list. One that does not end is the last."""


def surely_columns(body: bytes, most: int) -> int:
    """The members of a body that are lists, where they are so many that more than `most` have to be
    columns; else 0."""
    if body.count(b"[") <= most + OTHERS:
        return 0
    lists = sum(found[1] is not None for found in _MEMBER.finditer(body))
    return lists if lists > most + OTHERS else 0
