"""Each command against a real server: its output and its exit code."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from service.client import Descent, Fit
from tests.cli.conftest import Run
from tests.client.parts import (
    DATA,
    DECAY,
    DECAY_DATA,
    ENDLESS,
    LINE,
    MODEL,
)
from tests.serving import unused_address


def test_a_fit_as_json(run: Run) -> None:
    done = run("fit", "thermo.csv", MODEL, "-f", "json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["params"] == pytest.approx(LINE, rel=1e-12)


def test_a_fit_as_text(run: Run) -> None:
    done = run("fit", "thermo.csv", MODEL)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0.537" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_fit_as_csv_and_oneline(run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(run("fit", "thermo.csv", MODEL, "-f", "csv").stdout)))
    assert [row["name"] for row in rows] == ["w", "b"]
    assert [float(row["value"]) for row in rows] == pytest.approx(list(LINE.values()), rel=1e-12)
    line = run("fit", "thermo.csv", MODEL, "--format", "oneline").stdout
    assert line.startswith("w=0.537±0.036 b=-17.3±1.9")
    assert line.count("\n") == 1


def test_two_columns_to_group_by_make_one_key(run: Run) -> None:
    """Wells of two plates are two groups; 001 stays text."""
    rows = [
        f"{x},{k * x + int(well)},P{k},{well}"
        for k in (1, 2)
        for well in ("001", "2")
        for x in range(4)
    ]
    table = "\n".join(["x,y,plate,well", *rows]) + "\n"
    asked = ("fit", "-", "y = a*x + b", "--group-by", "plate", "--group-by", "well", "-f", "json")
    found = json.loads(run(*asked, stdin=table).stdout)
    keys = [["P1", "001"], ["P1", "2"], ["P2", "001"], ["P2", "2"]]
    assert found["groups"]["key"] == keys
    some = json.loads(run(*asked, "--rows", "x > 0 and plate == 'P2'", stdin=table).stdout)
    assert some["groups"]["key"] == keys[2:]
    assert some["rows"] == {"used": 6, "of": 16}
    shared = json.loads(run(*asked, "--shared", "a", stdin=table).stdout)
    assert list(shared["shared"]["params"]) == ["a"]
    assert run("fit", "-", "y = a*x + b", "--shared", "a", stdin=table).returncode == 2


def test_a_fit_from_stdin(run: Run) -> None:
    text = "".join(f"{u}\t{c}\n" for u, c in zip(DATA["t_u"], DATA["t_c"], strict=True))
    done = run("fit", "-", "y = w*x + b", "-f", "json", stdin=text)
    assert json.loads(done.stdout)["params"] == pytest.approx(LINE, rel=1e-12)
    as_json = run("fit", "-", MODEL, "-f", "json", stdin=json.dumps({"data": DATA}))
    assert json.loads(as_json.stdout)["params"] == pytest.approx(LINE, rel=1e-12)


@pytest.mark.parametrize("strict", [(), ("--strict",)])
def test_an_untrustworthy_fit_exits_with_3(run: Run, strict: tuple[str, ...]) -> None:
    words = ("fit", "decay.csv", DECAY, "--optimizer", "sgd", "--epochs", "5", "-f", "json")
    done = run(*words, *strict)
    assert (done.returncode, done.stderr) == (3, "")
    found = json.loads(done.stdout)
    assert (found["verdict"], found["trustworthy"]) == ("untrustworthy", False)


@pytest.mark.parametrize(("strict", "code"), [((), 0), (("--strict",), 3)])
def test_a_doubtful_fit_warns_and_exits_with_3_if_strict(
    run: Run, strict: tuple[str, ...], code: int
) -> None:
    done = run("fit", "-", "-f", "oneline", *strict, stdin="1 2.1\n2 3.9\n3 6.2\n")
    assert done.returncode == code
    assert done.stdout.endswith(" doubtful:few_degrees_of_freedom\n")
    assert done.stderr == "descent: the fit is doubtful: few_degrees_of_freedom\n"
    as_json = run("fit", "-", "-f", "json", *strict, stdin="1 2.1\n2 3.9\n3 6.2\n")
    assert as_json.returncode == code
    job = json.loads(as_json.stdout)["job_id"]
    watched = run("watch", job, "-f", "json", *strict)
    assert (watched.returncode, watched.stderr) == (code, done.stderr)


def test_a_trustworthy_fit_exits_with_0_also_if_strict(run: Run) -> None:
    done = run("fit", "thermo.csv", MODEL, "--strict", "-f", "oneline")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("strict", "code"), [((), 0), (("--strict",), 3)])
def test_groups_exit_by_their_worst_verdict(
    run: Run, tables: Path, strict: tuple[str, ...], code: int
) -> None:
    rows = [(x, 2 * x + 1 + 0.1 * (-1) ** x, "a") for x in range(9)]
    few = [(x, x + 0.1 * x * x, "b") for x in range(3)]
    alone = [(1, 2, "c")]
    words = ("y = w*x + b", "--group-by", "g", "-f", "csv", *strict)
    for name, table in (("good", rows), ("few", rows + few), ("bad", rows + few + alone)):
        text = "".join(f"{x},{y},{g}\n" for x, y, g in table)
        (tables / f"{name}.csv").write_text("x,y,g\n" + text)
    assert run("fit", "good.csv", *words).returncode == 0
    doubtful = run("fit", "few.csv", *words)
    assert doubtful.returncode == code
    assert doubtful.stderr == "descent: the fit is doubtful: few_degrees_of_freedom\n"
    bad = run("fit", "bad.csv", *words)
    assert (bad.returncode, bad.stderr) == (3, "")
    verdicts = [row["verdict"] for row in csv.DictReader(io.StringIO(bad.stdout))]
    assert verdicts == ["trustworthy", "doubtful", "untrustworthy"]


def test_options_reach_the_service(run: Run, client: Descent) -> None:
    done = run(
        *("fit", "decay.csv", DECAY, "-p", "a=3", "--fix", "c=1", "--bound", "b=0:0.5"),
        *("--optimizer", "adam", "--epochs", "50", "--loss", "huber", "--sigma", "0.1"),
        *("--set", "optimizer.learning_rate=0.05", "--set", "loss.delta=2", "-f", "json"),
        *("--patch", '{"record_every": 25, "dtype": "float32"}'),
    )
    fit = json.loads(done.stdout)
    assert (fit["optimizer"], fit["epochs"], fit["predict"]["dtype"]) == ("adam", 50, "float32")
    assert fit["params"]["c"] == 1
    assert fit["params"]["b"] <= 0.5
    assert fit["history"]["epoch"] == [1, 25, 50]


def test_the_command_line_and_python_give_the_same_fit(run: Run, client: Descent) -> None:
    said = json.loads(run("fit", "decay.csv", DECAY, "--loss", "huber", "-f", "json").stdout)
    assert client.fit(DECAY, DECAY_DATA, loss="huber").params == said["params"]


def test_a_rejected_request_exits_with_4(run: Run) -> None:
    done = run("fit", "thermo.csv", "lineer")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == (
        "descent: Unknown name\n  /model: unknown model 'lineer'; did you mean 'linear'?\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fit"], "name a table"),
        (["fit", "nonesuch.csv"], "nonesuch.csv: No such file"),
        (["fit", "thermo.csv", MODEL, "-p", "w"], "'w' is not of the form name=value"),
        (["fit", "thermo.csv", MODEL, "-p", "w=one"], "must be a number, not 'one'"),
        (["fit", "thermo.csv", MODEL, "--bound", "w=1"], "must be low:high"),
        (["fit", "thermo.csv", MODEL, "--patch", "[]"], "must be a JSON object"),
        (["fit", "thermo.csv", MODEL, "--plot", "fit.gif"], "a picture is .svg, .png, .pdf, .txt"),
        (["fit", "thermo.csv", MODEL, "--epochs", "0"], "--epochs"),
        (["predict", "thermo.csv"], "predict with a model"),
        (["jobs", "--url", "ftp://x"], "is not a service's address"),
        (["nonesuch"], "nonesuch"),
    ],
)
def test_invalid_usage_exits_with_2(words: list[str], said: str, run: Run) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_an_invalid_table_exits_with_4(run: Run) -> None:
    done = run("fit", "-", stdin="x,y\n1,2\n3\n")
    assert done.returncode == 4
    assert "line 3 has 1 values where 2 are expected" in done.stderr


def test_no_service_exits_with_5(run: Run) -> None:
    with unused_address() as address:
        done = run("jobs", "--url", address)
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith(f"descent: no answer from http://{address}: Connection refused")
    assert "descent serve" in done.stderr


def test_another_service_exits_with_5(run: Run, tmp_path: Path) -> None:
    import http.server
    import threading

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Page) as other:
        thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        done = run("jobs", "--url", f"127.0.0.1:{other.server_port}")
        other.shutdown()
        thread.join()
    assert done.returncode == 5
    assert "not an answer of Descent: <html>" in done.stderr


def test_a_fit_is_saved_and_predicts(run: Run, tables: Path) -> None:
    assert run("fit", "thermo.csv", MODEL, "--save", "fit.json", "-f", "json").returncode == 0
    saved = Fit.load(tables / "fit.json")
    assert saved.params == pytest.approx(LINE, rel=1e-12)
    (tables / "new.csv").write_text("t_u,note\n0,a\n100,b\n")
    done = run("predict", "new.csv", "--fit", "fit.json", "--interval", "prediction", "-f", "json")
    found = json.loads(done.stdout)
    assert found["predictions"] == pytest.approx([LINE["b"], LINE["b"] + 100 * LINE["w"]])
    assert found["lower"][0] < found["predictions"][0] < found["upper"][0]
    by_job = run("predict", "new.csv", "--job", saved.job_id, "-f", "json")
    assert json.loads(by_job.stdout)["predictions"] == found["predictions"]
    given = ("-p", f"w={LINE['w']}", "-p", f"b={LINE['b']}")
    by_model = run("predict", "new.csv", MODEL, *given, "-f", "json")
    assert json.loads(by_model.stdout)["predictions"] == pytest.approx(found["predictions"])


def test_predictions_as_csv_have_the_columns_of_the_data(run: Run, tables: Path) -> None:
    (tables / "new.csv").write_text("t_u,note\n0,a\n100,b\n")
    done = run("predict", "new.csv", MODEL, "-p", "w=1", "-p", "b=0.5")
    assert done.stdout.splitlines() == ["t_u,note,prediction", "0.0,a,0.5", "100.0,b,100.5"]


def test_a_condition_chooses_the_rows_of_every_command(run: Run, tables: Path) -> None:
    (tables / "new.csv").write_text("t_u,note\n0,a\n100,b\n")
    assert run("fit", "thermo.csv", MODEL, "--save", "fit.json", "-f", "json").returncode == 0
    model = (MODEL, "-p", "w=1", "-p", "b=0.5")
    for asked in (model, ("--fit", "fit.json")):
        done = run("predict", "new.csv", *asked, "--rows", "note == 'b'")
        lines = done.stdout.splitlines()
        assert len(lines) == 2
        assert lines[1].startswith("100.0,b,")
    some = run("gradient", "thermo.csv", *model, "--rows", "t_u > 60", "-f", "json")
    assert json.loads(some.stdout)["rows"]["used"] < json.loads(some.stdout)["rows"]["of"]


def test_gradient(run: Run) -> None:
    done = run("gradient", "thermo.csv", MODEL, "-p", "w=1", "-p", "b=0", "--check", "-f", "json")
    found = json.loads(done.stdout)
    assert found["gradient"] == pytest.approx({"w": 4517.296363636364, "b": 82.6})
    assert found["check"]["agree"] is True
    numeric = run(
        *("gradient", "thermo.csv", MODEL, "-p", "w=1", "-p", "b=0"),
        *("--method", "numeric", "--delta", "0.1", "-f", "json"),
    )
    assert json.loads(numeric.stdout)["method"] == "numeric"


def test_jobs_are_listed_watched_and_cancelled(run: Run, client: Descent) -> None:
    job = client.submit(DECAY, DECAY_DATA, **ENDLESS)
    listed = json.loads(run("jobs", "--limit", "1", "-f", "json").stdout)
    assert [entry["job_id"] for entry in listed["jobs"]] == [job.id]
    assert json.loads(run("jobs", job.id, "-f", "json").stdout)["job_id"] == job.id
    done = run("cancel", job.id)
    assert (done.returncode, done.stdout) == (0, f"{job.id} cancelled\n")
    watched = run("watch", job.id, "-f", "json")
    assert json.loads(watched.stdout)["stop_reason"] == "cancelled"
    again = run("fit", "--watch", job.id, "-f", "json")
    assert again.stdout == watched.stdout
    assert run("cancel", "job_nonesuch").returncode == 4
    assert run("jobs", "--status", "nonesuch").returncode == 4


def test_background(run: Run, client: Descent) -> None:
    done = run("fit", "thermo.csv", MODEL, "--background")
    assert done.returncode == 0
    fit = client.job(done.stdout.strip()).wait()
    assert fit.params == pytest.approx(LINE, rel=1e-12)
    alone = run("fit", "thermo.csv", MODEL, "--background", own=True)
    assert alone.returncode == 2
    assert "needs a running service" in alone.stderr


def test_models(run: Run) -> None:
    found = json.loads(run("models", "linear", "gaussian", "-f", "json").stdout)
    assert [entry["name"] for entry in found["models"]] == ["linear", "gaussian"]
    done = run("models", "gausian")
    assert done.returncode == 4
    assert "did you mean 'gaussian'" in done.stderr


def test_temporary_service(run: Run, tables: Path) -> None:
    done = run("fit", "thermo.csv", MODEL, "-f", "json", own=True, WEB_CONCURRENCY="4")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["params"] == pytest.approx(LINE, rel=1e-12)


def test_a_temporary_service_that_cannot_start(run: Run) -> None:
    done = run("fit", "thermo.csv", MODEL, own=True, DESCENT_MAX_WAIT_S="soon")
    assert done.returncode == 5
    assert "a service could not be started" in done.stderr
    assert "DESCENT_MAX_WAIT_S" in done.stderr


def test_doctor(run: Run) -> None:
    here = run("doctor", own=True)
    assert here.returncode == 0, here.stdout
    assert "torch 2.13.0" in here.stdout
    assert "a service starts here in" in here.stdout
    assert here.stdout.endswith("no problems found\n")
    there = run("doctor")
    assert there.returncode == 0, there.stdout
    assert "is ready" in there.stdout
    with unused_address() as address:
        gone = run("doctor", "--url", address)
    assert gone.returncode == 5
    assert f"FAIL  no answer from http://{address}" in gone.stdout
    wrong = run("doctor", DESCENT_WORKERS="-1")
    assert wrong.returncode == 1
    assert "FAIL  DESCENT_WORKERS" in wrong.stdout


@pytest.mark.parametrize(
    ("name", "start"), [("fit.svg", b"<svg"), ("fit.png", b"\x89PNG"), ("fit.txt", b"")]
)
def test_plot(name: str, start: bytes, run: Run, tables: Path) -> None:
    done = run("fit", "thermo.csv", MODEL, "-f", "json", "--plot", name)
    assert done.returncode == 0, done.stderr
    assert (tables / name).read_bytes().startswith(start)


def test_how_a_plot_looks(run: Run, tables: Path) -> None:
    plot = ["fit", "thermo.csv", MODEL, "-f", "json", "--plot", "a.txt"]
    done = run(*plot, "--look", "title=Two thermometers", "--look", "columns=60")
    assert done.returncode == 0, done.stderr
    assert (tables / "a.txt").read_text("utf-8").startswith("Two thermometers")
    assert "name=value" in run(*plot, "--look", "dark").stderr
    assert "width" in run(*plot, "--look", "width=1").stderr


def test_an_unknown_view_is_reported(run: Run) -> None:
    done = run("fit", "thermo.csv", MODEL, "-f", "json", "--plot", "a.svg", "--view", "nonesuch")
    assert done.returncode == 4
    assert "nonesuch" in done.stderr


def test_group_keys_keep_their_spelling(run: Run, tables: Path) -> None:
    text = "".join(f"{x},{x + b},{g}\n" for g, b in (("1E5", 1), ("10E4", 2)) for x in range(4))
    (tables / "wells.csv").write_text("x,y,well\n" + text)
    done = run("fit", "wells.csv", "y = a*x + b", "--group-by", "well", "-f", "json")
    fit = json.loads(done.stdout)
    assert fit["groups"]["key"] == ["1E5", "10E4"]
    (tables / "new.csv").write_text("x,well\n0,10E4\n0,1E5\n")
    told = run("predict", "new.csv", "--job", fit["job_id"], "-f", "json")
    assert json.loads(told.stdout)["predictions"] == pytest.approx([2, 1])


def test_unknowns_of_a_saved_fit_and_of_a_job(run: Run, client: Descent, tables: Path) -> None:
    fit = client.fit(MODEL, DATA)
    fit.save(tables / "fit.json")
    (tables / "plate.csv").write_text("sample;dilution;t_c\n007;2;10\n007;2;11\n7;1;9999\n")
    for words in (("--fit", "fit.json"), ("--job", fit.job_id)):
        done = run("invert", "plate.csv", *words, "--interval", "wald", "--range", "0:200")
        assert (done.returncode, done.stderr) == (0, "")
        rows = list(csv.DictReader(io.StringIO(done.stdout)))
        assert [(row["sample"], row["status"]) for row in rows] == [
            ("007", "ok"),
            ("7", "above_curve"),
        ]
        expected = 2 * (10.5 - LINE["b"]) / LINE["w"]
        assert float(rows[0]["estimate"]) == pytest.approx(expected, rel=1e-9)
    given = [f"--param={name}={value}" for name, value in LINE.items()]
    asked = ("plate.csv", MODEL, *given, "--range", "0:200", "--dilution", "1", "-f", "oneline")
    line = run("invert", *asked).stdout
    assert line.startswith("sample=007 t_u=51.8")
    assert run("invert", "plate.csv").returncode == 2


def test_the_list_of_jobs_has_the_loss_of_the_params(run: Run) -> None:
    """The last recorded loss is that before the last step."""
    steps = ("--optimizer", "sgd", "--set", "optimizer.learning_rate=1e-4", "--set", "epochs=3")
    fit = json.loads(run("fit", "thermo.csv", MODEL, *steps, "-f", "json").stdout)
    assert fit["loss"] != fit["history"]["loss"][-1]
    (shown,) = [line for line in run("jobs").stdout.splitlines() if fit["job_id"] in line]
    assert float(shown.split()[3]) == pytest.approx(fit["loss"], rel=1e-3)


def test_the_help_of_serve_says_where_the_documentation_is(run: Run) -> None:
    assert "/guide" in run("serve", "--help").stdout


def test_a_target_by_another_name_is_answered_with_what_to_write(run: Run) -> None:
    done = run("fit", "thermo.csv", "linear", "--set", "target=t_c")
    assert done.returncode == 4
    assert "left side of the formula" in done.stderr
