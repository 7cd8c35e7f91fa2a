"""The commands of the documentation, and what it says that they answer.

The convention, for every ```sh block of README.md and docs/*.md:

- A line that begins with `$ ` is a command; it goes on over the next lines until its quotes close.
  What follows, to the next command or the end of the block, is its answer.
- `$ curl …` is run, `localhost:8000` standing for the service, and so is a line with `descent`
  and one of the commands that end, which then knows the service. `$ name='…'` is a shell variable,
  known to the commands after it on the same page. `$ cat file` shows a file, which is there for
  them. Other commands are not run.
- Line breaks and spaces between the words of an answer mean nothing, nor does the value of a job's
  id. `…` stands for anything.
- Numbers are equal to 1.5e-4 + 2e-6·|value|, or 2e-4 of it above 1e5: what float32 leaves open.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ASSIGNMENT = re.compile(r"[a-z_]+=")
_RUN = re.compile(
    r"curl |cat |(?:[^|]*\| )?"
    r"descent (?:fit|compare|watch|predict|invert|gradient|jobs|draws|cancel|models|certify|doctor)"
    r"\b"
)
_TOKEN = re.compile(
    r"""
    job_[\w-]{22}                    # an id
    | \\.                            # an escape in a string
    | [^\W\d]\w*                     # a word
    | -?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?!\w)
    | \S
    """,
    re.VERBOSE,
)
_ANYTHING = "…"


@dataclass(frozen=True, slots=True)
class Command:
    """A command, the assignments that it needs, and its answer as documented."""

    line: int
    setup: tuple[str, ...]
    text: str
    answer: str


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The first part of a documented answer that is not in the real one."""

    part: str


def read(page: str) -> Iterator[Command]:
    """The commands of a page that are run, in order."""
    setup: list[str] = []
    for block in _BLOCK.finditer(page):
        first = page.count("\n", 0, block.start()) + 2
        for offset, text, answer in _commands(block.group(1).splitlines()):
            if _ASSIGNMENT.match(text):
                setup.append(text)
            elif _RUN.match(text):
                yield Command(first + offset, tuple(setup), text, answer)


def _commands(lines: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """(offset, command, answer) of each command of a block."""
    starts = [i for i, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        last = start + 1
        while not _is_whole("\n".join(lines[start:last])) and last < end:
            last += 1
        yield start, "\n".join(lines[start:last])[2:], "\n".join(lines[last:end])


def _is_whole(text: str) -> bool:
    try:
        shlex.split(text)
    except ValueError:
        return False
    return True


def compare(documented: str, real: str) -> Mismatch | Mapping[str, str]:
    """The real id of each documented one; or what is documented and not so."""
    have = _TOKEN.findall(real)
    parts = _parts(_TOKEN.findall(documented))
    ids: dict[str, str] = {}
    at = 0
    for i, part in enumerate(parts):
        end = len(have) - len(part)
        earliest = max(at, end) if i == len(parts) - 1 else at
        latest = min(0, end) if i == 0 else end
        places = range(earliest, latest + 1)
        place = next((p for p in places if _same(part, have[p : p + len(part)])), None)
        if place is None:
            return Mismatch(" ".join(part))
        ids |= {a: b for a, b in zip(part, have[place:], strict=False) if a.startswith("job_")}
        at = place + len(part)
    return ids


def _parts(tokens: Sequence[str]) -> list[list[str]]:
    """The tokens, split at each `…`."""
    parts: list[list[str]] = [[]]
    for token in tokens:
        if token == _ANYTHING:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _same(documented: Sequence[str], real: Sequence[str]) -> bool:
    return all(_equal(a, b) for a, b in zip(documented, real, strict=True))


def _equal(documented: str, real: str) -> bool:
    if documented == real or (documented.startswith("job_") and real.startswith("job_")):
        return True
    try:
        said, is_so = float(documented), float(real)
    except ValueError:
        return False
    size = abs(is_so)
    return abs(said - is_so) <= (2e-4 * size if size > 1e5 else 1.5e-4 + 2e-6 * size)
