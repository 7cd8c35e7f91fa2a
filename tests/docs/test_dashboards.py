"""The dashboard and the alerts ask for metrics that there are, with labels that they have."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from service.api.middleware.metrics import Metrics, Snapshot
from service.jobs.executor import ExecutorStats
from service.jobs.service import Stats
from service.jobs.store import StoreStats

DOCS = Path(__file__).parents[2] / "docs" / "operations"
_METRIC = re.compile(r"\b((?:descent|process)_\w+)(?:\{([^}]*)\})?")
_LABEL = re.compile(r"(\w+)\s*[=!]")


async def _now() -> Snapshot:
    stats = Stats(StoreStats({}, 0, 0, 0.0), ExecutorStats(1, 1))
    return Snapshot(stats, 1, 1, 0, ready=True)


def known() -> dict[str, set[str]]:
    """Every sample's name, and its labels."""
    metrics = Metrics()
    metrics.now = _now
    metrics.answered("GET", "/livez", 200, 0.1)
    metrics.refused("unknown-job")
    metrics.drawn("fit", "svg", 0.1)
    metrics._ended.labels("failed")
    found: dict[str, set[str]] = {}
    families: Any = text_string_to_metric_families(asyncio.run(metrics.text()).decode())
    for family in families:
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def expressions() -> Iterator[str]:
    dashboard = json.loads((DOCS / "grafana.json").read_text())
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    for group in yaml.safe_load((DOCS / "alerts.yml").read_text())["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


@pytest.mark.parametrize("expression", list(expressions()))
def test_a_metric_that_is_asked_for_exists(expression: str) -> None:
    names = known()
    asked = _METRIC.findall(expression)
    assert asked
    for name, labels in asked:
        assert name in names
        assert set(_LABEL.findall(labels)) <= names[name]
    for grouped in re.findall(r"by \(([^)]*)\)", expression):
        wanted = {label.strip() for label in grouped.split(",")}
        assert any(wanted <= names[name] for name, _ in asked)


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    shown = (DOCS / "grafana.json").read_text()
    ours = {name for name in known() if name.startswith("descent_")}
    bases = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in ours}
    assert [name for name in sorted(bases) if name not in shown] == []


def test_every_alert_says_what_and_how_bad() -> None:
    (group,) = yaml.safe_load((DOCS / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]:
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in {"page", "ticket", "info"}
