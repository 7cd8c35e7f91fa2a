"""Keys, which tell groups apart: a number is one only where nothing is lost by it.

Numbers are float64, and one may be written in many ways: 1, 1.0 and 001, or 1E5 and 10E4, which are
wells of a plate. What is written differently never becomes one key.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection
from decimal import Decimal

EXACT_TO = 2**53
"""Up to here float64 holds every whole number."""
LONGEST_NUMBER = 400
"""Characters of a text that may be a number: in plain decimals float64 has up to some 345."""
_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)


def is_exact(value: int | Decimal) -> bool:
    """Whether float64 holds a whole number as it is; of a decimal, whether float64's shortest
    spelling is that number."""
    try:
        number = float(value)
    except OverflowError:
        return False
    if isinstance(value, int):
        return int(number) == value
    return Decimal(repr(number)) == value


def is_plain(text: str) -> bool:
    """Whether a text is a number in plain decimals that float64 gives back: 12, -0.5 or 1.50, and
    not 007, +3, 1E5 or 9007199254740993."""
    if len(text) > LONGEST_NUMBER or not _PLAIN.fullmatch(text):
        return False
    return len(text) <= sys.float_info.dig or is_exact(Decimal(text))


def is_infinite(text: str) -> bool:
    """Whether a text says infinity."""
    return bool(_INFINITE.fullmatch(text))


def are_numbers(texts: Collection[str]) -> bool:
    """Whether distinct keys are numbers: all of them plain, and no two the same number (1, 1.0)."""
    return all(map(is_plain, texts)) and len(set(map(float, texts))) == len(texts)
