"""docs/explanation/architecture.md shows the packages as they are."""

from __future__ import annotations

from tests.architecture.tree import PAGE, drawn, page_with


def test_the_page_shows_the_tree_of_the_code() -> None:
    """`python -m tests.architecture.tree --write` renews it."""
    assert PAGE.read_text(encoding="utf-8") == page_with(drawn())
