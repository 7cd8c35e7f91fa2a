"""The documentation as web pages, without scripts, without a build step and without other hosts.

`pages` is the folder docs/ of the source, by a link; a wheel has its files. A page is rendered at
its first request by markdown-it-py, which the command line's Rich brings along.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from string import Template

from markdown_it import MarkdownIt
from markdown_it.token import Token

MEDIA_TYPES: Mapping[str, str] = {
    ".md": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".png": "image/png",
    ".json": "text/plain; charset=utf-8",
    ".yml": "text/plain; charset=utf-8",
    ".yaml": "text/plain; charset=utf-8",
}
"""Media type by suffix of what is served of a file."""
INDEX = "README.md"

_HERE = Path(__file__).parent
_PAGES = _HERE / "pages"
_STYLE = "guide.css"
_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


@dataclass(frozen=True, slots=True)
class Page:
    """What is served of a file."""

    content: bytes
    media_type: str
    etag: str
    """The entity tag of its content, with quotes (RFC 9110, section 8.8.3)."""


@cache
def files() -> Mapping[str, Path]:
    """The files by their paths below /guide/: `tutorial/first-fit.md`, `guide.css`."""
    found = {
        path.relative_to(_PAGES).as_posix(): path
        for path in sorted(_PAGES.rglob("*"))
        if path.suffix in MEDIA_TYPES
    }
    return {**found, _STYLE: _HERE / _STYLE}


@cache
def page(name: str) -> Page | None:
    """The page of that path; None where there is none. The first call for a page takes some ten
    milliseconds; later ones nothing."""
    path = files().get(name)
    if path is None:
        return None
    content = _html(name).encode() if path.suffix == ".md" else path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:32]
    return Page(content, MEDIA_TYPES[path.suffix], f'"{digest}"')


def anchor(title: str) -> str:
    """The fragment that leads to a heading, as GitHub has it."""
    return _NOT_IN_ANCHORS.sub("", title).lower().replace(" ", "-")


def _html(name: str) -> str:
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(_COMMENT.sub("", _text(name)))
    for heading, inline in pairwise(tokens):
        if heading.type == "heading_open":
            heading.attrSet("id", anchor(_plain(inline)))
        if heading.type in {"table_open", "fence"}:
            heading.attrSet("tabindex", "0")  # it may scroll, also by keyboard
    return _template().substitute(
        title=html.escape(_title(name)),
        root="../" * name.count("/"),
        contents="\n".join(_contents(name)),
        body=markdown.renderer.render(tokens, markdown.options, {}),
    )


def _contents(current: str) -> Iterator[str]:
    """The list of all pages, in the order of the index, by its sections."""
    up = "../" * current.count("/")
    for section, names in _sections().items():
        yield f"<h2>{html.escape(section)}</h2>\n<ul>"
        for name in names:
            here = ' aria-current="page"' if name == current else ""
            yield f'<li><a href="{up}{name}"{here}>{html.escape(_title(name))}</a></li>'
        yield "</ul>"


@cache
def _sections() -> Mapping[str, Sequence[str]]:
    """The pages that each section of the index links to."""
    found: dict[str, list[str]] = {}
    for line in _text(INDEX).splitlines():
        if line.startswith("## "):
            found[line[3:]] = []
        elif found:
            linked = re.findall(r"\]\(([^)#]+\.md)\)", line)
            found[next(reversed(found))] += [name for name in linked if name in files()]
    return found


@cache
def _title(name: str) -> str:
    found = _TITLE.search(_text(name))
    return found[1].replace("`", "") if found else name


def _text(name: str) -> str:
    return files()[name].read_text(encoding="utf-8")


def _plain(inline: Token) -> str:
    """The text of a heading, without its marks."""
    return "".join(child.content for child in inline.children or ())


@cache
def _template() -> Template:
    return Template((_HERE / "template.html").read_text(encoding="utf-8"))
