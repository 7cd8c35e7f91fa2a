"""Text by its width in a terminal, where characters take 0, 1 or 2 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.cells import cell_len, chop_cells, set_cell_size


def width(text: str) -> int:
    """The width of the text in terminal columns."""
    return cell_len(text)


def visible(text: str) -> str:
    """The text without control and invisible characters."""
    return "".join(c if c.isprintable() else "�" for c in text)


def with_unit(name: str, units: Mapping[str, str]) -> str:
    """A name with its unit, where that is known: `k [1/s]`."""
    return f"{name} [{visible(units[name])}]" if units.get(name) else name


def clipped(text: str, columns: int) -> str:
    """The text cut to a number of columns, ending in "…" where it is cut."""
    if width(text) <= columns:
        return text
    return set_cell_size(text, columns - 1).rstrip() + "…" if columns > 0 else ""


def left(text: str, columns: int) -> str:
    """Padded on the right."""
    return text + " " * (columns - width(text))


def right(text: str, columns: int) -> str:
    """Padded on the left."""
    return " " * (columns - width(text)) + text


def wrapped(text: str, columns: int, first: str = "", rest: str | None = None) -> list[str]:
    """Lines wrapped to a number of columns, at spaces where possible; `first` precedes the first
    line, `rest` (default: spaces of the same width) the others."""
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
