"""Files as instruments write them: each is fitted by one line, and the answer has what was
understood of it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.instrument_files import CASES, FILES, Case

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def fitted(
    client: httpx.AsyncClient, body: str | bytes, kind: str = "text/csv", **query: str
) -> dict[str, Any]:
    answer = await client.post("/fit", params=query, content=body, headers={"Content-Type": kind})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    ("file", "model", "n"),
    [
        ("dates.csv", "deaths ~ a*exp(b*date)", 20),
        ("numeric_header.csv", "_0_5 ~ a*exp(-b*time)", 20),
        ("numeric_names_and_units_row.csv", "_1 ~ a + b*x_axis", 20),
        ("parentheses_that_are_no_units.csv", "V_OUT ~ a + b*time", 4),
        ("percent_comments.csv", "u ~ a*exp(-b*t)", 20),
        ("record_beside_preamble.csv", "y ~ a + b*x", 20),
        ("semicolon_comments.csv", "CH1 ~ a + b*Time", 20),
        ("thousands.csv", "y ~ a + b*x", 4),
        ("units_row_and_blank.csv", "Channel_A ~ a + b*Time", 20),
    ],
)
async def test_a_file_is_fitted(client: httpx.AsyncClient, file: str, model: str, n: int) -> None:
    found = await fitted(client, (FILES / file).read_bytes(), model=model)
    assert found["statistics"]["n"] == n
    assert found["reading"]["separator"] == ","


async def test_marks_of_overflow_are_missing_and_counted(client: httpx.AsyncClient) -> None:
    body = (FILES / "overflow_marks.tsv").read_bytes()
    query = {"model": "VAC ~ a + b*n", "missing": "drop"}
    found = await fitted(client, body, "text/tab-separated-values", **query)
    assert found["statistics"]["n"] == 10 - found["dropped"]["count"]
    assert found["reading"]["marks"] == {"VAC": found["dropped"]["count"]}


# y = 2x + 1 in each, so that the fit shows which rows were read. Those of LeCroy, Fluke and Twin
# Builder follow the manuals named; the others are as such programs commonly write them.
LAYOUTS = [
    pytest.param(  # LeCroy 9300C, "ASCII Waveform Export", spreadsheet format
        "LECROY9354,935412345\nSegments,1,SegmentSize,4\nSegment,Trig Time,TimeSinceFirstSegment\n"
        "#1,21 Mar 1990 9:37:08,0.0\nTime,Ampl\n0.0,1\n0.1,1.2\n0.2,1.4\n0.3,1.6\n",
        "Ampl ~ a*Time + b", 4, {},
        id="LeCroy 9300",
    ),
    pytest.param(  # Fluke 2640A/2645A, appendix F "Data File Format"
        '"C:\\data\\dat00001.csv"\n"04/05/2004 10:12:13"\n"annealing"\n3\n'
        '"Seconds","*101","*102"\n"s","V","C"\n0,1,20.5\n1,3,20.6\n2,5,20.7\n3,7,20.8\n',
        "_101 ~ a*Seconds + b", 4, {"Seconds": "s", "_101": "V", "_102": "C"},
        id="Fluke 2640A",
    ),
    pytest.param(  # Ansys Twin Builder, "CSV File Format"
        '"Time [ms]", "R1.V [V]", "C1.I [uA]"\n0,1.0,2.0\n1.33,3.66,1.95\n2.0,5.0,1.8\n3.0,7.0,1\n',
        "R1_V ~ a*Time + b", 4, {"Time": "ms", "R1_V": "V", "C1_I": "uA"},
        id="Twin Builder",
    ),
    pytest.param(  # an oscilloscope with names and units in one line
        "in s,CH1 in V\n-1.0E-3,0.998\n0.0E+0,1.0E+0\n1.0E-3,1.002E+0\n2.0E-3,1.004\n",
        "CH1_in_V ~ a*in_s + b", 4, {},
        id="Rohde & Schwarz RTM",
    ),
    pytest.param(  # fields of the header: Yokogawa DLM3000, appendix 3; the columns are a guess
        '"Header Size",9\n"Model Name","DLM3000"\n"Comment",""\n"BlockNumber",1\n'
        '"TraceName","CH1"\n"BlockSize",5\n"VUnit","V"\n"SampleRate",1.0E+3\n"HUnit","s"\n\n'
        ",0.0,1.0\n,1.0,3.0\n,2.0,5.0\n,3.0,7.0\n,4.0,9.0\n",
        "y ~ a*x + b", 5, {},
        id="Yokogawa DLM",
    ),
    pytest.param(  # a potentiostat's text with tabs and decimal commas
        "EC-Lab ASCII FILE\nNb header lines : 4\n\ntime/s\tEwe/V\tI/mA\n"
        "0,000\t1,000\t0,1\n0,500\t2,000\t0,2\n1,000\t3,000\t0,3\n1,500\t4,000\t0,4\n",
        "Ewe_V ~ a*time_s + b", 4, {},
        id="potentiostat",
    ),
    pytest.param(  # a spectrophotometer's two rows of headers, with a footer
        "Sample 1,\nWavelength (nm),Abs\n1,3\n2,5\n3,7\n4,9\n\nInstrument,UV-Vis\nOperator,me\n",
        "Abs ~ a*Wavelength + b", 4, {"Wavelength": "nm"},
        id="spectrophotometer",
    ),
    pytest.param(  # JCAMP-like text of a circular dichroism spectrometer
        "TITLE\tlysozyme\nDATA TYPE\tCD\nORIGIN\tlab\nDELTAX\t-1\nXUNITS\tNANOMETERS\n"
        "FIRSTX\t4\nLASTX\t1\nNPOINTS\t4\nXYDATA\n4.0\t9\t300\n3.0\t7\t301\n2.0\t5\t302\n1.0\t3\t303\n",
        "x2 ~ a*x1 + b", 4, {},
        id="CD spectrometer",
    ),
    pytest.param(  # a weather logger with title, units and statistics rows above the values
        '"TOA5","station","CR1000","1234"\n"TIMESTAMP","RECORD","Batt_V","T_C"\n'
        '"TS","RN","Volts","Deg C"\n"","","Min","Avg"\n'
        '"2021-03-01 00:00:00",0,1,20\n"2021-03-01 00:10:00",1,3,21\n'
        '"2021-03-01 00:20:00",2,5,22\n"2021-03-01 00:30:00",3,7,23\n',
        "Batt_V ~ a*RECORD + b", 4, {"Batt_V": "Volts", "T_C": "Deg C"},
        id="Campbell TOA5",
    ),
    pytest.param(  # a thermal analyser's semicolons, windows-1252
        "#EXPORTTYPE:DATA ALL\n#INSTRUMENT:STA\n##Temp./°C;Time/min;DSC/(mW/mg)\n"
        "1,00;0,0;3,00\n2,00;0,5;5,00\n3,00;1,0;7,00\n4,00;1,5;9,00\n".encode("cp1252"),
        "DSC ~ a*Temp_C + b", 4, {},
        id="thermal analyser",
    ),
    pytest.param(  # Gamry DTA: names and units in two rows, an index before them
        "EXPLAIN\nTAG\tCHRONOA\nTITLE\tLABEL\tstep\tTest\nCURVE\tTABLE\t4\n"
        "\tPt\tT\tVf\n\t#\ts\tV\n\t0\t0\t1\n\t1\t1\t3\n\t2\t2\t5\n\t3\t3\t7\n",
        "Vf ~ a*T + b", 4, {"T": "s", "Vf": "V"},
        id="Gamry DTA",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("body", "model", "n", "units"), LAYOUTS)
async def test_a_layout_of_a_manual_is_fitted(
    client: httpx.AsyncClient, body: str | bytes, model: str, n: int, units: dict[str, str]
) -> None:
    found = await fitted(client, body, model=model)
    assert found["statistics"]["n"] == n
    assert found["params"] == pytest.approx({"a": 2.0, "b": 1.0}, rel=1e-9)
    assert {name: found["units"].get(name) for name in units} == units


async def test_options_say_what_is_not_to_be_guessed(client: httpx.AsyncClient) -> None:
    text = "10;20\n0;0\n1;3\n2;5\n3;-9\n4;9\n"
    query = {"skip_rows": "1", "header": "false", "missing_values": "-9,0", "missing": "drop"}
    found = await fitted(client, text, **query)
    assert found["params"] == pytest.approx({"w": 2.0, "b": 1.0})
    assert found["reading"]["marks"] == {"x": 1, "y": 2}


@pytest.mark.parametrize("where", ["query", "request"])
async def test_options_in_a_form(client: httpx.AsyncClient, where: str) -> None:
    files: dict[str, Any] = {"data": ("a.csv", "t,y\n01/02/2021,1\n02/02/2021,3\n03/02/2021,5\n")}
    options = {"dates": "dmy"}
    if where == "request":
        files["request"] = (None, json.dumps(options), "application/json")
    answer = await client.post("/fit", files=files, params=options if where == "query" else {})
    found = answer.json()
    assert found["params"] == pytest.approx({"w": 2.0, "b": 1.0}), found
    assert found["reading"]["dates"] == {"t": {"unit": "d", "since": "01/02/2021"}}
    assert found["units"] == {"t": "d"}


async def test_the_report_says_what_was_understood(client: httpx.AsyncClient) -> None:
    text = "Title\n\nt;U\ns;V\n0;1,0\n1;3,0\n2;5,0\n3;OVRFLW\n"
    query = {"format": "text", "missing": "drop"}
    answer = await client.post(
        "/fit", params=query, content=text, headers={"Content-Type": "text/csv"}
    )
    report = " ".join(answer.text.split())
    assert "columns between semicolons; decimal commas; header in line 3; units in line 4" in report
    assert "1 line left out (1); 1 value of U marked as not measured" in report


@pytest.mark.parametrize(
    ("body", "kind", "query", "says"),
    [
        (b"PK\x03\x04rest", "text/csv", {}, "CSV UTF-8"),
        (b"t,y\n01/02/2021,1\n02/03/2021,2\n", "text/csv", {}, "dates=dmy"),
        (b"x,y\n1,2\n", "text/csv", {"decimal": "x"}, "decimal"),
        (b'{"data": {"x": [1], "y": [2]}}', "application/json", {"decimal": ","}, "for CSV"),
        (b'{"data": [{"x": 1}, 2]}', "application/json", {}, "a row must be an object"),
    ],
)
async def test_what_is_refused(
    client: httpx.AsyncClient, body: bytes, kind: str, query: dict[str, str], says: str
) -> None:
    headers = {"Content-Type": kind}
    answer = await client.post("/fit", params=query, content=body, headers=headers)
    assert answer.status_code in {400, 422}
    assert says in answer.json()["detail"]


async def test_rows_of_json(client: httpx.AsyncClient) -> None:
    rows = [{"x": 0, "y": 1}, {"y": 3, "x": 1}, {"x": 2}, {"x": 3, "y": 7}]
    answer = await client.post("/fit", json={"data": rows, "missing": "drop"})
    found = answer.json()
    assert found["params"] == pytest.approx({"w": 2.0, "b": 1.0}), found
    assert found["reading"] is None


async def test_many_rows_of_json(client: httpx.AsyncClient) -> None:
    rows = [{"x": i, "y": 2 * i + 1} for i in range(20_000)]
    answer = await client.post("/fit", json={"data": rows})
    assert answer.json()["params"] == pytest.approx({"w": 2.0, "b": 1.0})


@pytest.mark.parametrize("case", CASES)
async def test_a_file_of_an_instrument_is_fitted(client: httpx.AsyncClient, case: Case) -> None:
    body = (FILES / case.file).read_bytes()
    found = await fitted(client, body, model=case.model, **case.options)
    assert found["statistics"]["n"] == case.n
    assert found["params"] == pytest.approx({"a": 2.0, "b": 1.0}, rel=1e-6)


async def test_two_tables_are_refused_with_what_reads_each(client: httpx.AsyncClient) -> None:
    body = (FILES / "ltspice_step.txt").read_bytes()
    headers = {"Content-Type": "text/csv"}
    refused = (await client.post("/fit", content=body, headers=headers)).json()["detail"]
    assert "line 8 ends a table of 5 rows" in refused
    assert "`max_rows=5`" in refused
    assert "`skip_rows=8`" in refused
    found = await fitted(client, body, skip_rows="8")
    assert found["params"] == pytest.approx({"w": 3.0, "b": 1.0})
    longer = b"".join(body.splitlines(keepends=True)[:10])
    refused = (await client.post("/fit", content=longer, headers=headers)).json()["detail"]
    assert "line 8, 'Step Information: R=2K  (Step: 2/2)', ends a table of 5 rows" in refused


async def test_wells_in_columns_are_stacked_and_grouped(client: httpx.AsyncClient) -> None:
    text = "Time [s],A1,A2,note\n0,1,2,x\n1,3,5,\n2,5,8,\n3,7,11,\n"
    query = {"stack": "well", "model": "value ~ a*Time + b", "group_by": "well"}
    found = await fitted(client, text, **query)
    assert found["groups"]["key"] == ["A1", "A2"]
    assert found["groups"]["params"]["a"] == pytest.approx([2.0, 3.0])
    assert found["units"]["Time"] == "s"


async def test_a_second_input_in_the_header_is_stacked(client: httpx.AsyncClient) -> None:
    text = "time,plate,0,0.5,1\n0,7,1,2,3\n1,7,3,4,5\n2,7,5,6,7\n"
    query = {"stack": "dose", "keep": "time,plate", "model": "value ~ a*time + b + c*dose"}
    found = await fitted(client, text, **query)
    assert found["params"] == pytest.approx({"a": 2.0, "b": 1.0, "c": 2.0})


@pytest.mark.parametrize(
    ("text", "query", "says"),
    [
        ("t,u\n0,1\n1,2\n", {"stack": "t"}, "not a new name"),
        ("t,u\n0,1\n1,2\n", {"stack": "d", "keep": "t,u"}, "needs columns of numbers"),
        ("t,u\n0,1\n1,2\n", {"stack": "d", "keep": "x"}, "unknown column 'x'"),
        ("t,u\n0,\n1,ab\n", {"stack": "d"}, "needs columns of numbers"),
    ],
)
async def test_what_cannot_be_stacked(
    client: httpx.AsyncClient, text: str, query: dict[str, str], says: str
) -> None:
    headers = {"Content-Type": "text/csv"}
    answer = await client.post("/read", params=query, content=text, headers=headers)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


async def test_an_error_in_a_stacked_table_names_the_line(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "text/csv"}
    query = {"stack": "dose", "model": "value ~ a*t + b*dose"}
    text = "t,1,2\n0,1,2\n1,2,\n2,3,4\n"
    answer = await client.post("/fit", params=query, content=text, headers=headers)
    assert "row 5 is missing" in answer.json()["detail"]
    assert "line 3" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("unit", "slope"), [("s", 1 / 1800), ("min", 1 / 30), ("h", 2.0), ("d", 48.0)]
)
async def test_the_unit_of_dates(client: httpx.AsyncClient, unit: str, slope: float) -> None:
    text = "t,y\n2021-03-01 00:00,1\n2021-03-01 01:00,3\n2021-03-01 02:00,5\n"
    for body in (text, text.replace("2021-03-01", "1.3.2021")):
        found = await fitted(client, body, model="y ~ a*t + b", dates_unit=unit)
        assert found["params"]["a"] == pytest.approx(slope)
        assert found["units"]["t"] == unit


@pytest.mark.parametrize("last", [",,aborted", "3,,aborted"])
async def test_a_last_row_of_data_is_no_footer(client: httpx.AsyncClient, last: str) -> None:
    text = f"x,y,remark\n0,1,ok\n1,3,ok\n2,5,\n{last}\n"
    answer = await client.post("/read", content=text, headers={"Content-Type": "text/csv"})
    assert answer.json()["n"] == 4
    assert answer.json()["data"]["remark"][3] == "aborted"


async def test_a_unit_in_each_cell(client: httpx.AsyncClient) -> None:
    text = "x,y\n0,1.0 mV\n1,3.0 mV\n2,NA\n3,7.0 mV\n"
    found = await fitted(client, text, missing="drop")
    assert found["params"] == pytest.approx({"w": 2.0, "b": 1.0})
    assert found["units"]["y"] == "mV"
    mixed = "x,y\n0,1.0 mV\n1,3.0 V\n2,5.0 V\n"
    headers = {"Content-Type": "text/csv"}
    answer = await client.post("/fit?model=y~a*x", content=mixed, headers=headers)
    assert "is the text '1.0 mV'" in answer.json()["detail"]
