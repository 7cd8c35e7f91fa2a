"""Number formatting with significant digits."""

from __future__ import annotations

import math
from decimal import Decimal

_PLAIN = range(-4, 7)
"""Powers of ten that are written without an exponent."""
_MOST_DIGITS = 13


def uncertain(value: float, error: float | None) -> tuple[str, str]:
    """The value and its standard error, both to the second digit of the error: ("0.537", "0.036").

    Where there is no error, "" stands for it, and the value has six digits.
    """
    if error is None or not math.isfinite(error) or error <= 0 or not math.isfinite(value):
        return number(value), "" if error is None else number(error, 2)
    last = _power(error, 2) - 1
    top = max(_power(value, 6) if value else last, last + 1)
    if top - last >= _MOST_DIGITS:
        return number(value, _MOST_DIGITS), number(error, 2)
    if top in _PLAIN and last > -10:
        return _fixed(value, last), _fixed(error, last)
    mark = f"e{top}"
    return (
        _fixed(Decimal(value).scaleb(-top), last - top) + mark,
        _fixed(Decimal(error).scaleb(-top), last - top) + mark,
    )


def joined(value: float, error: float | None) -> str:
    """The same without spaces: "0.537±0.036", or "(1.20±0.15)e-9"."""
    ours, theirs = uncertain(value, error)
    if not theirs:
        return ours
    head, mark, power = ours.partition("e")
    if mark and theirs.endswith(mark + power):
        return f"({head}±{theirs.partition('e')[0]})e{power}"
    return f"{ours}±{theirs}"


def number(value: float | None, digits: int = 6) -> str:
    """At most `digits` digits, without trailing zeros: "2.92765", "1.8e+34", "NaN", "–" for
    nothing."""
    if value is None:
        return "–"
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value and _power(value, digits) not in _PLAIN:
        head, _, power = f"{value:.{digits - 1}e}".partition("e")
        return f"{head.rstrip('0').rstrip('.') if '.' in head else head}e{int(power)}"
    return _tidy(_fixed(value, _power(value, digits) - digits + 1)) if value else "0"


def counted(count: int, noun: str) -> str:
    """ "1 row", "1,000 rows"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _power(value: float, digits: int) -> int:
    """The power of ten of the first digit, after rounding to `digits`."""
    return int(f"{value:.{digits - 1}e}".partition("e")[2])


def _fixed(value: float | Decimal, last: int) -> str:
    """Rounded at 10^last, without an exponent."""
    if last <= 0:
        return _unsigned_zero(f"{value:.{-last}f}")
    return _unsigned_zero(f"{Decimal(value).scaleb(-last):.0f}" + "0" * last)


def _unsigned_zero(text: str) -> str:
    return text.lstrip("-") if not text.strip("-0.") else text


def _tidy(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
