"""What is shipped with Descent, and in what it runs."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = {
    canonicalize_name(line.partition("==")[0])
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if "==" in line
}

ALLOWED = re.compile(
    r"MIT|BSD|Apache|ISC|Python Software Foundation|PSF|0BSD|Zlib|Unlicense|CC0|HPND|MIT-CMU|BSL-1",
    re.IGNORECASE,
)
"""Licences under which what runs with an MIT service may come."""
REFUSED = re.compile(r"\b(A?GPL|GNU (Affero )?General Public)", re.IGNORECASE)
WEAK = {"certifi": "MPL-2.0", "pathspec": "MPL-2.0", "tqdm": "MPL-2.0 and MIT"}
"""File by file copyleft, unchanged by us."""


def shipped() -> set[str]:
    """What an install of the service brings, all the way down."""
    found: set[str] = set()
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["server"]]
    while wanted:
        requirement = Requirement(wanted.pop())
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # of another platform, a GPU's libraries for one
        found.add(name)
        wanted += distribution.requires or []
    return found


def licence(name: str) -> str:
    """What its metadata says, in one line."""
    about = metadata.metadata(name)
    classified = [c for c in about.get_all("Classifier") or [] if c.startswith("License")]
    said = (about.get_all("License-Expression") or [])[:1] or classified
    return "; ".join(said or about.get_all("License") or [])[:200]


@pytest.mark.parametrize("name", sorted(shipped()))
def test_what_is_shipped_may_be(name: str) -> None:
    said = licence(name)
    assert name in WEAK or (ALLOWED.search(said) and not REFUSED.search(said)), said


def test_every_dependency_is_pinned() -> None:
    extras = PROJECT["optional-dependencies"].values()
    wanted = [*PROJECT["dependencies"], *chain.from_iterable(extras)]
    assert {canonicalize_name(Requirement(one).name) for one in wanted} <= PINS
    assert shipped() <= PINS | {"setuptools", "pip"}


def test_pins_are_exact() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert line.startswith("#") or re.fullmatch(r"[\w.-]+==[\w.]+", line), line


@pytest.fixture(scope="module")
def image() -> str:
    return (ROOT / "Dockerfile").read_text()


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return services()["descent"]  # type: ignore[no-any-return]


def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return found["services"]  # type: ignore[no-any-return]


def test_the_image_runs_as_nobody_special(image: str) -> None:
    users = re.findall(r"^USER (\S+)", image, re.MULTILINE)
    assert users
    assert users[-1].partition(":")[0].isdigit()
    assert int(users[-1].partition(":")[0]) >= 10_000
    assert image.rindex("\nUSER ") > image.rindex("\nCOPY ")


def test_the_image_is_looked_after(image: str) -> None:
    assert re.search(r"^HEALTHCHECK .*--interval", image, re.MULTILINE)
    assert "/livez" in image


def test_the_image_holds_no_secret(image: str) -> None:
    assert not re.search(r"^(ENV|ARG) .*(PASSWORD|TOKEN|SECRET|DESCENT_KEYS)", image, re.MULTILINE)
    ignored = (ROOT / ".dockerignore").read_text()
    assert ignored


def test_the_container_can_change_nothing(compose: dict[str, Any]) -> None:
    assert compose["read_only"] is True
    assert compose["cap_drop"] == ["ALL"]
    assert "cap_add" not in compose
    assert "privileged" not in compose
    assert "no-new-privileges:true" in compose["security_opt"]
    assert compose["tmpfs"]
    assert all("/var/run/docker.sock" not in str(volume) for volume in compose.get("volumes", []))


@pytest.mark.parametrize("name", ["api", "node"])
def test_the_containers_of_many_machines_can_change_nothing(name: str) -> None:
    test_the_container_can_change_nothing(services()[name])


def test_nobody_but_this_machine_reaches_what_scales_out() -> None:
    for name, service in services().items():
        assert name == "descent" or service["profiles"] == ["scale"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_the_container_has_its_bounds(compose: dict[str, Any]) -> None:
    assert compose["mem_limit"]
    assert compose["pids_limit"]
    assert compose["cpus"]
    assert compose["healthcheck"]["interval"]


def test_only_this_machine_reaches_it_without_keys(compose: dict[str, Any], image: str) -> None:
    """The image by itself does not start without keys: `-p 8000:8000` opens it to a network. What
    says that it may must not publish it to all."""
    assert not re.search(r"^ENV (?:.*\s)?DESCENT_ALLOW_PUBLIC", image, flags=re.MULTILINE)
    assert '"--host", "0.0.0.0"' in image
    assert compose["environment"]["DESCENT_ALLOW_PUBLIC"] == "1"
    assert compose["environment"]["DESCENT_ALLOWED_HOSTS"] == "local"
    assert all(port.startswith("127.0.0.1:") for port in compose["ports"])
    assert "network_mode" not in compose


def test_the_image_holds_the_kernel_for_most_processors(image: str) -> None:
    """As it is built and as it runs: both begin with the stage that says so."""
    base, *stages = re.split(r"^(?=FROM )", image, flags=re.MULTILINE)[1:]
    assert "\nENV DESCENT_KERNEL_CPU=portable\n" in base
    assert re.search(r"python -P -m service compile\n", image)
    assert [re.match(r"FROM (\w+)", stage)[1] for stage in stages] == [  # type: ignore[index]
        "base", "dependencies", "base",
    ]  # fmt: skip
