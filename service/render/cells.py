"""Text by the columns that it takes in a terminal, where some characters take two and some none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len, chop_cells, set_cell_size


def width(text: str) -> int:
    """Columns of a terminal."""
    return cell_len(text)


def visible(text: str) -> str:
    """Without what moves the cursor or cannot be seen."""
    return "".join(c if c.isprintable() else "�" for c in text)


def clipped(text: str, columns: int) -> str:
    """At most so many columns, the last of them "…" where something was left out."""
    if width(text) <= columns:
        return text
    return set_cell_size(text, columns - 1).rstrip() + "…" if columns > 0 else ""


def left(text: str, columns: int) -> str:
    """Filled up on the right."""
    return text + " " * (columns - width(text))


def right(text: str, columns: int) -> str:
    """Filled up on the left."""
    return " " * (columns - width(text)) + text


def wrapped(text: str, columns: int, first: str = "", rest: str | None = None) -> list[str]:
    """Lines of at most so many columns, broken at spaces where there are any; `first` stands
    before the first line, `rest` (default: as many spaces) before the others."""
    rest = " " * width(first) if rest is None else rest
    lines, line = [], first
    for word in _words(text, columns - max(width(first), width(rest))):
        gap = " " if line not in (first, rest) else ""
        if width(line) + len(gap) + width(word) > columns and gap:
            lines.append(line)
            line, gap = rest, ""
        line += gap + word
    return [*lines, line.rstrip()]


def _words(text: str, columns: int) -> Iterator[str]:
    for word in visible(text.replace("\n", " ")).split(" "):
        if width(word) <= columns:
            yield word
        else:
            yield from chop_cells(word, columns)


def aligned(rows: Sequence[Sequence[str]], sides: str, gap: str = "  ") -> list[str]:
    """Rows of cells as lines, each column as wide as its widest cell; `sides` has "<" or ">" for
    each column, the side to which it is set."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    set_to = {"<": left, ">": right}
    return [
        gap.join(
            set_to[side](cell, wide) for side, cell, wide in zip(sides, row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
