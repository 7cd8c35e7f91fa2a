"""How a text was read as a table, and the options that say how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.schemas.base import Answer, Request


class ReadingOptions(Request):
    """Options of a CSV body, in the query string. What is not given is found from the text."""

    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """The character between values; a space stands for any number of spaces and tabs."""
    decimal: Literal[".", ","] | None = None
    """The decimal sign."""
    skip_rows: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Lines to leave out before the header, not counting comments and blank lines."""
    header: bool | None = None
    """Whether the columns are named in a line."""
    units_row: bool | None = None
    """Whether the line below the header has the units of the columns."""
    dates: Literal["ymd", "dmy", "mdy"] | None = None
    """The order of day, month and year in dates that are not written year first."""
    missing_values: Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=20)] = []
    """Further texts or numbers that stand for a missing value."""


class Dates(Answer):
    """A column of dates, read as numbers."""

    unit: Literal["s", "h", "d"]
    since: str
    """The date or time that is 0."""


class Reading(Answer):
    """What was understood of a CSV body."""

    separator: str
    decimal: str
    charset: str
    header_line: int | None
    """The line that names the columns, from 1."""
    units_line: int | None
    lines_left_out: list[int]
    """Lines that are neither header, units, comments nor rows: at most 100 of them."""
    left_out: int
    """Their number."""
    columns_left_out: int
    """Columns beside the table."""
    dates: dict[str, Dates]
    marks: dict[str, int]
    """By column, the values that were marks of an overflow or the like, now missing."""
