"""What the compose file and the manifests for Kubernetes set, there is; and both name what they
use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from typer.main import get_command

from service import __version__
from service.cli import main
from service.settings import Settings
from tests.docs.test_dashboards import known

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
MANIFESTS: list[dict[str, Any]] = list(
    yaml.safe_load_all((ROOT / "docs" / "operations" / "deploy" / "kubernetes.yaml").read_text())
)


def variables() -> set[str]:
    """What `descent serve` and `descent work` read of the environment."""
    settings = {f"DESCENT_{name.upper()}" for name in Settings.model_fields}
    commands: Any = get_command(main)
    options = {
        option.envvar
        for name in ("serve", "work")
        for option in commands.commands[name].params
        if getattr(option, "envvar", None)
    }
    return settings | options


def named(kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in MANIFESTS if each["kind"] == kind}


def containers() -> Iterator[dict[str, Any]]:
    for each in named("Deployment").values():
        yield from each["spec"]["template"]["spec"]["containers"]


def test_every_variable_that_is_set_is_read() -> None:
    files = (
        *("docker-compose.yml", "Dockerfile", "docs/operations/deploy/kubernetes.yaml"),
        *(f"docs/operations/{name}.md" for name in ("scaling-out", "running", "security")),
        "README.md",
    )
    for name in files:
        found = set(re.findall(r"\bDESCENT_[A-Z_]+[A-Z]\b", (ROOT / name).read_text()))
        assert found <= variables() | {"DESCENT_MAX", "DESCENT_URL", "DESCENT_API_KEY"}, name


def test_the_values_are_valid(monkeypatch: Any) -> None:
    sets = [service.get("environment", {}) for service in COMPOSE["services"].values()]
    sets += [each["data"] for each in named("ConfigMap").values()]
    assert any("DESCENT_REDIS_URL" in each for each in sets)
    for given in sets:
        with monkeypatch.context() as patch:
            for name, value in given.items():
                assert isinstance(value, str), name
                patch.setenv(name, value)
            Settings()


def test_the_commands_exist() -> None:
    commands: Any = get_command(main)
    given = [each["args"] for each in containers() if "args" in each]
    ours = [each for each in COMPOSE["services"].values() if each["image"].startswith("descent:")]
    given += [each["command"] for each in ours if "command" in each]
    assert len(given) == 2
    for name, *options in given:
        known_options = {o for param in commands.commands[name].params for o in param.opts}
        assert {option for option in options if option.startswith("-")} <= known_options


def test_all_are_of_this_version_and_may_only_read() -> None:
    assert {each["image"] for each in containers()} == {f"descent:{__version__}"}
    for each in containers():
        assert each["securityContext"]["readOnlyRootFilesystem"]
        (mount,) = each["volumeMounts"]
        assert mount["mountPath"] == "/tmp"


def test_what_refers_to_a_deployment_finds_it() -> None:
    deployments = named("Deployment")
    for each in deployments.values():
        labels = each["spec"]["template"]["metadata"]["labels"]
        assert each["spec"]["selector"]["matchLabels"] == labels
    for kind in ("HorizontalPodAutoscaler", "ScaledObject"):
        for each in named(kind).values():
            assert each["spec"]["scaleTargetRef"]["name"] in deployments
    for each in named("PodDisruptionBudget").values():
        labels = each["spec"]["selector"]["matchLabels"]
        assert any(labels == one["spec"]["selector"]["matchLabels"] for one in deployments.values())


def test_nodes_are_scaled_by_a_metric_that_there_is() -> None:
    (scaled,) = named("ScaledObject").values()
    (trigger,) = scaled["spec"]["triggers"]
    (metric,) = re.findall(r"descent_\w+", trigger["metadata"]["query"])
    assert metric in known()
