"""How a text was read as a table, and the options that say how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.schemas.base import Answer, Request

DatesUnit = Literal["s", "min", "h", "d"]


class ReadingOptions(Request):
    """Options of a CSV body, in the query string. What is not given is found from the text."""

    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """The character between values; a space stands for any number of spaces and tabs."""
    decimal: Literal[".", ","] | None = None
    """The decimal sign."""
    skip_rows: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Lines to leave out before the header, not counting comments and blank lines."""
    max_rows: Annotated[int, Field(ge=1)] | None = None
    """The most rows to read; the lines below them are left out."""
    header: bool | None = None
    """Whether the columns are named in a line."""
    units_row: bool | None = None
    """Whether the line below the header has the units of the columns."""
    dates: Literal["ymd", "dmy", "mdy"] | None = None
    """The order of day, month and year in dates that are not written year first."""
    dates_unit: DatesUnit | None = None
    """The unit of the numbers that dates and times become: seconds, minutes, hours or days."""
    missing_values: Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=20)] = []
    """Further texts or numbers that stand for a missing value."""
    stack: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """A name. The columns of numbers, but for the first and those in `keep`, are put one below the
    other: the new column of that name has what their header says, and `value` their values."""
    keep: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=50)] | None = None
    """With `stack`, the columns that stay beside the values. Default: the first."""


class Dates(Answer):
    """A column of dates, read as numbers."""

    unit: DatesUnit
    """The unit of the numbers."""
    since: str
    """The date or time that is 0."""


class Reading(Answer):
    """What was understood of a CSV body."""

    separator: str
    """The character between values; a space stands for any number of spaces and tabs."""
    decimal: str
    """The decimal sign."""
    charset: str
    """The character set of the text."""
    header_line: int | None
    """The line that names the columns, from 1."""
    units_line: int | None
    """The line of the columns' units, from 1."""
    lines_left_out: list[int]
    """Lines that are neither header, units, comments nor rows: at most 100 of them."""
    left_out: int
    """Their number."""
    columns_left_out: int
    """Columns beside the table."""
    dates: dict[str, Dates]
    """By column, how its dates became numbers."""
    marks: dict[str, int]
    """By column, the values that were marks of an overflow or the like, now missing."""
