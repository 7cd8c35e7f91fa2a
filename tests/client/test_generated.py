"""A client generated from openapi.json by openapi-python-client fits the thermometer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.client.parts import DATA, LINE, MODEL
from tests.resilience.servers import Server

ROOT = Path(__file__).parents[2]
NAME = "descent_generated_client"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of the generated package. Its only warnings are unsupported media types."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "config.yml").write_text("post_hooks: []\n")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"),
            *("--path", str(ROOT / "openapi.json"), "--config", str(folder / "config.yml")),
            *("--output-path", str(folder / NAME)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert output.count("WARNING") == output.count("Unsupported content type"), output
    assert not any(word in output for word in ("not be generated", "Unable", "removal")), output
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(folder), *sys.path])
        yield NAME


def test_every_route_is_generated(generated: str) -> None:
    api = Path(str(import_module(generated).__file__)).parent / "api"
    generated_names = {path.stem for path in api.glob("*/*.py")} - {"__init__"}
    paths = json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))["paths"].values()
    assert generated_names == {
        operation["operationId"] for path in paths for operation in path.values()
    }


def test_the_generated_client_fits(generated: str, server: Server) -> None:
    client = import_module(f"{generated}.client").Client(base_url=f"http://{server.address}")
    models: Any = import_module(f"{generated}.models")
    body = models.FitRequest(data=models.FitRequestData.from_dict(DATA), model=MODEL)
    with client:
        fit = import_module(f"{generated}.api.fits.fit").sync(client=client, body=body)
        assert isinstance(fit, models.Fit)
        assert fit.params.to_dict() == pytest.approx(LINE, rel=1e-12)
        problem = import_module(f"{generated}.api.fits.fit").sync(
            client=client, body=models.FitRequest(data=body.data, model="lineer")
        )
        assert isinstance(problem, models.Problem)
        assert "did you mean 'linear'" in problem.detail
