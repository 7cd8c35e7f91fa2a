"""Column headers of a table: a name that a formula can use, and a unit for the axes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from service.schemas.units import is_unit

_FUNCTIONS = frozenset({"log", "ln", "log10", "log2", "exp", "sqrt", "sin", "cos", "tan", "abs"})
"""Functions: `log(dose)` is a name, not `log` in units of dose."""
LONGEST_UNIT = 64

_CYRILLIC, _LATIN = re.compile("[\u0400-\u04ff]"), re.compile("[A-Za-z]")
_LOOK_ALIKE = str.maketrans(
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0430\u0435\u043e\u0440\u0441\u0442\u0443\u0445",
    "ABEKMHOPCTXaeopctyx",
)


def split(cell: str) -> tuple[str, str]:
    """The name and the unit of a header cell: `t_u (°C)` is `t_u` in °C, `flow rate [l/min]` is
    `flow_rate` in l/min. The unit is empty where there is none.
    """
    cell = cell.strip()
    before, bracket, inner = _bracketed(cell)
    if ":" in inner and before.strip():  # a remark, such as a serial number
        cell = before.strip()
        before, bracket, inner = _bracketed(cell)
    name, comma, after = cell.rpartition(", ")
    if comma and name and not inner and is_unit(after):
        return identifier(name), after.strip()
    is_number = inner.strip().replace(".", "", 1).isdigit()
    apart = bracket == "[" or before[-1:].isspace() or _is_unit(before, inner)
    if before.strip() and apart and not is_number:
        return identifier(before), inner.strip()[:LONGEST_UNIT]
    return identifier(cell), ""


def _is_unit(before: str, inner: str) -> bool:
    """Whether parentheses without a space before them hold a unit: `t(s)`, but not `V(in)` or
    `log(A)`."""
    return before.casefold() not in _FUNCTIONS and is_unit(inner)


def unit(cell: str) -> str:
    """The unit in a cell below the header: `(ms)` is ms."""
    bare = cell.strip()
    if bare[:1] in ("(", "[") and bare[-1:] in (")", "]"):
        bare = bare[1:-1].strip()
    return bare[:LONGEST_UNIT]


def _bracketed(cell: str) -> tuple[str, str, str]:
    """The text before the brackets at the end of a cell, the opening bracket and the text inside;
    all empty without brackets or with nested ones. Linear in the length of the cell."""
    at = max(cell.rfind("["), cell.rfind("("))
    inner = cell[at + 1 : -1]
    if at < 0 or cell[-1] not in "])" or "]" in inner or ")" in inner:
        return "", "", ""
    return cell[:at], cell[at], inner


def identifier(text: str) -> str:
    """A name that a formula can use: runs of other characters than letters and digits become
    `_`."""
    text = unicodedata.normalize("NFKC", text.strip())
    if _CYRILLIC.search(text) and _LATIN.search(text):
        text = text.translate(_LOOK_ALIKE)  # such as the Cyrillic т of some programs' `Cт`
    if text.isidentifier() and not text.startswith("__"):
        return text
    name = re.sub(r"\W+", "_", text).strip("_")
    return f"_{name}" if name[:1].isdigit() else name


def unnamed(count: int) -> list[str]:
    """Names for columns without a header: y; x and y; x1, x2, … and y."""
    if count <= 2:
        return ["x", "y"][2 - count :]
    return [*(f"x{i}" for i in range(1, count)), "y"]


def of_header(cells: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The names of the header cells, empty for an empty cell; and the units, by name."""
    pairs = [split(cell) for cell in cells]
    names = [name for name, _ in pairs]
    twice = {name for name in names if name and names.count(name) > 1}
    if twice:  # so the brackets may hold what tells the columns apart
        whole = [identifier(cell) for cell in cells]
        if len(set(whole)) == len(whole):
            pairs = [
                (full, "") if name in twice else (name, unit)
                for full, (name, unit) in zip(whole, pairs, strict=True)
            ]
    return [name for name, _ in pairs], {name: unit for name, unit in pairs if name and unit}
