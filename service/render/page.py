"""The elements of a report: headings, marks, paragraphs, tables; optionally in colour."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from service.render.cells import aligned, clipped, visible, wrapped

Colour = Literal["bold", "dim", "red", "yellow", "green"]
_CODES: dict[Colour, str] = {"bold": "1", "dim": "2", "red": "31", "yellow": "33", "green": "32"}

LEAST_WIDTH = 40
INDENT = "  "


@dataclass(slots=True)
class Page:
    """Lines of at most `width` columns."""

    width: int = 80
    color: bool = False
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.width = max(self.width, LEAST_WIDTH)

    @property
    def room(self) -> int:
        """Columns of indented text."""
        return self.width - len(INDENT)

    def heading(self, text: str) -> None:
        """A heading, with an empty line above it."""
        self.space()
        for line in wrapped(text, self.width):
            self.lines.append(self.painted(line, "bold"))

    def space(self) -> None:
        """One empty line, unless there is one."""
        if self.lines and self.lines[-1]:
            self.lines.append("")

    def text(self, text: str, *, indent: str = INDENT, colour: Colour | None = None) -> None:
        """A paragraph."""
        for line in wrapped(text, self.width, indent):
            self.lines.append(self.painted(line, colour) if colour else line)

    def listed(self, mark: str, text: str, colour: Colour | None = None) -> None:
        """A paragraph after a mark in its margin."""
        for line in wrapped(text, self.width, f"{INDENT}{mark} "):
            self.lines.append(self.painted(line, colour) if colour else line)

    def table(self, rows: Sequence[Sequence[str]], sides: str, *, headed: bool = False) -> None:
        """Cells in columns, the first row as their heads; long cells end in "…"."""
        made = aligned([[visible(cell) for cell in row] for row in rows], sides)
        lines = [clipped(INDENT + line, self.width) for line in made]
        if headed:
            lines[0] = self.painted(lines[0], "dim")
        self.lines.extend(lines)

    def verbatim(self, lines: Iterable[str]) -> None:
        """Lines that fit the width, unwrapped."""
        self.lines.extend(lines)

    def patch(self, patch: dict[str, Any], indent: str) -> None:
        """JSON that can be copied, whatever its line breaks."""
        self.text(json.dumps(patch, ensure_ascii=False), indent=indent)

    def painted(self, line: str, colour: Colour) -> str:
        """The line in a colour, without effect on its width."""
        return f"\x1b[{_CODES[colour]}m{line}\x1b[0m" if self.color else line

    def __str__(self) -> str:
        return "\n".join(self.lines).rstrip() + "\n"
