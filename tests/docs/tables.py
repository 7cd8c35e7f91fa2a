"""The tables of docs/reference/catalogue.md and docs/reference/pictures.md, from the catalogue.
`python -m tests.docs.tables` writes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from service.api.routes.catalogue import catalogue_markdown, views_markdown

DOCS = Path(__file__).parents[2] / "docs" / "reference"


def tables() -> Mapping[str, Mapping[str, str]]:
    """By page and heading."""
    return {"catalogue.md": catalogue_markdown(), "pictures.md": {"Views": views_markdown()}}


def renewed(name: str) -> str:
    """The page with its tables as the catalogue has them."""
    page = (DOCS / name).read_text(encoding="utf-8")
    for title, table in tables()[name].items():
        old = re.search(rf"^## {re.escape(title)}\n\n((?:\|.*\n)*)", page, re.MULTILINE)
        assert old is not None, f"{name} has no section {title}"
        page = f"{page[: old.start(1)]}{table}\n{page[old.end(1) :]}"
    return page


if __name__ == "__main__":
    for name in tables():
        (DOCS / name).write_text(renewed(name), encoding="utf-8")
