from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from service.api.openapi import text
from service.app import create_app
from service.settings import Settings

DOCUMENT = create_app(Settings()).openapi()
COMMITTED = Path(__file__).parents[2] / "openapi.json"


def _operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_it_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_it_is_the_same_each_time() -> None:
    assert text(create_app(Settings()).openapi()) == text(DOCUMENT)


def test_the_committed_one_is_fresh() -> None:
    if not COMMITTED.exists():
        pytest.skip("openapi.json is not there yet")
    assert COMMITTED.read_text(encoding="utf-8") == text(DOCUMENT), "run `make openapi`"


def test_operation_ids_are_short_and_their_own() -> None:
    ids = [operation["operationId"] for _, _, operation in _operations()]
    assert sorted(ids) == [
        "cancel_job",
        "certify",
        "compare",
        "delete_job",
        "explain_diagnostic",
        "explain_problem",
        "fit",
        "get_job",
        "get_job_draws",
        "get_job_history",
        "get_job_picture",
        "gradient",
        "invert",
        "list_diagnostics",
        "list_jobs",
        "list_likelihoods",
        "list_losses",
        "list_models",
        "list_optimizers",
        "livez",
        "loss",
        "metrics",
        "plot",
        "predict",
        "read",
        "readyz",
        "watch_job",
    ]


def test_schema_names_are_their_classes() -> None:
    names = set(DOCUMENT["components"]["schemas"])
    assert {"Fit", "FitRequest", "Job", "Problem"} <= names
    assert all(name.isidentifier() and "__" not in name for name in names)


def test_every_reference_leads_somewhere() -> None:
    def walk(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for part in node.values():
                yield from walk(part)
        elif isinstance(node, list):
            for part in node:
                yield from walk(part)

    for reference in walk(DOCUMENT):
        node: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_every_operation_says_what_it_is() -> None:
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    for _, path, operation in _operations():
        assert set(operation["tags"]) <= tags
        assert operation["description"]
        assert "500" in operation["responses"], path
        for status, response in operation["responses"].items():
            assert "X-Request-ID" in response["headers"]
            if status >= "400":
                assert list(response["content"]) == ["application/problem+json"]


def test_non_finite_numbers_are_declared() -> None:
    loss = DOCUMENT["components"]["schemas"]["Fit"]["properties"]["loss"]
    assert {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]} in loss["anyOf"]


def test_the_recommended_rules_of_redocly_hold() -> None:
    """no-empty-servers, security-defined, operation-4xx-response, operation-summary,
    and no-illogical-composition-keywords: the members of a union by a constant require it."""
    assert DOCUMENT["servers"]
    for _method, path, operation in _operations():
        assert "security" in operation, path
        assert any(status.startswith("4") for status in operation["responses"]), path
        assert operation["summary"], path
    for name, schema in DOCUMENT["components"]["schemas"].items():
        for each in ("name", "method"):
            if "const" in schema.get("properties", {}).get(each, {}):
                assert each in schema["required"], name
