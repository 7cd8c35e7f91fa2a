"""The documentation as the service shows it: whole, with links that lead somewhere, offline."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from posixpath import dirname, join, normpath

import pytest

from service import guide
from tests.api.fakes import FakeJobs
from tests.api.in_process import fake

ROOT = Path(__file__).parents[2]
PAGES = [name for name in guide.files() if name.endswith(".md")]


class _Document(HTMLParser):
    """The links, the loaded files and the ids of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.ids: set[str] = set()
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.add(tag)
        self.ids |= {value for name, value in attrs if name == "id" and value}
        if tag == "a":
            self.links.append(found["href"] or "")
        elif address := found.get("src") or (tag == "link" and found["href"]):
            self.loaded.append(str(address))


@cache
def document(name: str) -> _Document:
    page = guide.page(name)
    assert page is not None
    return _Document(page.content.decode())


def test_it_has_the_pages_of_the_source() -> None:
    docs = ROOT / "docs"
    assert set(PAGES) == {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}


@pytest.mark.parametrize("name", PAGES)
def test_every_link_of_a_page_leads_somewhere(name: str) -> None:
    found = document(name)
    for link in found.links:
        if link.startswith("https://"):
            continue
        path, _, fragment = link.partition("#")
        target = normpath(join(dirname(name), path)) if path else name
        if target.startswith(".."):
            assert target in {"..", "../docs"}
            continue
        assert target in guide.files(), link
        if fragment and target.endswith(".md"):
            assert fragment in document(target).ids, link


@pytest.mark.parametrize("name", PAGES)
def test_a_page_needs_neither_scripts_nor_other_hosts(name: str) -> None:
    found = document(name)
    assert "script" not in found.tags
    for address in found.loaded:
        target = normpath(join(dirname(name), address))
        assert target in guide.files() or target.startswith("../assets/")


@pytest.mark.parametrize("name", PAGES)
def test_the_contents_of_a_page_has_every_page(name: str) -> None:
    linked = {
        normpath(join(dirname(name), link.partition("#")[0])) for link in document(name).links
    }
    assert set(PAGES) <= linked | {name}


async def test_it_is_served() -> None:
    async with fake(FakeJobs()) as client:
        first = await client.get("/guide", follow_redirects=True)
        assert first.url.path == "/guide/README.md"
        assert first.status_code == 200
        assert first.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in first.headers["content-security-policy"]
        tag = first.headers["etag"]
        again = await client.get("/guide/README.md", headers={"If-None-Match": tag})
        assert again.status_code == 304
        picture = await client.get("/guide/pictures/fit.png")
        assert picture.headers["content-type"] == "image/png"


@pytest.mark.parametrize("path", ["nonesuch.md", "../pyproject.toml", "%2e%2e/pyproject.toml"])
async def test_nothing_else_is(path: str) -> None:
    async with fake(FakeJobs()) as client:
        assert (await client.get(f"/guide/{path}")).status_code == 404


def test_a_comment_of_the_source_is_not_shown() -> None:
    page = guide.page("explanation/architecture.md")
    assert page is not None
    assert b"tree: from the code" not in page.content


def test_a_wheel_and_the_image_have_the_pages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "guide/**" in project["tool"]["setuptools"]["package-data"]["service"]
    assert re.search(r"^COPY docs ", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert "!docs" in (ROOT / ".dockerignore").read_text().splitlines()
