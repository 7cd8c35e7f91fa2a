"""The tables of docs/reference that come from the catalogue, the diagnostics and the errors.
`python -m tests.docs.tables` writes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from service.api.routes import catalogue, problems

DOCS = Path(__file__).parents[2] / "docs" / "reference"


def tables() -> Mapping[str, Mapping[str, str]]:
    """By page and heading."""
    return {
        "catalogue.md": catalogue.catalogue_markdown(),
        "pictures.md": {"Views": catalogue.views_markdown()},
        "diagnostics.md": {"All of them": catalogue.markdown()},
        "problems.md": {"All of them": problems.markdown()},
    }


def renewed(name: str) -> str:
    """The page with its tables as the code has them."""
    page = (DOCS / name).read_text(encoding="utf-8")
    for title, table in tables()[name].items():
        old = re.search(rf"^## {re.escape(title)}\n\n((?:\|.*\n)*)", page, re.MULTILINE)
        assert old is not None, f"{name} has no section {title}"
        page = f"{page[: old.start(1)]}{table}\n{page[old.end(1) :]}"
    return page


if __name__ == "__main__":
    for name in tables():
        (DOCS / name).write_text(renewed(name), encoding="utf-8")
