"""Headers, paths, queries and bodies that are not what they should be, over sockets and through a
client: a problem each time, and nothing of them in an answer's headers or in a log's lines."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.resilience.servers import Server, started
from tests.security.memory import watched
from tests.security.sockets import connected, exchange, status, whole

MIB = 2**20


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with started(workers=1, max_body_bytes=4 * MIB, max_columns=50, head_timeout_s=1) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client(trust_env=False) as client:
        yield client


@pytest.mark.parametrize(
    "head",
    [
        b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Request-ID: a\x00b\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Request-ID: a\rSet-Cookie: x=1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /fit HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /fit HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        b"POST /fit HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"GET http:/// HTTP/1.1\r\n\r\n",
        b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"A" * 1000 + b"\r\n\r\n",
    ],
    ids=range(13),
)
def test_what_is_no_http_is_a_problem_and_the_end(server: Server, head: bytes) -> None:
    answer = exchange(server, head)
    assert status(answer) in {400, 404, 408, 413, 415, 422, 431}, answer[:200]
    assert b"application/problem+json" in answer
    assert b"set-cookie" not in answer.lower()


@pytest.mark.parametrize(
    "name", ["X-Request-ID", "Idempotency-Key", "Prefer", "traceparent", "Last-Event-ID", "Accept"]
)
def test_a_header_is_not_carried_into_an_answer(server: Server, name: str) -> None:
    """What could split an answer in two: a tab, a quote, an escaped line end, bytes above ASCII."""
    for value in (b'a\t"b', b"a\xff\xfe", b"a; b, c=d", b"wait=9\x7f", b"%0d%0aSet-Cookie: x=1"):
        request = b"GET /jobs/job_1 HTTP/1.1\r\nHost: a\r\n%b: %b\r\n\r\n" % (name.encode(), value)
        with connected(server) as sock:
            sock.sendall(request)
            answer = whole(sock)
        assert status(answer) in {400, 404, 422}
        head, _, _ = answer.partition(b"\r\n\r\n")
        assert value not in head
        assert b"set-cookie:" not in head.lower()


@pytest.mark.parametrize(
    "path",
    [
        *("/../etc/passwd", "/jobs/../livez", "/jobs/..%2flivez", "/jobs/%2e%2e/livez"),
        *("//livez", "/livez/", "/jobs/%00", "/jobs/%ff%fe", "/jobs/" + "a" * 5000),
        *("/jobs/job_1/../../metrics", "/assets/../service/app.py", "/assets/%2e%2e/app.py"),
        *("/assets/..%5c..%5capp.py", "/problems/%2e%2e%2fREADME", "/jobs/job_1/plot/../../x"),
        *("/docs/..;/jobs", "/%2e/livez", "/jobs;x=y", "/jobs/%0d%0aSet-Cookie:x=1"),
    ],
)
def test_a_path_leads_nowhere_but_to_its_route(server: Server, path: str) -> None:
    with connected(server) as sock:
        sock.sendall(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode())
        answer = whole(sock)
    assert status(answer) in {400, 404, 422}, answer[:300]
    assert b"application/problem+json" in answer
    assert b"root:" not in answer
    assert b"import " not in answer
    assert b"set-cookie" not in answer.partition(b"\r\n\r\n")[0].lower()
    assert len(answer) < 4000


def test_a_query_has_its_bounds(client: httpx.Client) -> None:
    for query in (
        "limit=-1",
        "limit=1e9",
        "limit=" + "9" * 400,
        "after=%00",
        "x=1",
        "limit=1&limit=x",
    ):
        answer = client.get(f"/jobs?{query}")
        assert answer.status_code in {404, 422}, query
        assert answer.headers["content-type"] == "application/problem+json"


def test_json_as_deep_as_it_goes(client: httpx.Client, server: Server) -> None:
    with watched(server) as risen:
        for deep in (
            "[" * MIB,
            '{"a":' * 100_000,
            '{"data":{"x":' + "[" * 100_000 + "]" * 100_000 + "}}",
        ):
            for path in ("/fit", "/predict", "/loss", "/gradient"):
                headers = {"content-type": "application/json"}
                answer = client.post(path, content=deep, headers=headers)
                assert answer.status_code in {400, 422}
        assert risen() < 100 * MIB


def test_more_columns_than_there_may_be(client: httpx.Client) -> None:
    for count, expected in ((50, 200), (51, 422), (100_000, 422)):
        data = {f"c{n}": [1.0, 2.0, 4.0] for n in range(count - 2)}
        data |= {"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.5]}
        body = {"model": "y = a * x", "data": data}
        answer = client.post("/fit", json=body)
        assert answer.status_code == expected, answer.text[:300]
    assert answer.json()["errors"][0]["pointer"] == "/data"


def test_names_that_python_would_like(client: httpx.Client) -> None:
    """Keys that would be attributes, were they ever taken for such."""
    for name in ("__class__", "__proto__", "constructor", "self", "model_fields"):
        body = {"data": {"x": [1, 2, 3], "y": [1, 2, 3], name: [1, 2, 3]}, "tags": {name: name}}
        answer = client.post(
            "/fit", content=json.dumps(body), headers={"content-type": "application/json"}
        )
        assert answer.status_code in {200, 422}
        assert client.post("/fit", json={**body, name: 1}).status_code == 422


def test_afterwards_it_works_as_before(client: httpx.Client) -> None:
    answer = client.post("/fit", json={"data": {"x": [1, 2, 3], "y": [2, 4, 6]}})
    assert answer.status_code == 200
