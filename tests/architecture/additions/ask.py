"""Sends the requests of standard input, [path, body] each, [path, text, media type], or [path] for
GET, to the service of the working directory, and prints its answers, the docs' tables and the
command line's completions."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from httpx import Response

import service
from service.api.routes.catalogue import catalogue_markdown, markdown, views_markdown
from service.app import create_app
from service.cli import options
from service.settings import Settings


def main() -> None:
    """Answers each of them."""
    assert service.__file__ is not None
    assert Path(service.__file__).is_relative_to(Path.cwd()), "the service is another's"
    answers = []
    with TestClient(create_app(Settings(workers=1)), "http://localhost") as client:
        for path, *body in json.load(sys.stdin):
            answer = _asked(client, path, *body)
            answers.append([answer.status_code, _body(answer)])
        fit = client.post("/fit", json={"data": {"x": [1, 2, 3], "y": [2, 3, 5]}}).json()
        picture = client.get(f"{fit['urls']['self']}/plot/sorted_target.txt")
    found: dict[str, Any] = {
        "answers": answers,
        "picture_of_job": [picture.status_code, picture.text],
        "docs": [*catalogue_markdown().values(), markdown(), views_markdown()],
        "completions": [
            *options.model_names("new_"),
            *options.optimizer_names("new_"),
            *options.loss_names("new_"),
            *options.view_names("sorted"),
        ],
    }
    json.dump(found, sys.stdout)


def _body(answer: Response) -> Any:
    is_json = answer.headers["content-type"].partition(";")[0].endswith("json")
    return answer.json() if is_json else answer.text


def _asked(client: TestClient, path: str, body: Any = None, media_type: str | None = None) -> Any:
    if media_type is not None:
        return client.post(path, content=body, headers={"content-type": media_type})
    return client.get(path) if body is None else client.post(path, json=body)


if __name__ == "__main__":
    main()
