"""What a header's cells name: a name that a formula can use, and a unit for the axes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_FUNCTIONS = frozenset({"log", "ln", "log10", "log2", "exp", "sqrt", "sin", "cos", "tan", "abs"})
"""Before a parenthesis without a space: `log(dose)` is no dose in units of log."""
LONGEST_UNIT = 64


def split(cell: str) -> tuple[str, str]:
    """A header's name and unit: `t_u (°C)` is `t_u` in °C, `flow rate [l/min]` is `flow_rate`.

    The unit is empty where there is none.
    """
    cell = cell.strip()
    before, bracket, unit = _bracketed(cell)
    is_call = bracket == "(" and before.casefold() in _FUNCTIONS
    if before.strip() and not is_call:
        return identifier(before), unit.strip()[:LONGEST_UNIT]
    return identifier(cell), ""


def _bracketed(cell: str) -> tuple[str, str, str]:
    """What stands before the brackets at a cell's end, the one that opens them, and what is in
    them; empty where there are none, or others within. Found from the end, in one pass."""
    at = max(cell.rfind("["), cell.rfind("("))
    inner = cell[at + 1 : -1]
    if at < 0 or cell[-1] not in "])" or "]" in inner or ")" in inner:
        return "", "", ""
    return cell[:at], cell[at], inner


def identifier(text: str) -> str:
    """A name that a formula can use: what is neither letter nor digit becomes `_`."""
    text = unicodedata.normalize("NFKC", text.strip())
    if text.isidentifier() and not text.startswith("__"):
        return text
    name = re.sub(r"\W+", "_", text).strip("_")
    return f"_{name}" if name[:1].isdigit() else name


def unnamed(count: int) -> list[str]:
    """The names of columns without a header: y; x and y; x1, x2, … and y."""
    if count <= 2:
        return ["x", "y"][2 - count :]
    return [*(f"x{i}" for i in range(1, count)), "y"]


def of_header(cells: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The names of a header's cells, empty where one says nothing; and the units, by name."""
    pairs = [split(cell) for cell in cells]
    return [name for name, _ in pairs], {name: unit for name, unit in pairs if name and unit}
