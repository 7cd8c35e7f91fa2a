"""The tree of packages in docs/explanation/architecture.md, from the code:
`python -m tests.architecture.tree` prints it, with `--write` it replaces what
stands between the two marks of the page."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "architecture.md"
BEGIN, END = "<!-- tree: from the code -->\n", "<!-- end of tree -->\n"


def packages(folder: Path = ROOT / "service") -> Iterator[Path]:
    """A package and the packages in it, in order of their names."""
    yield folder
    for inner in sorted(folder.iterdir()):
        if (inner / "__init__.py").exists():
            yield from packages(inner)


def paragraphs(package: Path) -> list[str]:
    """The paragraphs of the package's docstring, each in one line."""
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]


def drawn() -> str:
    """The tree, a line a package with the number of its modules; then a paragraph a package."""
    rows, about = [], []
    for package in packages():
        depth = len(package.relative_to(ROOT).parts) - 1
        count = len([file for file in package.glob("*.py") if file.name != "__init__.py"])
        rows.append(f"{'  ' * depth + package.name + '/':<20}{count:>3}")
        about.append(
            f"- **`{package.relative_to(ROOT).as_posix()}`**: {' '.join(paragraphs(package))}"
        )
    return "\n".join(["```", *rows, "```", "", *about, ""])


def page_with(tree: str) -> str:
    """The page with this tree."""
    head, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    return head + BEGIN + tree + rest[rest.index(END) :]


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page_with(drawn()), encoding="utf-8")
    else:
        print(drawn())
