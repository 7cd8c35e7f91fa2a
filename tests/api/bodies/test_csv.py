from __future__ import annotations

import csv as plain
import io
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.bodies import csv, csv_cells
from service.api.bodies.table import Bounds, Table
from service.api.head import MediaType
from service.api.http_errors import MalformedBody
from service.errors import InvalidData, InvalidRequest
from service.schemas.columns import Labels

BOUNDS = Bounds(rows=1000, columns=10, nbytes=100_000)
Cells = dict[str, list[float | str | None]]


def read(text: str | bytes, bounds: Bounds = BOUNDS, **params: str) -> Table:
    body = text.encode() if isinstance(text, str) else text
    return csv.read(bytearray(body), MediaType("text/csv", params), bounds)


def cells(table: Table) -> Cells:
    """The columns, what is missing as None."""
    return {
        name: [None if value != value else value for value in column.tolist()]
        for name, column in table.columns.items()
    }


TWO: Cells = {"x": [1.0, 3.0], "y": [2.5, 4.0]}


@pytest.mark.parametrize(
    "text",
    [
        "x,y\n1,2.5\n3,4\n",
        "x,y\r\n1,2.5\r\n3,4",
        "x,y\r1,2.5\r3,4\r",
        "x;y\n1;2.5\n3;4\n",
        "x\ty\n1\t2.5\n3\t4\n",
        "x|y\n1|2.5\n3|4\n",
        "x;y\n1;2,5\n3;4\n",
        "x;y\n1,0;2,5\n3,0;4,0\n",
        "x   y\n1   2.5\n3   4\n",
        "  x y \r\n  1 2.5\r\n 3 4\r\n",
        "# spaces\n\n1 2.5\n3 4",
        "\ufeffx,y\n1,2.5\n3,4\n",
        '"x","y"\n"1","2.5"\n"3","4"\n',
        " x , y \n 1 , 2.5 \n 3, 4 \n",
        "\n\nx,y\n\n1,2.5\n\n3,4\n\n\n",
        "\r\nx,y\r\n1,2.5\r\n\r\n3,4\r\n\r\n",
        "# by the thermometer\nx,y\n1,2.5\n  # a pause\n3,4\n# the end",
        "x,y,\n1,2.5,\n3,4,\n",
        "x,y\n1,2.5,\n3,4,\n",
        "x,y\n1,2.5\n3,4\n,\n,\n",
        "x,y\n1,2.5\n,\n3,4\n",
        "sep=;\nx;y\n1;2.5\n3;4\n",
        "1,2.5\n3,4\n",
        "1;2.5\n3;4",
        "+1,25e-1\n3.,4e0\n",
        "x,y\n1,2.5\n   \n3,4\n",
        "x\ty\n1,0\t2,5\n3\t4\n",
        "#\n1,0;2,5\n3;4\n",
        "1 2.5\n3 4\n",
        "  x    y\n  1  2.5\n  3\t4 \n",
    ],
)
def test_one_table_in_many_hands(text: str) -> None:
    assert cells(read(text)) == TWO


@pytest.mark.parametrize("charset", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_as_spreadsheets_write_it(charset: str) -> None:
    mark = "" if charset == "utf-16" else "\ufeff"
    assert cells(read((mark + "x\ty\n1\t2.5\n3\t4\n").encode(charset))) == TWO


def test_a_charset_may_be_named() -> None:
    body = "t [°C],y\n1,2\n".encode("windows-1252")
    assert read(body, charset="Windows-1252").units == {"t": "°C"}
    assert read(body).units == {"t": "°C"}
    with pytest.raises(MalformedBody, match=r"line 1 is not UTF-8; save .* charset=iso-8859-1"):
        read(body, charset="utf-8")
    with pytest.raises(InvalidRequest, match="unknown charset 'ebcdic'"):
        read(body, charset="ebcdic")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("1\n2\n", ["y"]),
        ("1,2\n3,4\n", ["x", "y"]),
        ("1,2,3\n4,5,6\n", ["x1", "x2", "y"]),
        ("a,1\nb,2\n", ["x", "y"]),
        (",1\n2,3\n", ["x", "y"]),
    ],
)
def test_without_a_header_columns_are_x_and_y(text: str, names: list[str]) -> None:
    assert list(read(text).columns) == names


def test_a_header_may_be_said_to_be_there_or_not() -> None:
    assert cells(read("1990,2000\n1,2\n", header="present")) == {"_1990": [1.0], "_2000": [2.0]}
    assert list(read("a,b\nc,d\n", header="absent").columns) == ["x", "y"]
    with pytest.raises(InvalidRequest, match="present or absent, not 'maybe'"):
        read("1,2\n", header="maybe")


@pytest.mark.parametrize("missing", [*csv_cells.NULLS, " ", " NA", "NA "])
def test_what_is_missing(missing: str) -> None:
    table = read(f"x,y,g\n1,{missing},a\n{missing},2,{missing}\n")
    assert cells(table) == {"x": [1.0, None], "y": [None, 2.0], "g": ["a", None]}


def test_text_becomes_labels() -> None:
    table = read('g,when,y\n"b, c",Jan,1\na ,Feb,2\n"b, c",Mar,3\n')
    assert cells(table) == {
        "g": ["b, c", "a", "b, c"],
        "when": ["Jan", "Feb", "Mar"],
        "y": [1.0, 2.0, 3.0],
    }
    labels = table.columns["g"]
    assert isinstance(labels, Labels)
    assert labels.names == ("b, c", "a")


