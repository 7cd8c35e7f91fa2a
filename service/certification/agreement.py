"""How many digits of a certified figure a number has."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from service.certification.case import Figure

_NUMBER = re.compile(r"[+-]?(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d+))?")
_ROUNDING = 1e-6
"""Units by which the difference of two decimals may be off, being of binary numbers."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a value of an answer agrees with its certified text."""

    passed: bool
    digits: float | None = None
    """Digits that agree; None for what is compared as it is: words and counts."""
    printed: int = 0
    """Digits that are printed."""

    @property
    def short(self) -> float:
        """Printed digits that do not agree."""
        return self.printed - (self.digits or 0.0)


def agreement(found: Any, figure: Figure) -> Agreement:
    """A value of an answer against a certified figure.

    All printed digits agree where the difference is at most half a unit of the last one.
    """
    text = figure.text
    parts = _NUMBER.fullmatch(text)
    if parts is None:
        return Agreement(found is None if text == "null" else found == text)
    _, decimals, exponent = parts.groups()
    if decimals is None and exponent is None:
        return Agreement(not isinstance(found, bool) and found == int(text))
    printed = digits_printed(text)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return Agreement(False, 0.0, printed)
    certified = float(text)
    units = abs(found - certified) / 10.0 ** (int(exponent or 0) - len(decimals or ""))
    digits = float(printed)
    if units > 0.5 + _ROUNDING:
        digits = min(digits_of(found, certified), digits)
    needed = figure.needed
    passed = units <= 1.0 + _ROUNDING if needed is None else digits >= min(needed, printed)
    return Agreement(passed, digits, printed)


def digits_printed(text: str) -> int:
    """The significant digits of a number as it is printed; of a zero, its decimals."""
    mantissa = re.split("[eE]", text.lstrip("+-"))[0]
    significant = mantissa.replace(".", "").lstrip("0")
    return len(significant) or len(mantissa.partition(".")[2])


def digits_of(found: float, certified: float) -> float:
    """−log₁₀ of the relative error, or of the error where 0 is certified; at least 0."""
    if not math.isfinite(found):
        return 0.0
    error = abs(found - certified)
    if certified:
        error /= abs(certified)
    return math.inf if error == 0 else max(0.0, -math.log10(error))
