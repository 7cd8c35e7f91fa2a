"""Header values that are lists: split and not matched, so that a long one takes no longer than its
length. Where they steer how we answer, a caller may be refused nothing for them, so one that is too
long counts as absent (RFC 9110, section 12.1; RFC 7240, section 2)."""

from __future__ import annotations

import re

LONGEST = 4096
"""Characters of a value that is read; a browser's Accept has some 150."""

_KIND = re.compile(r"[\w*.+-]+/[\w*.+-]+", re.ASCII)
_QUALITY = re.compile(r"q\s*=\s*([01](?:\.\d{0,3})?)", re.IGNORECASE | re.ASCII)


def split(text: str, separator: str) -> list[str]:
    """The pieces between separators, those in quoted strings apart (RFC 9110, section 5.6.4)."""
    if '"' not in text:
        return text.split(separator)
    pieces, start, quoted, escaped = [], 0, False, False
    for at, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == '"':
            quoted = not quoted
        elif quoted:
            escaped = character == "\\"
        elif character == separator:
            pieces.append(text[start:at])
            start = at + 1
    return [*pieces, text[start:]]


def unquoted(text: str) -> str:
    """A token as it is, or what a quoted string says."""
    text = text.strip()
    if not text.startswith('"'):
        return text
    inner = text[1:-1] if len(text) > 1 and text.endswith('"') else text[1:]
    return re.sub(r"\\(.)", r"\1", inner)


def parameters(text: str) -> tuple[str, dict[str, str]]:
    """What stands before the first semicolon, and the parameters after it, their names in lower
    case."""
    first, *rest = split(text, ";")
    pairs = (each.partition("=") for each in rest if each.strip())
    return first.strip(), {key.strip().lower(): unquoted(value) for key, _, value in pairs}


def ranges(accept: str) -> dict[str, float]:
    """The media ranges of an Accept header, in lower case, and their qualities; a quality that
    cannot be read is 1."""
    if len(accept) > LONGEST:
        return {}
    found = {}
    for part in accept.split(","):
        kind, *options = (piece.strip() for piece in part.split(";"))
        if _KIND.fullmatch(kind):
            quality = next(filter(None, map(_QUALITY.match, options)), None)
            found[kind.lower()] = float(quality[1]) if quality else 1.0
    return found
