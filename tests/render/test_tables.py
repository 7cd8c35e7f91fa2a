"""Tables: CSV and Arrow of the same columns."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import numpy as np
import pyarrow.ipc
import pytest

from service import fitting
from service.render.tables import arrow_stream, csv_text, joined, listed, table
from service.schemas.answers import Timings
from service.schemas.compute import GradientRequest, LossRequest, Predictions
from service.settings import Settings
from tests.render.made import THERMOMETER, fitted
from tests.render.test_report import grouped


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_a_fit_is_its_params() -> None:
    fit = fitted({**THERMOMETER, "params": {"w": 1.0, "b": {"value": -17.0, "fixed": True}}})
    head, w, b = rows(csv_text(table(fit, units={"w": "K"})))
    assert head == ["name", "value", "stderr", "lower", "upper", "unit"]
    assert float(w[1]) == fit.params["w"]
    assert (w[0], w[5]) == ("w", "K")
    assert b == ["b", "-17.0", "", "", "", ""]


def test_groups_are_rows() -> None:
    head, *body = rows(csv_text(table(grouped())))
    assert head[:7] == ["plate", "n", "status", "a", "a_stderr", "b", "b_stderr"]
    assert [row[0] for row in body] == ["plate 0", "plate 1", "plate 2"]
    assert dict(zip(head, body[2], strict=True)) | {"b": "NaN"} == {
        **dict(zip(head, body[2], strict=True)),
        "r_squared": "",
        "verdict": "untrustworthy",
        "diagnostics": "unmoved at_bound guessed_start",
    }
    at = head.index("verdict")
    assert [row[at] for row in body] == ["trustworthy", "doubtful", "untrustworthy"]
    assert "trustworthy" not in head


def test_predictions_stand_beside_what_they_were_made_of() -> None:
    found = Predictions(
        predictions=np.array([2.0, 4.0]),
        target="y",
        lower=np.array([1.0, 3.0]),
        upper=np.array([3.0, 5.0]),
    )
    data: Any = {"x": np.array([1.0, 2.0]), "lower": np.array([0.0, 0.0])}
    assert csv_text(table(found, data=data)) == (
        "x,lower,prediction,lower_,upper\n1.0,0.0,2.0,1.0,3.0\n2.0,0.0,4.0,3.0,5.0\n"
    )


def test_a_surface_is_a_row_a_point() -> None:
    grid = {"w": {"min": 0.0, "max": 1.0, "steps": 2}, "b": {"min": 0.0, "max": 2.0, "steps": 3}}
    asked = LossRequest.model_validate({**THERMOMETER, "surface": grid})
    found = fitting.loss(asked, Settings())
    made = table(found)
    assert list(made) == ["w", "b", "loss"]
    assert listed(made["w"]) == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    assert listed(made["b"]) == [0.0, 1.0, 2.0] * 2
    assert found.surface is not None
    assert made["loss"][4] == found.surface.loss[1, 1]


def test_others() -> None:
    fit = fitted(THERMOMETER)
    assert list(table(fit.history)) == ["epoch", "loss", "w", "b", "gradient_w", "gradient_b"]
    found = fitting.gradient(GradientRequest.model_validate({**THERMOMETER, "check": True}))
    assert list(table(found)) == ["name", "gradient", "analytic", "autograd", "numeric"]
    likelihoods = fitting.likelihood_list()
    for entries in (
        fitting.model_list(),
        fitting.loss_list(),
        likelihoods,
        fitting.optimizer_list(),
    ):
        assert list(table(entries)) == ["name", "formula", "when_to_use", "reference"]
    with pytest.raises(TypeError, match="no columns"):
        table(Timings(queued_s=0.0, fit_s=0.0))


def test_numbers_keep_their_digits_and_what_is_no_number_its_name() -> None:
    column = [0.1 + 0.2, math.nan, math.inf, -math.inf, None, True, 'a,"b"']
    text = csv_text({"i": [*range(7)], "x": column})
    assert text == ('i,x\n0,0.30000000000000004\n1,NaN\n2,Inf\n3,-Inf\n4,\n5,true\n6,"a,""b"""\n')


TEXTS = ["c\nd", "c\rd", "a\x00b", "a\u2028b", "", "=cmd|x", 'a"b', "a,b", " a", "NaN", "é"]


def test_text_is_what_it_was() -> None:
    """With Arrow in `test_an_arrow_stream_has_the_same`."""
    text = csv_text({"a,b": TEXTS, "n": [*range(len(TEXTS))]})
    read = list(csv.reader(io.StringIO(text, newline="")))
    assert read == [["a,b", "n"], *([each, str(i)] for i, each in enumerate(TEXTS))]


def test_keys_of_groups_are_what_they_were() -> None:
    fit = grouped()
    keys = ["a\rb", "", None]
    odd = fit.model_copy(update={"groups": fit.groups.model_copy(update={"key": keys})})
    made = table(odd)
    assert made["plate"] == keys
    assert pyarrow.ipc.open_stream(arrow_stream(made)).read_all()["plate"].to_pylist() == keys
    text = csv_text(made)
    assert '\n"a\rb",' in text
    assert '\n"",' in text
    assert "\n,8," in text
    assert "(none)" not in text


def test_an_empty_text_is_not_missing() -> None:
    assert csv_text({"a": ["", None], "b": [1, 2]}) == 'a,b\n"",1\n,2\n'
    assert csv_text({"a": [None]}) == 'a\n""\n'  # a line without a character would be none


def test_names_that_are_taken() -> None:
    assert list(joined({"a": [1]}, {"a": [2], "a_": [3]})) == ["a", "a_", "a__"]


@pytest.mark.parametrize("answer", [fitted(THERMOMETER), grouped()], ids=["fit", "groups"])
def test_an_arrow_stream_has_the_same(answer: Any) -> None:
    made = table(answer)
    read = pyarrow.ipc.open_stream(arrow_stream(made)).read_all()
    assert read.column_names == list(made)
    for name, column in made.items():
        for ours, theirs in zip(column, read[name].to_pylist(), strict=True):
            assert ours == theirs or (ours != ours and theirs != theirs)
    assert str(read.schema.field(0).type) == "string"


@pytest.mark.parametrize("name", ["g\x1b]0;x\x07", "a\rb", "a\r\nb", 'a"b,c', " a", "", "a\x9b"])
def test_a_name_leaves_as_it_came_like_a_value(name: str) -> None:
    assert rows(csv_text({name: [name], "n": [1]})) == [[name, "n"], [name, "1"]]
