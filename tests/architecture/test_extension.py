"""A new loss, optimizer, schedule, model family or diagnostic is one record: from it come the
catalogue, openapi.json, the schema of its options, the docs' tables, the command line's
completions, the chain rule and the fit (in torch, since the kernel has no code for it). A new view
is a record and a file, a new form of body its reader and an entry of a table."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from service.engine.kernel import cache

ROOT = Path(__file__).parents[2]
ADDITIONS = Path(__file__).with_name("additions")
Found = dict[str, Any]
X = [0.1 * (i + 1) for i in range(40)]
LINE = {"x": X, "y": [2 * x + 1 + (30 if i == 20 else 0) for i, x in enumerate(X)]}
"""A line with one gross outlier."""
RISE = {"x": X, "y": [3 * (1 - math.exp(-1.5 * x)) ** 3 for x in X]}
GROUPS = {"x": X * 2, "y": [*(2 * x + 1 for x in X), *(4 - x for x in X)], "g": [0] * 40 + [1] * 40}
TRIES = {"x": [1, 2, 3, 4, 5, 6, 7, 8], "y": [0, 3, 1, 7, 2, 0, 4, 3]}
ROBUST = {"name": "new_loss", "delta": 1.0}
NEW_OPTIMIZER = {"name": "new_optimizer", "learning_rate": 0.05, "beta": 0.1}
SLOWER = {**NEW_OPTIMIZER, "schedule": {"name": "new_schedule", "decay": 0.05}}
START = {"w": 1.5, "b": 1.5}

REQUESTS: dict[str, list[Any]] = {
    "models": ["/models"],
    "losses": ["/losses"],
    "likelihoods": ["/likelihoods"],
    "optimizers": ["/optimizers"],
    "diagnostics": ["/diagnostics"],
    "openapi": ["/openapi.json"],
    "family": ["/fit", {"model": {"name": "new_family", "order": 3}, "data": RISE}],
    "family by name": ["/fit", {"model": "new_family", "data": RISE}],
    "family, bad option": ["/fit", {"model": {"name": "new_family", "order": 9}, "data": RISE}],
    "another family's option": ["/fit", {"model": {"name": "linear", "order": 2}, "data": RISE}],
    "loss": ["/fit", {"data": LINE, "loss": ROBUST, "params": START}],
    "loss, adam": [
        "/fit",
        {
            "data": LINE, "loss": ROBUST, "params": START, "epochs": 3000,
            "optimizer": {"name": "adam", "learning_rate": 0.01},
        },
    ],
    "loss, lbfgs": ["/fit", {"data": LINE, "loss": ROBUST, "params": START, "optimizer": "lbfgs"}],
    "loss, groups": ["/fit", {"data": GROUPS, "loss": ROBUST, "group_by": "g"}],
    "likelihood": [
        "/fit",
        {"data": TRIES, "model": "y = a*(1 + 0*x)", "likelihood": "new_likelihood"},
    ],
    "likelihood, observed": [
        "/fit",
        {
            "data": TRIES, "model": "y = exp(a + 0*x)", "likelihood": "new_likelihood",
            "covariance": "observed",
        },
    ],
    "likelihood, groups": [
        "/fit",
        {
            "data": {**TRIES, "g": [0, 1] * 4}, "model": "y = a*(1 + 0*x)", "group_by": "g",
            "likelihood": {"name": "new_likelihood", "runs": 1},
        },
    ],
    "loss, bad option": ["/fit", {"data": LINE, "loss": {**ROBUST, "delta": -1}}],
    "loss, unknown option": ["/fit", {"data": LINE, "loss": {**ROBUST, "deltas": 1}}],
    "loss, misspelt": ["/fit", {"data": LINE, "loss": "geman_mclure"}],
    "loss at params": [
        "/loss", {"model": "linear", "params": {"w": 2, "b": 1}, "data": LINE, "loss": ROBUST},
    ],
    "explained": [
        "/gradient",
        {
            "model": "linear", "params": {"w": 2, "b": 1}, "data": LINE, "loss": ROBUST,
            "explain": True, "check": True,
        },
    ],
    "optimizer": ["/fit", {"data": GROUPS | {"y": [2 * x + 1 for x in X] * 2}, "params": START,
                           "optimizer": SLOWER, "epochs": 2000}],
    "optimizer, groups": [
        "/fit", {"data": GROUPS, "group_by": "g", "params": START, "optimizer": SLOWER,
                 "epochs": 2000},
    ],
    "optimizer by name": ["/fit", {"data": LINE, "optimizer": "new_optimizer", "epochs": 3}],
    "optimizer, bad option": ["/fit", {"data": LINE, "optimizer": {**NEW_OPTIMIZER, "beta": 1}}],
    "schedule, bad option": [
        "/fit",
        {"data": LINE, "optimizer": {"name": "sgd", "schedule": {"name": "new_schedule",
                                                                  "decay": 0}}},
    ],
}  # fmt: skip

LINES = "".join(f"{json.dumps({'x': x, 'y': 2 * x + 1})}\n" for x in X)
REQUESTS["form of body"] = ["/fit?model=linear", LINES, "application/jsonl"]
REQUESTS["form of body, malformed"] = ["/fit?model=linear", "x,y\n1,2\n", "application/jsonl"]

PICTURE = {"view": "sorted_target", "model": "linear", "params": {"w": 2, "b": 1}, "data": LINE}
REQUESTS["view"] = ["/plot", {**PICTURE, "format": "svg"}]
REQUESTS["view in characters"] = ["/plot", {**PICTURE, "format": "txt"}]
REQUESTS["view without data"] = ["/plot", {"view": "sorted_target"}]

ADDED = {
    "families": ("new_family", "NEW_FAMILY"),
    "losses": ("new_loss", "NEW_LOSS"),
    "likelihoods": ("new_likelihood", "NEW_LIKELIHOOD"),
    "optimizers": ("new_optimizer", "NEW_OPTIMIZER"),
    "schedules": ("new_schedule", "NEW_SCHEDULE"),
}
"""By the package of the catalogue: the file that is added, and its record."""


def add(folder: Path, module: str, record: str) -> None:
    """Adds a file, its import and its place at the end of the table in the folder's `__init__.py`.
    The file of a record is all that a newcomer writes."""
    shutil.copy(ADDITIONS / f"{module}.py", folder)
    init = folder / "__init__.py"
    text, package = init.read_text(encoding="utf-8"), ".".join(folder.parts[-3:])
    assert folder.parts[-3] == "service"
    line = f"from {package}.{module} import {record}\n\n"
    text = text.replace("from __future__ import annotations\n\n", r"\g<0>" + line, 1)
    text = text.replace(r"\g<0>", "from __future__ import annotations\n\n")
    table = re.compile(r"((?:table\(|CHECKS: Sequence\[Check\] =)\s*\([^)]*?),?(\s*\))")
    text, count = table.subn(rf"\1, {record}\2", text)
    assert count == 1, f"{init} should have one table"
    init.write_text(text, encoding="utf-8")


def insert(file: Path, *pairs: tuple[str, str]) -> None:
    """Inserts each second text after the first."""
    text = file.read_text(encoding="utf-8")
    for before, added in pairs:
        assert text.count(before) == 1, f"{file} should have {before!r} once"
        text = text.replace(before, before + added)
    file.write_text(text, encoding="utf-8")


def add_form_of_body(folder: Path) -> None:
    """Adds a reader, and its media type to the table of forms."""
    shutil.copy(ADDITIONS / "json_lines.py", folder)
    insert(
        folder / "forms.py",
        ("from service.api.bodies import arrow, csv, ", "json_lines, "),
        ("FORMS: Mapping[str, Form] = {\n", _FORM),
    )


def add_view(service: Path) -> None:
    """Adds a record to the catalogue of pictures, a file, and its line in the table of scenes."""
    shutil.copy(ADDITIONS / "sorted_target.py", service / "render" / "views")
    insert(
        service / "catalogue" / "pictures.py",
        ("VIEWS: Mapping[str, View] = table(\n    (\n", _VIEW),
    )
    insert(
        service / "render" / "views" / "table.py",
        ("from service.render.views import ", "sorted_target, "),
        ("Callable[[PlotInput], Scene]] = {\n", '    "sorted_target": sorted_target.scene,\n'),
    )


_VIEW = 'View("sorted_target", "The observations in order.", requires=("data", "params")),\n'
_FORM = '    "application/jsonl": Form(json_lines.read, "JSON lines: an object for each row"),\n'


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a copy of the service with the additions says."""
    root = tmp_path_factory.mktemp("extended")
    shutil.copytree(
        ROOT / "service", root / "service", ignore=shutil.ignore_patterns("__pycache__")
    )
    for package, (module, record) in ADDED.items():
        add(root / "service" / "catalogue" / package, module, record)
    add(root / "service" / "engine" / "diagnostics", "many_rows", "MANY_ROWS")
    add_form_of_body(root / "service" / "api" / "bodies")
    add_view(root / "service")
    kept = next((folder for folder in cache.FOLDERS if folder.exists()), cache.FOLDERS[0])
    paths = {"PYTHONPATH": str(root), "DESCENT_KERNEL_CACHE": str(kept.parent)}
    process = subprocess.run(
        [sys.executable, ADDITIONS / "ask.py"],
        input=json.dumps(list(REQUESTS.values())),
        capture_output=True,
        text=True,
        cwd=root,
        env=os.environ | paths,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    printed: dict[str, Any] = json.loads(process.stdout)
    printed["answers"] = dict(zip(REQUESTS, printed["answers"], strict=True))
    return printed


def answer(found: Found, name: str, status: int = 200) -> Any:
    code, body = found["answers"][name]
    assert code == status, body
    return body


@pytest.mark.parametrize(
    ("route", "key", "name"),
    [
        ("models", "name", "new_family"),
        ("losses", "name", "new_loss"),
        ("likelihoods", "name", "new_likelihood"),
        ("optimizers", "name", "new_optimizer"),
        ("diagnostics", "code", "many_rows"),
    ],
)
def test_it_is_in_the_catalogue_and_in_the_tables_of_the_docs(
    found: Found, route: str, key: str, name: str
) -> None:
    assert name in [entry[key] for entry in answer(found, route)[route]]
    assert any(f"| `{name}` |" in table for table in found["docs"])


def test_a_schedule_is_beside_the_optimizers(found: Found) -> None:
    assert answer(found, "optimizers")["schedules"][-1]["name"] == "new_schedule"
    assert any("| `new_schedule` |" in table for table in found["docs"])


def test_its_options_are_in_the_catalogue(found: Found) -> None:
    (loss,) = (e for e in answer(found, "losses")["losses"] if e["name"] == "new_loss")
    assert [(e["name"], e["default"]) for e in loss["options"]] == [("delta", 0.5)]
    (optimizer,) = (
        e for e in answer(found, "optimizers")["optimizers"] if e["name"] == "new_optimizer"
    )
    options = {e["name"]: e for e in optimizer["options"]}
    assert {"gradient", "schedule", "batch_size", "learning_rate", "beta"} == set(options)
    assert options["beta"]["meaning"] == "Share of the earlier gradients."


def test_its_name_and_options_are_in_the_openapi_document(found: Found) -> None:
    schemas = answer(found, "openapi")["components"]["schemas"]
    assert "new_family" in schemas["NamedModel"]["properties"]["name"]["enum"]
    assert {"maximum": 5, "minimum": 1, "type": "integer"} in (
        schemas["NamedModel"]["properties"]["order"]["anyOf"]
    )
    asked = schemas["FitRequest"]["properties"]
    for field, name in (
        ("loss", "new_loss"), ("likelihood", "new_likelihood"), ("optimizer", "new_optimizer"),
    ):  # fmt: skip
        enums = [e["enum"] for e in asked[field]["anyOf"] if "enum" in e]
        assert name in enums[0]
    assert schemas["NewLossLoss"]["properties"]["delta"]["default"] == 0.5
    assert schemas["NewOptimizerOptimizer"]["properties"]["beta"]["exclusiveMaximum"] == 1
    assert "NewScheduleSchedule" in schemas


def test_the_command_line_completes_it(found: Found) -> None:
    assert found["completions"] == ["new_family", "new_optimizer", "new_loss", "sorted_target"]


def test_a_family_fits(found: Found) -> None:
    fit = answer(found, "family")
    assert fit["params"] == pytest.approx({"a": 3, "k": 1.5}, rel=1e-8)
    assert answer(found, "family by name")["model"]["formula"].endswith("**2")


def test_a_loss_fits_a_line_through_an_outlier(found: Found) -> None:
    """By least squares the outlier shifts the intercept by 0.75; its pull under the bounded
    loss is 2·30/(1 + 30²)² = 7e-5, against 39 rows of weight 1."""
    for name in ("loss", "loss, adam", "loss, lbfgs"):
        assert answer(found, name)["params"] == pytest.approx({"w": 2, "b": 1}, abs=1e-4), name
    groups = answer(found, "loss, groups")["groups"]
    assert groups["params"]["w"] == pytest.approx([2, -1], abs=1e-6)
    assert answer(found, "loss at params")["loss"] == pytest.approx(900 / 901 / 40, rel=1e-12)


def test_a_likelihood_fits(found: Found) -> None:
    """The mean of n rows is ȳ = 2.5, with the variance ȳ(1 + ȳ)/n; of its logarithm that is
    divided by ȳ²."""
    fit = answer(found, "likelihood")
    assert fit["params"]["a"] == pytest.approx(2.5, rel=1e-7)
    assert fit["statistics"]["stderr"]["a"] == pytest.approx((2.5 * 3.5 / 8) ** 0.5, rel=1e-6)
    y = TRIES["y"]
    logs = sum(k * math.log(2.5 / 3.5) - math.log(3.5) for k in y)
    figures = fit["statistics"]["likelihood"]
    assert figures["log_likelihood"] == pytest.approx(logs, rel=1e-9)
    observed = answer(found, "likelihood, observed")["statistics"]["stderr"]["a"]
    assert observed == pytest.approx((3.5 / (2.5 * 8)) ** 0.5, rel=1e-6)
    groups = answer(found, "likelihood, groups")["groups"]
    assert groups["params"]["a"] == pytest.approx([1.75, 3.25], rel=1e-6)


def test_a_loss_is_explained(found: Found) -> None:
    text = answer(found, "explained")["explain"]["text"]
    assert "2 * (y_p - y) / (1 + ((y_p - y) / 1)**2)**2" in text


def test_an_optimizer_fits_with_a_schedule(found: Found) -> None:
    assert answer(found, "optimizer")["params"] == pytest.approx({"w": 2, "b": 1}, abs=0.01)
    groups = answer(found, "optimizer, groups")["groups"]
    assert groups["params"]["w"] == pytest.approx([2, -1], abs=0.02)
    assert answer(found, "optimizer by name")["epochs"] == 3


def test_a_diagnostic_is_reported(found: Found) -> None:
    codes = [each["code"] for each in answer(found, "family")["diagnostics"]]
    assert "many_rows" in codes


@pytest.mark.parametrize(
    ("name", "pointer", "detail"),
    [
        ("family, bad option", "/model/order", "5"),
        ("another family's option", "/model/order", "'linear' has no order"),
        ("loss, bad option", "/loss/delta", "0"),
        ("loss, unknown option", "/loss/deltas", "delta"),
        ("loss, misspelt", "/loss", "new_loss"),
        ("optimizer, bad option", "/optimizer/beta", "1"),
        ("schedule, bad option", "/optimizer/schedule/decay", "0"),
    ],
)
def test_a_bad_option_is_refused(found: Found, name: str, pointer: str, detail: str) -> None:
    (error,) = answer(found, name, 422)["errors"]
    assert error["pointer"].startswith(pointer)
    assert detail in error["detail"]


def test_a_form_of_body_is_read_and_described(found: Found) -> None:
    assert answer(found, "form of body")["params"] == pytest.approx({"w": 2, "b": 1})
    assert answer(found, "form of body, malformed", 400)["type"] == "malformed-body"
    body = answer(found, "openapi")["paths"]["/fit"]["post"]["requestBody"]
    assert body["content"]["application/jsonl"]["schema"]["description"].startswith("JSON lines")


def test_a_view_is_drawn_and_described(found: Found) -> None:
    svg = answer(found, "view")
    assert all(text in svg for text in ("<svg", ">rank</text>", 'id="sorted"'))
    text = answer(found, "view in characters")
    assert text.startswith("y = w * x + b\n")
    assert "rank" in text
    assert answer(found, "view without data", 422)["errors"][0]["pointer"] == "/data"
    view = answer(found, "openapi")["components"]["schemas"]["PlotRequest"]["properties"]["view"]
    assert "sorted_target" in view["enum"]
    assert "`sorted_target`: The observations in order." in view["description"]
    assert any("| `sorted_target` |" in table for table in found["docs"])


def test_a_view_is_one_of_a_job(found: Found) -> None:
    code, text = found["picture_of_job"]
    assert code == 200
    assert "rank" in text
