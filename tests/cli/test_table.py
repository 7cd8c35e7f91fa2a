"""The table that a command is given."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import typer

from service.cli import table
from service.client.bodies import File
from tests.cli.conftest import Run
from tests.instrument_files import CASES, FILES, Case

TEXTS = {
    "commas": "x,y\n1,2.5\n2,4.5\n3,6.5\n",
    "decimal commas": "x;y\n1;2,5\n2;4,5\n3;6,5\n",
    "tabs": "x\ty\n1\t2.5\n2\t4.5\n3\t6.5\n",
    "bars": "x|y\n1|2.5\n2|4.5\n3|6.5\n",
    "spaces": "x   y\n1   2.5\n2   4.5\n3   6.5\n",
    "no header": "1 2.5\n2 4.5\n3 6.5\n",
    "comments and units": "# logger\nx [s],y (V)\n\n1,2.5\n2,4.5\n3,6.5\n",
    "JSON": '{"x": [1, 2, 3], "y": [2.5, 4.5, 6.5]}',
    "a request": '{"data": {"x": [1, 2, 3], "y": [2.5, 4.5, 6.5]}}',
}


def npz(x: list[float], y: list[float]) -> bytes:
    file = io.BytesIO()
    np.savez(file, x=x, y=y)
    return file.getvalue()


def arrow(x: list[float], y: list[float]) -> bytes:
    columns = pa.table({"x": x, "y": y})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, columns.schema) as writer:
        writer.write_table(columns)
    content: bytes = sink.getvalue().to_pybytes()
    return content


@pytest.mark.parametrize("form", TEXTS)
def test_each_form_of_text_is_fitted(form: str, run: Run) -> None:
    done = run("fit", "-", "-f", "json", stdin=TEXTS[form])
    assert json.loads(done.stdout)["params"] == pytest.approx({"w": 2.0, "b": 0.5}), done.stderr


@pytest.mark.parametrize("write", [npz, arrow])
def test_binary_files_are_fitted(
    write: Callable[[list[float], list[float]], bytes], run: Run, tables: Path
) -> None:
    (tables / "data").write_bytes(write([1, 2, 3], [2.5, 4.5, 6.5]))
    done = run("fit", "data", "-f", "json")
    assert json.loads(done.stdout)["params"] == pytest.approx({"w": 2.0, "b": 0.5}), done.stderr


@pytest.mark.parametrize(
    ("content", "message"), [(b"{", "not JSON"), (b'{"x": 1}', "not an object of columns")]
)
def test_invalid_json_is_reported(
    content: bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(typer.Exit):
        table.read(str(tmp_path / "a"))
    assert message in capsys.readouterr().err


def test_media_types() -> None:
    kinds = {
        ("a.csv", b"x,y"): "text/csv",
        ("a.dat", b"1 2"): "text/csv",
        ("a.tsv", b"x\ty"): "text/tab-separated-values",
        ("a", npz([1], [2])): "application/octet-stream",
        ("a", arrow([1], [2])): "application/octet-stream",
    }
    assert {key: File(*key).media_type for key in kinds} == kinds


@pytest.mark.parametrize("case", CASES)
def test_a_file_of_an_instrument(case: Case, run: Run) -> None:
    words = [word for pair in case.options.items() for word in ("--set", "=".join(pair))]
    done = run("fit", str(FILES / case.file), case.model, *words, "-f", "json")
    assert json.loads(done.stdout)["params"] == pytest.approx({"a": 2.0, "b": 1.0}, rel=1e-6), (
        done.stderr
    )
