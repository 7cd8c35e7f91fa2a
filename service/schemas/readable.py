"""Requests whose body may be a text that is read as a table."""

from __future__ import annotations

from typing import Self

from pydantic import PrivateAttr

from service.schemas.base import Answer, Request
from service.schemas.columns import Data, Units
from service.schemas.reading import Reading


class Readable(Request):
    """A request whose body may be a text that is read as a table."""

    _reading: Reading | None = PrivateAttr(default=None)

    @property
    def reading(self) -> Reading | None:
        """What was understood of a CSV body; it is no part of what was asked."""
        return self._reading

    def with_reading(self, reading: Reading | None) -> Self:
        """The same request, of a body that was read so."""
        copied = self.model_copy()
        copied._reading = reading
        return copied


class ReadRequest(Readable):
    """Data, in any form."""

    data: Data
    """Columns of equal length, by name, or rows as objects."""
    units: Units = {}
    """Units of columns, by name."""


class Columns(Answer):
    """The columns of a body, as every other route reads them."""

    data: Data
    """By name, of equal length; null where a value is missing."""
    units: dict[str, str]
    """Of the columns that have one, by name."""
    n: int
    """Their length."""
    reading: Reading | None
    """What was understood of a CSV body; null for others."""
