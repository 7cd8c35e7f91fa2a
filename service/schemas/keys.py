"""Group keys: a text is read as a number only if it can be restored from the number.

Numbers are float64, and one number may be written in several ways: 1, 1.0 and 001, or 1E5 and 10E4,
which are wells of a plate. Keys that are written differently always stay different.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection
from decimal import Decimal

EXACT_TO = 2**53
"""float64 represents every integer up to this one."""
LONGEST_NUMBER = 400
"""Maximum characters of a number; in plain decimals, float64 has up to about 345."""
_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)


def is_exact(value: int | Decimal) -> bool:
    """Whether float64 represents an integer exactly; for a decimal, whether the shortest
    representation of the nearest float64 is that number."""
    try:
        number = float(value)
    except OverflowError:
        return False
    if isinstance(value, int):
        return int(number) == value
    return Decimal(repr(number)) == value


def is_plain(text: str) -> bool:
    """Whether a text is a number in plain decimals that survives conversion to float64: 12, -0.5 or
    1.50, but not 007, +3, 1E5 or 9007199254740993."""
    if len(text) > LONGEST_NUMBER or not _PLAIN.fullmatch(text):
        return False
    return len(text) <= sys.float_info.dig or is_exact(Decimal(text))


def is_infinite(text: str) -> bool:
    """Whether a text is an infinite number."""
    return bool(_INFINITE.fullmatch(text))


def are_numbers(texts: Collection[str]) -> bool:
    """Whether distinct keys can be read as numbers: all plain, and no two equal (1, 1.0)."""
    return all(map(is_plain, texts)) and len(set(map(float, texts))) == len(texts)