def test_a_cell_may_hold_a_line_break() -> None:
    table = read('g,"flow\nrate"\n"a\nb",1\nc,2\n')
    assert cells(table) == {"g": ["a\nb", "c"], "flow_rate": [1.0, 2.0]}


def test_all_of_a_column_tells_what_it_is() -> None:
    rows = "".join(f"{i},{i}\n" for i in range(900))
    assert isinstance(read(f"x,y\n{rows}900,2.5\n").columns["y"], np.ndarray)
    assert isinstance(read(f"x,y\n{rows}900,b\n").columns["y"], Labels)


def test_units_are_kept() -> None:
    table = read('time [s],"t_u (°C)",k(1/s),plain\n1,2,3,4\n')
    assert list(table.columns) == ["time", "t_u", "k", "plain"]
    assert table.units == {"time": "s", "t_u": "°C", "k": "1/s"}


# --- what is wrong, and where ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x,y\n1,2\n3,4,5\n", "line 3 has 3 values where 2 are expected"),
        ("x,y\n1,2\n3\n", "line 3 has 1 values where 2"),
        ("# a\n\nx;y\n1;2\n# b\n3;4;5\n", "line 6 has 3 values .* is ';'"),
        ("x\ty\n1\t2\n3\n", "separator is a tab"),
        ("x,y\n1,5,2,5\n", "line 2 has 4 values .*decimal points instead of commas"),
        ('x,y\n1,2\n3,"4\n5,6\n', "line 3: a quote is not closed"),
        ("", "the body is empty"),
        ("\n\n# nothing\n", "the body is empty"),
        ("1 2\n3 4\n5 6 7\n", "line 3 has 3 values where 2"),
    ],
)
def test_what_is_malformed_is_told_with_its_line(text: str, says: str) -> None:
    with pytest.raises(MalformedBody, match=says):
        read(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("t;y\n1.5;2\n35,7;3\n", "line 3, column 't': '35,7' has a decimal comma; .* '35.7'"),
        ('t,y\n"1,5",2\n', "line 2, column 't': '1,5' has a decimal comma; .* '1.5'"),
        ("#\n1.5;2\n,5;3\n", "line 3, column 'x': ',5'"),
        ("x,x\n1,2\n", "two columns are named 'x'"),
        ("a b,a-b\n1,2\n", "two columns are named 'a_b'"),
        ("x\n" + "1\n" * 1001, "1,001 rows"),
        (",".join(f"x{i}" for i in range(11)) + "\n" + ",".join("1" * 11), "11 columns"),
        ("g\na\nb\nc\n", "3 distinct texts"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_place(text: str, says: str) -> None:
    with pytest.raises(InvalidData, match=says):
        read(text, Bounds(1000, 10, 100_000, labels=2))


def test_what_the_cells_come_to_is_bounded_before() -> None:
    with pytest.raises(InvalidData, match="bytes, more than the 100"):
        read("x,y\n" + "1,2\n" * 10, Bounds(1000, 10, 100))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("x,y\n1,2\n3,4\n", [2, 3]),
        ("1,2\n3,4\n", [1, 2]),
        ("#\n\nx,y\n1,2\n# no\n\n3,4\n", [4, 7]),
        ("x,y\n1,2\n,\n3,4\n", [2, 4]),
        ("sep=,\nx,y\n1,2\n3,4\n", [3, 4]),
        ('"x\n[s]",y\n1,2\n3,4\n', [3, 4]),
    ],
)
def test_the_line_of_each_row_is_known(text: str, lines: list[int]) -> None:
    table = read(text)
    assert table.lines is not None
    assert [table.lines.of(row) for row in range(2)] == lines


# --- any text -------------------------------------------------------------------------------------

_NUMBER = st.floats(allow_nan=False, allow_infinity=False)
_WORD = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=5)
_TEXT = _WORD.filter(lambda word: not word.isascii() or word.isalpha()).filter(
    lambda word: word.strip() not in csv_cells.NULLS and not csv_cells.is_value(word)
)


@given(
    st.lists(st.tuples(_NUMBER | st.none(), _TEXT, _NUMBER), min_size=1, max_size=20),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_what_is_written_is_read_bit_for_bit(
    rows: list[tuple[float | None, str, float]], separator: str, end: str, quoted: bool
) -> None:
    quoting: Any = plain.QUOTE_ALL if quoted else plain.QUOTE_MINIMAL
    file = io.StringIO(newline="")
    writer = plain.writer(file, delimiter=separator, lineterminator=end, quoting=quoting)
    writer.writerows([("a", "g", "b"), *rows])
    found = cells(read(file.getvalue()))
    assert found == {
        "a": [r[0] for r in rows],
        "g": [r[1] for r in rows],
        "b": [r[2] for r in rows],
    }


@given(st.binary(max_size=200) | st.text("x1,;\t\"'#\r\n .-eN", max_size=60).map(str.encode))
def test_any_text_is_refused_or_read(body: bytes) -> None:
    try:
        table = csv.read(bytearray(body), MediaType("text/csv"), BOUNDS)
    except InvalidRequest:
        return
    lengths = {len(column) for column in table.columns.values()}
    assert len(lengths) <= 1
    assert all(length <= BOUNDS.rows for length in lengths)
    for column in table.columns.values():
        assert isinstance(column, Labels) or not any(math.isnan(v) for v in column if v == v)
