"""A lower bound of the columns in a JSON body, without parsing it: a million columns of one number
each would take a gigabyte if parsed first."""

from __future__ import annotations

import re

OTHERS = 5000
"""The most members that are lists without being columns: the params of a network, and some more."""
_MEMBER = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"(\s*+:\s*+\[)?|\\?\Z)', re.DOTALL)
"""A string, and `: [` where it names a list. An unterminated string is matched to the end."""


def excess_columns(body: bytes, most: int) -> int:
    """The count of members that are lists, if more than `most` of them must be columns; else 0."""
    if body.count(b"[") <= most + OTHERS:
        return 0
    lists = sum(found[1] is not None for found in _MEMBER.finditer(body))
    return lists if lists > most + OTHERS else 0
