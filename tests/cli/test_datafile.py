"""Columns from text."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.cli.datafile import Keys, Unreadable, read, table

XY = {"x": [1.0, 2.0], "y": [3.5, 4.5]}


@pytest.mark.parametrize(
    "text",
    [
        "x,y\n1,3.5\n2,4.5\n",
        "x;y\n1;3.5\n2;4.5\n",
        "x;y\n1;3,5\n2;4,5\n",
        "x\ty\n1\t3.5\n2\t4.5\n",
        "x|y\n1|3.5\n2|4.5\n",
        "x   y\n1   3.5\n2   4.5\n",
        "1,3.5\n2,4.5\n",
        "1 3.5\n2 4.5\n",
        "# a comment\nx,y\n\n1,3.5\n# another\n2,4.5",
        "x,y\r\n1,3.5\r\n2,4.5\r\n",
        '"x","y"\n"1","3.5"\n"2","4.5"\n',
        " x , y \n 1 , 3.5 \n 2 , 4.5 \n",
        "x,y\n+1,35e-1\n2.,.45e1\n",
    ],
)
def test_the_same_table_in_each_dress(text: str) -> None:
    assert table(text) == XY


def test_missing_values_and_text() -> None:
    text = "x,plate,z\n1,a,\n,NA,2\nNaN,b,null\n"
    assert table(text) == {
        "x": [1.0, None, None],
        "plate": ["a", None, "b"],
        "z": [None, 2.0, None],
    }


def test_names_of_a_table_without_a_header() -> None:
    assert list(table("1\n2\n")) == ["y"]
    assert list(table("1,2,3\n4,5,6\n")) == ["x1", "x2", "y"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ("# nothing\n", "it is empty"),
        ("x,y\n", "a header and no rows"),
        ("x,x\n1,2\n", "two columns are called 'x'"),
        ("x,\n1,2\n", "a column has no name"),
        ("x,y\n1,2\n3\n", "row 2 has 1 cells, not 2"),
    ],
)
def test_what_is_no_table_is_said(text: str, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        table(text)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        (b"{", "not JSON"),
        (b'{"x": 1}', "not an object of columns"),
    ],
)
def test_what_is_no_file_of_columns_is_said(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(Unreadable, match=said):
        read(str(tmp_path / "a"))


def test_json_and_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b'\xef\xbb\xbf{"data": {"x": [1.0, 2.0], "y": [3.5, 4.5]}}')
    assert read(str(tmp_path / "a")) == XY


@pytest.mark.parametrize(
    ("spelled", "keys"),
    [
        ("1 2 10", [1.0, 2.0, 10.0]),
        ("001 1 NA", ["001", "1", None]),
        ("1E5 10E4 2", ["1E5", "10E4", "2"]),
        ("1.0 1 2", ["1.0", "1", "2"]),
        ("9007199254740993 1 2", ["9007199254740993", "1", "2"]),
    ],
)
def test_keys_are_numbers_where_nothing_is_lost_by_it(spelled: str, keys: list[object]) -> None:
    text = "x,g\n" + "".join(f"1e0,{key}\n" for key in spelled.split())
    assert table(text, Keys(("g",))) == {"x": [1.0] * 3, "g": keys}


def test_keys_are_what_an_earlier_fit_has() -> None:
    text = "x,g\n1,10\n2,2\n"
    assert table(text, Keys(("g",), are_text=True))["g"] == ["10", "2"]
    assert table(text, Keys(("g",), are_text=False))["g"] == [10.0, 2.0]
    assert table("x,g\n1,1.0\n2,1\n", Keys(("g",), are_text=False))["g"] == [1.0, 1.0]
    assert table("x,g\n1,001\n2,1\n", Keys(("g",), are_text=False))["g"] == ["001", "1"]
