"""Plots of characters: curves in Braille dots, points as bullets, axes of box lines.

A character is two dots wide and four high (Unicode 3.0, Braille Patterns), so that a curve over 60
columns has 120 places. No colour, no escape sequences: the same in a pipe, a mail and a log.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from service.render.cells import clipped, left, right, width
from service.render.scales import Scale, labels
from service.schemas.columns import Numbers

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bits of a Braille character, by row and column of its dots."""
_BLANK = 0x2800
_SHADES = " ·:-=+*%#"


class Canvas:
    """A frame of `columns` × `lines` characters between two scales."""

    def __init__(self, columns: int, lines: int, x: Scale, y: Scale) -> None:
        self.columns, self.lines = columns, lines
        self.x, self.y = x, y
        self._dots = np.zeros((lines, columns), np.int32)
        self._marks: dict[tuple[int, int], str] = {}
        self._shades: dict[tuple[int, int], str] = {}

    def curve(self, xs: Numbers, ys: Numbers) -> None:
        """Draws a line through the points, interrupted where one cannot be drawn."""
        across = self.x.places(xs) * (2 * self.columns - 1)
        up = self.y.places(ys) * (4 * self.lines - 1)
        for i in range(len(across) - 1):
            self._segment(across[i], up[i], across[i + 1], up[i + 1])
        if len(across) == 1:
            self._segment(across[0], up[0], across[0], up[0])

    def marks(self, xs: Numbers, ys: Numbers, mark: str = "•") -> None:
        """Draws a character at each point that can be drawn."""
        across = self.x.places(xs) * self.columns - 0.5
        up = self.y.places(ys) * self.lines - 0.5
        for a, b in zip(across, up, strict=True):
            if np.isfinite(a) and np.isfinite(b) and -0.6 <= a <= self.columns - 0.4:
                column = min(max(round(a), 0), self.columns - 1)
                line = self.lines - 1 - min(max(round(b), 0), self.lines - 1)
                if -0.6 <= b <= self.lines - 0.4:
                    self._marks[line, column] = mark

    def shade(self, heights: Numbers) -> None:
        """Shades the frame by heights (x, y), where nothing else is drawn: the higher the darker,
        by even steps of the logarithm of what is above the lowest."""
        across = np.linspace(0, heights.shape[0] - 1, self.columns).astype(int)
        up = np.linspace(0, heights.shape[1] - 1, self.lines).astype(int)
        chosen = heights[np.ix_(across, up)]
        finite = chosen[np.isfinite(chosen)]
        if not finite.size:
            return
        low, high = float(finite.min()), float(finite.max())
        with np.errstate(all="ignore"):
            levels = 1 + np.log10((chosen - low) / (high - low)) / 3
        levels = np.where(np.isfinite(chosen), levels, 1.0)
        steps = (np.clip(np.nan_to_num(levels), 0, 0.999) * len(_SHADES)).astype(int)
        for (column, row), step in np.ndenumerate(steps):
            if _SHADES[step] != " ":
                self._shades[self.lines - 1 - row, column] = _SHADES[step]

    def rows(self) -> list[str]:
        """The frame's lines."""
        return [
            "".join(self._character(line, column) for column in range(self.columns))
            for line in range(self.lines)
        ]

    def _character(self, line: int, column: int) -> str:
        place, bits = (line, column), int(self._dots[line, column])
        drawn = chr(_BLANK + bits) if bits else self._shades.get(place, " ")
        return self._marks.get(place, drawn)

    def _segment(self, x0: float, y0: float, x1: float, y1: float) -> None:
        ends = np.array([x0, y0, x1, y1])
        if not np.isfinite(ends).all() or np.abs(ends).max() > 1e4:
            return
        steps = int(max(abs(x1 - x0), abs(y1 - y0))) + 1
        along = np.linspace(0.0, 1.0, steps + 1)
        across = np.rint(x0 + (x1 - x0) * along).astype(int)
        up = np.rint(y0 + (y1 - y0) * along).astype(int)
        for a, b in zip(across.tolist(), up.tolist(), strict=True):
            if 0 <= a < 2 * self.columns and 0 <= b < 4 * self.lines:
                down = 4 * self.lines - 1 - b
                self._dots[down // 4, a // 2] |= _DOTS[down % 4][a % 2]


def framed(canvas: Canvas, x_name: str, y_name: str, indent: int = 2) -> list[str]:
    """The canvas with its axes: y's name above, ticks at the left and below, x's name at the
    right end. As wide as its ticks, a line and the canvas."""
    y_ticks = canvas.y.ticks(_y_ticks(canvas.lines))
    texts = labels(y_ticks)
    margin = max(map(width, texts), default=1)
    at = {}
    for place, text in zip(canvas.y.places(np.array(y_ticks)), texts, strict=True):
        if np.isfinite(place):
            line = canvas.lines - 1 - round(float(place) * canvas.lines - 0.5)
            at[min(max(line, 0), canvas.lines - 1)] = text
    pad = " " * indent
    whole = indent + margin + 2 + canvas.columns
    lines = [clipped(f"{pad}{' ' * (margin + 1)}{y_name}", whole)]
    for i, row in enumerate(canvas.rows()):
        lines.append(f"{pad}{right(at.get(i, ''), margin)} {'┤' if i in at else '│'}{row}".rstrip())
    axis, under = _below(canvas)
    lines.append(f"{pad}{' ' * margin} └{axis}")
    lines.append(f"{pad}{' ' * (margin + 2)}{under}".rstrip())
    lines.append(right(clipped(x_name, whole), whole))
    return lines


def margin_of(y: Scale, lines: int) -> int:
    """Columns that the ticks of y take, with the axis."""
    return max(map(width, labels(y.ticks(_y_ticks(lines)))), default=1) + 2


def _y_ticks(lines: int) -> int:
    return max(3, 2 * lines // 5)


def _below(canvas: Canvas) -> tuple[str, str]:
    """The axis of x with its ticks, and the ticks' text."""
    ticks = canvas.x.ticks(max(3, canvas.columns // 11))
    texts = labels(ticks)
    axis, under = ["─"] * canvas.columns, [" "] * canvas.columns
    free = -1
    for place, text in zip(canvas.x.places(np.array(ticks)), texts, strict=True):
        if not np.isfinite(place):
            continue
        column = min(max(round(float(place) * canvas.columns - 0.5), 0), canvas.columns - 1)
        start = min(max(column - len(text) // 2, 0), canvas.columns - len(text))
        if start <= free or start < 0:
            continue
        axis[column] = "┴"
        under[start : start + len(text)] = text
        free = start + len(text)
    return "".join(axis), "".join(under)


def side_by_side(blocks: Iterable[Sequence[str]], gap: int = 3) -> list[str]:
    """Blocks of lines beside each other."""
    made = [list(block) for block in blocks]
    tall = max(map(len, made))
    wide = [max(map(width, block), default=0) for block in made]
    full = [block + [""] * (tall - len(block)) for block in made]
    return [
        (" " * gap)
        .join(left(line, columns) for line, columns in zip(row, wide, strict=True))
        .rstrip()
        for row in zip(*full, strict=True)
    ]
