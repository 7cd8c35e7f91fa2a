"""What a cell of a table is: a number, a date, a mark of a missing value, or text."""

from __future__ import annotations

import re

from service.schemas.keys import LONGEST_NUMBER
from service.schemas.units import is_unit

NULLS = ("", "NA", "na", "N/A", "n/a", "#N/A", "NaN", "nan", "NAN", "null", "NULL", "None")
"""The texts of a missing value."""
MARKS = (
    *("OL", "+OL", "-OL", "O.L", "O.L.", "OVRFLW", "OVFLW", "OVERFLOW", "OVLD", "OVLOAD"),
    *("OVERLOAD", "OVER", "OVR", "OVERRANGE", "UNDER", "UNDERFLOW", "-", "--", "---", "----"),
    *("*", "***", "*****", "ERR", "ERROR", "Error", "INVALID", "Invalid", "none"),
    *("n.a.", "?", "#DIV/0!", "#VALUE!", "#REF!", "#NUM!", "Overflow", "overflow", "OVERFLW"),
    *("Undetermined", "No Ct", "N/D", "n.d.", "<LOD", "BDL"),
)
"""The texts that stand for a value that an instrument could not measure, in a column of numbers."""
OVERFLOWS = (9.9e37, 9.91e37, 9.99999999e37)
"""The numbers that stand for one, of either sign (SCPI-99, volume 1, 7.2.1; multimeters)."""

_NUMBER = re.compile(
    r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?|[+-]?inf(?:inity)?", re.IGNORECASE
)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?")
_DATE = re.compile(
    r"(?:\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d\d)|\d{4}/\d{1,2}/\d{1,2})"
    r"(?:[ T]\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?(?:Z|[AaPp][Mm]|[+-]\d\d:?\d\d))?)?"
    r"|\d{1,3}:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?[AaPp][Mm])?"
)


def is_number(cell: str, decimal: str = ".") -> bool:
    """Whether a cell is a number with that decimal sign; a quoted one may have commas between its
    thousands."""
    if len(cell) > LONGEST_NUMBER:
        return False
    if decimal == ",":
        return bool(_NUMBER.fullmatch(cell) or _DECIMAL_COMMA.fullmatch(cell))
    return bool(_NUMBER.fullmatch(cell) or _THOUSANDS.fullmatch(cell))


def is_plain_number(cell: str) -> bool:
    """Whether a cell is a number with a decimal point, without commas."""
    return len(cell) <= LONGEST_NUMBER and bool(_NUMBER.fullmatch(cell))


def number_and_unit(cell: str) -> tuple[str, str]:
    """The number and the unit of a cell such as `12.5 %`; both empty for any other."""
    number, unit = _NUMBER.match(cell), ""
    if number is None or len(cell) > LONGEST_NUMBER:
        return "", ""
    unit = cell[number.end() :].strip()
    return (number[0], unit) if is_unit(unit) else ("", "")


def is_decimal_comma(cell: str) -> bool:
    """Whether a cell is a number with a decimal comma."""
    return len(cell) <= LONGEST_NUMBER and bool(_DECIMAL_COMMA.fullmatch(cell))


def has_thousands(cell: str) -> bool:
    """Whether a cell is a number with commas between its thousands: 1,000 or 12,345.6."""
    return len(cell) <= LONGEST_NUMBER and bool(_THOUSANDS.fullmatch(cell))


def is_date(cell: str) -> bool:
    """Whether a cell looks like a date, a time of day, or both."""
    return len(cell) <= 40 and bool(_DATE.fullmatch(cell))


def is_value(cell: str, decimal: str = ".") -> bool:
    """Whether a cell is a number, a date or a missing value."""
    bare = cell.strip()
    return bare in NULLS or bare in MARKS or is_number(bare, decimal) or is_date(bare)


def is_measured(cell: str, decimal: str = ".") -> bool:
    """Whether a cell is a number or a date."""
    bare = cell.strip()
    return is_number(bare, decimal) or is_date(bare)
