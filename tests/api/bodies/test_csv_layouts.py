"""Tables as instruments and programs write them: each is read, with its names, units and rows, and
what was left out is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from service.api.bodies import csv
from service.api.bodies.csv_layout import are_units
from service.api.bodies.table import Bounds, Table
from service.api.head import MediaType
from service.api.http_errors import MalformedBody
from service.errors import InvalidData
from service.schemas import headers
from service.schemas.reading import ReadingOptions
from service.schemas.units import is_unit

FILES = Path(__file__).parents[2] / "data" / "csv" / "instruments"
BOUNDS = Bounds(rows=1000, columns=50, nbytes=1_000_000)


def read(text: str | bytes, **options: Any) -> Table:
    body = text.encode() if isinstance(text, str) else text
    chosen = ReadingOptions(**options)
    return csv.read(bytearray(body), MediaType("text/csv", {}), BOUNDS, chosen)


def shape(table: Table) -> tuple[list[str], int]:
    rows = {len(column) for column in table.columns.values()}
    assert len(rows) == 1
    return list(table.columns), rows.pop()


@pytest.mark.parametrize(
    ("file", "names", "rows", "units"),
    [
        ("dates.csv", ["date", "deaths"], 20, {"date": "d"}),
        ("numeric_header.csv", ["time", "_0", "_0_5", "_1", "_2"], 20, {}),
        (
            "numeric_names_and_units_row.csv",
            ["x_axis", "_1", "_2"],
            20,
            {"x_axis": "second", "_1": "Volt", "_2": "Volt"},
        ),
        ("overflow_marks.tsv", ["n", "VAC"], 10, {}),
        ("parentheses_that_are_no_units.csv", ["time", "V_IN", "V_OUT", "I_V1"], 4, {}),
        ("percent_comments.csv", ["t", "u"], 20, {"u": "V"}),
        ("record_beside_preamble.csv", ["x", "y"], 20, {}),
        ("semicolon_comments.csv", ["Sample", "Time", "CH1"], 20, {"Time": "s", "CH1": "V"}),
        ("thousands.csv", ["x", "y"], 4, {}),
        (
            "units_row_and_blank.csv",
            ["Time", "Channel_A", "Channel_B"],
            20,
            {"Time": "ms", "Channel_A": "V", "Channel_B": "V"},
        ),
    ],
)
def test_a_file(file: str, names: list[str], rows: int, units: dict[str, str]) -> None:
    table = read((FILES / file).read_bytes())
    assert shape(table) == (names, rows)
    assert table.units == units


ROWS = "0.0,1.5\n0.1,1.25\n0.2,1.125\n0.3,1.0625\n"


@pytest.mark.parametrize(
    ("text", "names", "rows", "units", "left_out"),
    [
        pytest.param(
            "X,CH1,Start,Increment,\nSequence,Volt,-6.0e-03,1.0e-05\n"
            + "".join(f"{i},{i / 8},\n" for i in range(5)),
            ["X", "CH1"], 5, {"X": "Sequence", "CH1": "Volt"}, [],
            id="oscilloscope with start and increment",
        ),
        pytest.param(
            "Model,MSO44\nFirmware Version,1.28.4\nHorizontal Units,s\nSample Interval,1e-5\n\n"
            "Labels,,\nTIME,CH1\n" + ROWS,
            ["TIME", "CH1"], 4, {}, [1, 2, 3, 4, 6],
            id="oscilloscope with settings above",
        ),
        pytest.param(
            "time\tV(n001)\tI(R1)\n0.0e+00\t1.0\t2e-3\n1.0e-06\t1.1\t2e-3\n",
            ["time", "V_n001", "I_R1"], 2, {}, [],
            id="circuit simulator",
        ),
        pytest.param(
            "Data from Lamp Node\n\nDate: Tue Mar 02 10:00:00 CET 2021\nIntegration Time (s): 0.1\n"
            "Number of Pixels in Spectrum: 4\n>>>>>Begin Spectral Data<<<<<\n"
            "339.37\t0.5\n339.59\t0.7\n339.80\t0.75\n340.02\t0.9\n>>>>>End Spectral Data<<<<<\n",
            ["x", "y"], 4, {}, [1, 3, 4, 5, 6, 11],
            id="spectrometer",
        ),
        pytest.param(
            "User: me\nTest name: ELISA\n\nWell,Content,Raw Data (450),Raw Data (570)\n"
            "A01,Standard S1,0.123,0.05\nA02,Standard S2,0.223,0.05\nA03,Sample X1,0.323,0.06\n",
            ["Well", "Content", "Raw_Data_450", "Raw_Data_570"], 3, {}, [1, 2],
            id="plate reader",
        ),
        pytest.param(
            'Plot Title: Stream\n"#","Date Time, GMT-05:00","Temp, °C (LGR S/N: 1)"\n'
            "1,06/15/20 10:00:00 AM,20.1\n2,06/15/20 10:15:00 AM,20.2\n"
            "3,06/15/20 10:30:00 AM,20.5\n",
            ["index", "Date_Time_GMT_05_00", "Temp"], 3,
            {"Date_Time_GMT_05_00": "s", "Temp": "°C"}, [1],
            id="temperature logger",
        ),
        pytest.param(
            "Messung 1;;\nZeit [s];U [V]\n0,0;1,5\n0,5;1,25\n1,0;1,125\n",
            ["Zeit", "U"], 3, {"Zeit": "s", "U": "V"}, [1],
            id="decimal commas under a title",
        ),
        pytest.param(
            "# t u\n1.000e+00 2.000e+00\n2.000e+00 3.000e+00\n3.000e+00 5.000e+00\n",
            ["t", "u"], 3, {}, [],
            id="numpy.savetxt",
        ),
        pytest.param(
            "Latest: Time (s)\tLatest: Position (m)\n0\t1.5\n0.05\t1.6\n0.1\t1.7\n",
            ["Latest_Time", "Latest_Position"], 3,
            {"Latest_Time": "s", "Latest_Position": "m"}, [],
            id="teaching lab logger",
        ),
        pytest.param(
            '"x" "y"\n"1" 0.5 1.5\n"2" 0.75 1.25\n',
            ["index", "x", "y"], 2, {}, [],
            id="R's write.table",
        ),
        pytest.param(
            ",x,y\n0,0.5,1.5\n1,0.75,1.25\n", ["index", "x", "y"], 2, {}, [], id="pandas' to_csv"
        ),
        pytest.param(
            "wavelength,intensity\nnm,counts\n" + ROWS + "End of data\n",
            ["wavelength", "intensity"], 4, {"wavelength": "nm", "intensity": "counts"}, [7],
            id="footer",
        ),
        pytest.param(
            "2theta   counts\n 10.00    120\n 10.02    118\n 10.04    131\n",
            ["_2theta", "counts"], 3, {}, [],
            id="diffractometer",
        ),
        pytest.param(
            "! Created by the analyzer\n! 2021-03-02\n# Hz S MA R 50\n"
            "1.0e6 0.9\n2.0e6 0.8\n3.0e6 0.7\n",
            ["x", "y"], 3, {}, [],
            id="network analyzer",
        ),
        pytest.param(
            "date,level\n2021-03-01 00:00,1.0\n2021-03-01 06:00,1.5\n2021-03-02 00:00,2.0\n",
            ["date", "level"], 3, {"date": "h"}, [],
            id="timestamps",
        ),
        pytest.param(
            "t,U\n1,OVRFLW\n2,1.5\n3,----\n4,1.25\n5,9.9E37\n", ["t", "U"], 5, {}, [], id="marks"
        ),
    ],
)  # fmt: skip
def test_a_layout(
    text: str, names: list[str], rows: int, units: dict[str, str], left_out: list[int]
) -> None:
    table = read(text)
    assert shape(table) == (names, rows)
    assert table.units == units
    assert table.reading is not None
    assert table.reading.lines_left_out == left_out


def test_dates_are_numbers_since_the_first() -> None:
    table = read("t,y\n13/02/2020,1\n15/02/2020,2\n14/02/2020,3\n")
    assert table.columns["t"].tolist() == [0.0, 2.0, 1.0]
    assert table.reading is not None
    assert table.reading.dates["t"].model_dump() == {"unit": "d", "since": "13/02/2020"}
    with pytest.raises(InvalidData, match=r"'01/02/2020' may be day-month-year .* `dates=dmy`"):
        read("t,y\n01/02/2020,1\n03/02/2020,2\n")
    read_as = read("t,y\n01/02/2020,1\n01/03/2020,2\n", dates="mdy")
    assert read_as.columns["t"].tolist() == [0.0, 1.0]
    assert read("t,y\n01.02.2020,1\n01.03.2020,2\n").columns["t"].tolist() == [0.0, 29.0]
    clock = read("t,y\n10:00:00,1\n10:00:30,2\n10:01:00,3\n")
    assert clock.columns["t"].tolist() == [0.0, 30.0, 60.0]
    assert clock.units == {"t": "s"}


def test_marks_of_overflow_are_missing_and_counted() -> None:
    table = read("n\tV\n1\t9.99999999e+37\n2\t-9.9E37\n3\tOL\n4\t1.5\n", separator="\t")
    assert [value for value in table.columns["V"].tolist() if value == value] == [1.5]
    assert table.reading is not None
    assert table.reading.marks == {"V": 3}


def test_marks_are_text_among_text() -> None:
    assert read("g,y\n+,1\n-,2\n+,3\n").columns["g"].tolist() == ["+", "-", "+"]


def test_a_text_that_is_not_utf_8_is_read_as_windows_1252() -> None:
    table = read("t [°C],y\n1,2\n".encode("windows-1252"))
    assert table.units == {"t": "°C"}
    assert table.reading is not None
    assert table.reading.charset == "windows-1252"


def test_a_workbook_is_refused_with_what_to_send() -> None:
    with pytest.raises(MalformedBody, match=r"a workbook .* 'CSV UTF-8'"):
        read(b"PK\x03\x04 and so on")


def test_the_options() -> None:
    assert shape(read("1,2\n3,4\n5,6\n", header=True)) == (["_1", "_2"], 2)
    assert shape(read("a,b\nc,d\n", header=False)) == (["x", "y"], 2)
    assert shape(read("junk\nx,y\n1,2\n3,4\n", skip_rows=1)) == (["x", "y"], 2)
    table = read("x,y\nfoo,bar\n1,2\n3,4\n", units_row=True)
    assert (shape(table), table.units) == ((["x", "y"], 2), {"x": "foo", "y": "bar"})
    assert read("x;y\n1,000;2,000\n", decimal=",").columns["x"].tolist() == [1.0]
    assert read("x|y\n1|2\n", separator="|").columns["y"].tolist() == [2.0]
    table = read("x,y\n1,-999\n2,5\n", missing_values=["-999"])
    assert table.columns["y"][1] == 5.0
    assert table.columns["y"][0] != table.columns["y"][0]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("V(in)", ("V_in", "")),
        ("V(OUT)", ("V_OUT", "")),
        ("Time(s)", ("Time", "s")),
        ("rate(µmol/min)", ("rate", "µmol/min")),
        ("Raw Data (450)", ("Raw_Data_450", "")),
        ("u (mystery)", ("u", "mystery")),
    ],
)
def test_parentheses(cell: str, expected: tuple[str, str]) -> None:
    assert headers.split(cell) == expected


def test_units() -> None:
    assert all(map(is_unit, ["V", "ms", "m s^-2", "1/s", "kg m^2", "mg·L⁻¹", "°C", "ng/mL"]))
    assert not any(map(is_unit, ["V1", "in", "CH1", "x", "time", "", "m" * 50]))
    assert are_units(["(ms)", "", "V"])
    assert not are_units(["", ""])
