"""The terminal's width and colours."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TextIO

_CODES = {"red": "31", "green": "32", "yellow": "33", "bold": "1"}
_NARROW, _WIDE = 40, 100


def colourful(stream: TextIO | None = None) -> bool:
    """Whether to use colours: on a terminal, unless NO_COLOR is set or TERM is dumb."""
    there = sys.stdout if stream is None else stream
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return there.isatty() and not plain


def paint(text: str, colour: str, stream: TextIO) -> str:
    """The text in a colour, if the stream shows colours."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if colourful(stream) else text


def width() -> int:
    """The width of a report: the terminal's, from 40 to 100; 80 without a terminal."""
    return max(_NARROW, min(shutil.get_terminal_size((80, 24)).columns, _WIDE))
