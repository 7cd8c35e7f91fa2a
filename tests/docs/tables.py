"""The tables of docs/catalogue.md, from the catalogue. `python -m tests.docs.tables` writes."""

from __future__ import annotations

import re
from pathlib import Path

from service.api.routes.catalogue import catalogue_markdown

PAGE = Path(__file__).parents[2] / "docs" / "catalogue.md"


def renewed(page: str) -> str:
    """The page with its tables as the catalogue has them."""
    for title, table in catalogue_markdown().items():
        old = re.search(rf"^## {re.escape(title)}\n\n((?:\|.*\n)*)", page, re.MULTILINE)
        assert old is not None, f"{PAGE} has no section {title}"
        page = f"{page[: old.start(1)]}{table}\n{page[old.end(1) :]}"
    return page


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
