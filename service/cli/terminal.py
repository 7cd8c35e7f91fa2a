"""What the terminal can do, where there is one."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TextIO

_CODES = {"red": "31", "green": "32", "yellow": "33", "bold": "1"}
_NARROW, _WIDE = 40, 100


def colourful(stream: TextIO | None = None) -> bool:
    """Whether to colour what goes there: a terminal, where NO_COLOR does not forbid it."""
    there = sys.stdout if stream is None else stream
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return there.isatty() and not plain


def paint(text: str, colour: str, stream: TextIO) -> str:
    """The text in a colour, where the stream shows one."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if colourful(stream) else text


def width() -> int:
    """Columns of a report: the terminal's, within what reads well; 80 where there is none."""
    return max(_NARROW, min(shutil.get_terminal_size((80, 24)).columns, _WIDE))
