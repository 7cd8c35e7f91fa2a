from __future__ import annotations

import re
from pathlib import Path

import pytest

from service.api.http_errors import PROBLEMS
from service.api.routes.problems import markdown
from service.settings import Settings
from tests.api.fakes import BODY, FakeJobs
from tests.api.in_process import fake

ROOT = Path(__file__).parents[2]


def test_every_error_is_explained() -> None:
    for name, error in PROBLEMS.items():
        assert re.fullmatch("[a-z]+(-[a-z]+)*", name)
        assert 400 <= error.http_status < 600
        assert error.meaning.endswith(".")
        assert error.remedy.endswith(".")


def test_the_page_of_the_docs_is_the_table() -> None:
    page = (ROOT / "docs" / "reference" / "problems.md").read_text(encoding="utf-8")
    assert page.endswith(markdown() + "\n")


async def test_each_has_a_page() -> None:
    async with fake(FakeJobs()) as client:
        for name, kind in PROBLEMS.items():
            answer = await client.get(f"/problems/{name}")
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/html")
            assert str(kind.http_status) in answer.text
        for name in ("nonesuch", "<script>", "%2e%2e", "%00"):
            unknown = await client.get(f"/problems/{name}")
            assert unknown.status_code == 404
            assert unknown.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "content", "kind", "status"),
    [
        ("GET", "/nowhere", None, "unknown-route", 404),
        ("PUT", "/fit", None, "method-not-allowed", 405),
        ("POST", "/fit", "{", "malformed-json", 400),
        ("POST", "/fit", "[" * 10_000, "malformed-json", 400),
        ("POST", "/fit", "{}", "invalid-request", 422),
        ("POST", "/fit", "x" * 2000, "body-too-large", 413),
        ("GET", "/jobs?limit=x", None, "invalid-request", 422),
    ],
)
async def test_a_problem_leads_to_its_page(
    method: str, path: str, content: str | None, kind: str, status: int
) -> None:
    bound = 1000 if kind == "body-too-large" else 10**6
    async with fake(FakeJobs(), Settings(max_body_bytes=bound)) as client:
        headers = {"content-type": "application/json"}
        answer = await client.request(method, path, content=content, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (status, kind)
        assert answer.headers["content-type"] == "application/problem+json"
        found = re.fullmatch(r'<(/problems/[a-z-]+)>; rel="help"', answer.headers["link"])
        assert found
        assert (await client.get(found[1])).status_code == 200


async def test_another_media_type_is_a_problem_too() -> None:
    async with fake(FakeJobs()) as client:
        answer = await client.post("/fit", content="x", headers={"content-type": "text/x-nonsense"})
    assert (answer.status_code, answer.json()["type"]) == (415, "unsupported-media-type")


async def test_a_fault_tells_nothing_of_the_server() -> None:
    """On every route: no traceback, no path, no version, no name of a class."""
    broken = FakeJobs(error=RuntimeError("/opt/venv/lib/python3.11/site-packages"))
    async with fake(broken) as client:
        for method, path in (("POST", "/fit"), ("GET", "/jobs/job_1"), ("GET", "/jobs/j/events")):
            answer = await client.request(method, path, json=BODY if method == "POST" else None)
            assert answer.status_code == 500
            told = answer.text + str(answer.headers)
            for leak in ("Traceback", "site-packages", "python", "uvicorn", "RuntimeError", ".py"):
                assert leak not in told
