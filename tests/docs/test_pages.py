"""What the pages say of the code is so: settings, routes, paths and links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from service.app import create_app
from service.settings import Settings

ROOT = Path(__file__).parents[2]
ARCHITECTURE = ROOT / "docs" / "explanation" / "architecture.md"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]

ROUTES = ROOT / "docs" / "reference" / "routes.md"

PAGES_FOR_PEOPLE = {("GET", "/"), ("GET", "/docs"), ("GET", "/guide")}
"""What no client has a use for, and openapi.json does not describe."""

_PATH = re.compile(r"`((?:service|tests|docs|benchmarks)(?:/[\w./]+)?)`")
_LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_ROUTE = re.compile(r"^\| `([A-Z]+) (/\S*)`", re.MULTILINE)


def test_every_setting_is_in_the_table_as_it_is():
    rows = "\n".join(_row(name) for name in Settings.model_fields)
    page = ARCHITECTURE.read_text(encoding="utf-8")
    assert page.endswith(f"|---|---|---|\n{rows}\n"), f"the table should end the page:\n\n{rows}"


def test_the_page_of_routes_has_every_one_and_no_other():
    described = set(_ROUTE.findall(ROUTES.read_text(encoding="utf-8")))
    app = create_app(Settings())
    paths = app.openapi()["paths"]
    served = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert described == served | PAGES_FOR_PEOPLE | {("GET", app.openapi_url)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_a_page_names_is_there(page: Path):
    named = _PATH.findall(page.read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path):
    broken = []
    for target, anchor in _LINK.findall(page.read_text(encoding="utf-8")):
        aim = page.parent / target if target else page
        if not aim.exists() or (anchor and anchor not in _anchors(aim)):
            broken.append(f"{target}#{anchor}")
    assert broken == []


def test_every_page_is_two_clicks_from_the_readme():
    first = {ROOT / "README.md"}
    second = set().union(*map(_links, first))
    third = set().union(*map(_links, second))
    assert [page for page in PAGES if page not in first | second | third] == []


def _links(page: Path) -> set[Path]:
    """The pages that a page links to."""
    targets = (target for target, _ in _LINK.findall(page.read_text(encoding="utf-8")))
    return {(page.parent / target).resolve() for target in targets if target.endswith(".md")}


def _row(name: str) -> str:
    """A setting as a line of the table."""
    field = Settings.model_fields[name]
    assert field.default is not PydanticUndefined
    assert field.description, f"{name} has no docstring"
    default = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
    told = field.description.replace("\n", " ")  # a row is a line
    return f"| `DESCENT_{name.upper()}` | {default} | {told} |"


def _anchors(page: Path) -> set[str]:
    """A page's headings, as GitHub links to them."""
    headings = _HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}
