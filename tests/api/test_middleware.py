from __future__ import annotations

import re

import pytest

from service.api.middleware.hosts import AllowedHosts
from service.settings import Settings
from tests.api.fakes import BODY, FakeJobs, job
from tests.api.in_process import fake

PAGE = "https://page.example"


@pytest.mark.parametrize("path", ["/livez", "/jobs/job_1", "/nowhere", "/docs", "/openapi.json"])
async def test_every_answer_has_the_headers_that_bind_a_browser(path: str) -> None:
    async with fake(FakeJobs()) as client:
        answer = await client.get(path)
    headers = answer.headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "cache-control" in headers
    assert "set-cookie" not in headers
    assert "server" not in headers
    assert not any(name.startswith("access-control") for name in headers)
    for name in headers:
        assert len(headers.get_list(name)) == 1, name


async def test_what_is_somebodys_is_not_stored() -> None:
    async with fake(FakeJobs()) as client:
        for path in ("/jobs/job_1", "/jobs"):
            assert (await client.get(path)).headers["cache-control"] == "no-store"
        fit = await client.post("/fit", json=BODY)
    assert fit.headers["cache-control"] == "no-store"
    assert fit.headers["content-security-policy"].startswith("default-src 'none'")


async def test_head_is_get_without_its_body() -> None:
    async with fake(FakeJobs()) as client:
        for path in ("/livez", "/jobs", "/jobs/job_1", "/models", "/openapi.json"):
            got, head = await client.get(path), await client.head(path)
            assert head.status_code == got.status_code == 200
            assert head.content == b""
            for name in ("content-type", "content-length"):
                assert head.headers[name] == got.headers[name]
        assert (await client.head("/fit")).status_code == 405


async def test_another_host_is_refused() -> None:
    async with fake(FakeJobs(), Settings(allowed_hosts="fits.example, *.internal")) as client:
        for host in ("fits.example", "fits.example:8000", "FITS.example", "a.internal"):
            assert (await client.get("/livez", headers={"host": host})).status_code == 200
        for host in ("evil.example", "fits.example.evil", "internal", "", "fits.example:x"):
            answer = await client.get("/livez", headers={"host": host})
            assert answer.status_code == 421, host
            assert answer.json()["type"] == "misdirected-request"
            assert "nosniff" in answer.headers["x-content-type-options"]


def test_hosts_are_any_unless_named() -> None:
    assert not AllowedHosts([])
    assert not AllowedHosts(["*"])
    assert AllowedHosts(["[::1]"]).allows(b"[::1]:8000")
    assert AllowedHosts(["[::1]"]).allows(b"[::1]")


async def test_pages_of_other_origins_are_let_in_by_name_alone() -> None:
    preflight = {
        "origin": PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type",
    }
    async with fake(FakeJobs(), Settings(cors_origins=PAGE)) as client:
        allowed = await client.options("/fit", headers=preflight)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == PAGE
        assert "access-control-allow-credentials" not in allowed.headers
        answer = await client.post("/fit", json=BODY, headers={"origin": PAGE})
        assert answer.headers["access-control-allow-origin"] == PAGE
        other = await client.post("/fit", json=BODY, headers={"origin": "https://evil.example"})
        assert other.status_code == 403
        assert "access-control-allow-origin" not in other.headers


async def test_by_default_no_page_of_another_origin_is() -> None:
    async with fake(FakeJobs()) as client:
        answer = await client.options(
            "/fit", headers={"origin": PAGE, "access-control-request-method": "POST"}
        )
    assert answer.status_code == 405
    assert not any(name.startswith("access-control") for name in answer.headers)


FORM = (
    b'--x\r\nContent-Disposition: form-data; name="data"\r\nContent-Type: text/csv\r\n\r\n'
    b"x,y\n1,2\n2,4\n3,7\n\r\n--x--\r\n"
)
SIMPLE = {
    "multipart/form-data; boundary=x": FORM,
    "application/x-www-form-urlencoded": b"model=y",
    "text/plain": b'{"data": {"x": [1, 2], "y": [1, 2]}}',
}
"""What a page may send to whomever it likes: no preflight is asked for these."""


@pytest.mark.parametrize("kind", SIMPLE)
@pytest.mark.parametrize(
    "said",
    [
        {"sec-fetch-site": "cross-site", "origin": "http://evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://descent:3000"},
        {"origin": "http://evil.example"},
        {"origin": "http://descent:3000"},
        {"origin": "null"},
        {"origin": "http://[descent"},
    ],
)
async def test_a_page_of_another_origin_changes_nothing(kind: str, said: dict[str, str]) -> None:
    jobs = FakeJobs()
    async with fake(jobs) as client:
        for path in ("/fit", "/predict", "/plot", "/jobs/job_1/cancel"):
            sent = {"content-type": kind, **said}
            answer = await client.post(path, content=SIMPLE[kind], headers=sent)
            assert answer.status_code == 403
            assert answer.json()["type"] == "cross-origin"
            assert "DESCENT_CORS_ORIGINS" in answer.json()["detail"]
        assert (await client.delete("/jobs/job_1", headers=said)).status_code == 403
        assert (await client.get("/jobs", headers=said)).status_code == 200
    assert jobs.asked.keys() <= {"list"}


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"sec-fetch-site": "same-origin", "origin": "https://seen.by.the.proxy"},
        {"sec-fetch-site": "none"},
        {"origin": "http://descent"},
        {"origin": "https://DESCENT"},
        {"sec-fetch-site": "cross-site", "origin": PAGE},
        {"origin": PAGE},
    ],
)
async def test_programs_our_own_pages_and_those_that_are_named_may(said: dict[str, str]) -> None:
    settings = Settings(cors_origins=f"https://other.example, {PAGE}")
    headers = {"content-type": "multipart/form-data; boundary=x", **said}
    async with fake(FakeJobs(job("queued")), settings) as client:
        answer = await client.post("/fit?background=true", content=FORM, headers=headers)
    assert answer.status_code == 202, answer.text


async def test_a_trace_goes_on() -> None:
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    async with fake(FakeJobs()) as client:
        answer = await client.get("/livez", headers={"traceparent": f"00-{trace}-{parent}-01"})
        found = re.fullmatch(r"00-(\w{32})-(\w{16})-01", answer.headers["traceparent"])
        assert found
        assert found[1] == trace
        assert found[2] != parent
        for bad in ("", "00", f"ff-{trace}-{parent}-01", f"00-{'0' * 32}-{parent}-01"):
            assert (
                "traceparent"
                not in (await client.get("/livez", headers={"traceparent": bad})).headers
            )
        assert "traceparent" not in (await client.get("/livez")).headers
