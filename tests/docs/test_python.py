"""Every Python example of the documentation answers what the documentation says: doctests, with the
comparison of the commands' answers."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from tests.docs.console import Mismatch, compare

PAGES = [
    page
    for page in sorted((Path(__file__).parents[2] / "docs").rglob("*.md"))
    if ">>> " in page.read_text(encoding="utf-8")
]


class _Checker(doctest.OutputChecker):
    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return not isinstance(compare(want.replace("<BLANKLINE>", ""), got), Mismatch)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page(
    page: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8").replace("localhost:8000", address)
    examples = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    told: list[str] = []
    doctest.DocTestRunner(_Checker(), verbose=False).run(examples, out=told.append)
    assert not told, "".join(told)


def test_the_client_has_examples() -> None:
    assert "client.md" in [page.name for page in PAGES]
