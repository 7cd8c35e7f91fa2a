"""A fit: its report, its display in notebooks, its file."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.client import AsyncDescent, AsyncFit, ClientError, Descent, Fit, GroupedFit
from service.client.errors import UnreadableAnswer
from service.client.notebook import query_of
from tests.client.parts import DATA, DECAY, DECAY_DATA, MODEL

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>'


@pytest.fixture
def fit(client: Descent) -> Fit:
    return client.fit(MODEL, DATA)


def test_a_fit_prints_as_its_report(fit: Fit) -> None:
    from service.render.report import report

    assert str(fit) == report(fit.document)
    assert "0.537" in str(fit)
    assert max(map(len, fit.report(width=60).splitlines())) <= 60
    assert "\x1b[" not in fit.report()


def test_save_and_load(fit: Fit, client: Descent, tmp_path: Path) -> None:
    fit.save(tmp_path / "fit.json")
    assert json.loads((tmp_path / "fit.json").read_bytes())["params"] == fit.params
    again = Fit.load(tmp_path / "fit.json", client)
    assert again == fit
    assert again.predict({"t_u": [1.0]}) == fit.predict({"t_u": [1.0]})


def test_save_and_load_of_a_diverged_fit(client: Descent, tmp_path: Path) -> None:
    fit = client.fit(
        MODEL,
        DATA,
        params={"w": 1, "b": 0},
        optimizer="sgd",
        epochs=1000,
        on_divergence="continue",
    )
    assert not math.isfinite(fit.params["w"])
    fit.save(tmp_path / "fit.json")
    assert Fit.load(tmp_path / "fit.json") == fit


def test_predict_without_a_client_raises(fit: Fit, tmp_path: Path) -> None:
    fit.save(tmp_path / "fit.json")
    alone = Fit.load(tmp_path / "fit.json")
    with pytest.raises(ClientError, match="has no client"):
        alone.predict({"t_u": [1.0]})
    assert alone._repr_svg_() is None
    assert "<svg" not in alone._repr_html_()


def test_load_refuses_other_documents(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"job_id": 1}')
    with pytest.raises(UnreadableAnswer, match="not a valid Fit"):
        Fit.load(tmp_path / "a.json")


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + " "


FEW = {"x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 4.0]}
"""Three points, for a line."""


@pytest.mark.parametrize(("rows", "verdict"), [(3, "doubtful"), (1, "untrustworthy")])
def test_the_verdict_is_shown(client: Descent, rows: int, verdict: str) -> None:
    fit = client.fit("y = w * x + b", {name: column[:rows] for name, column in FEW.items()})
    assert (fit.verdict, fit.trustworthy) == (verdict, False)
    assert repr(fit).endswith(f", {verdict}>")
    said = _Tags(Fit(fit.raw)._repr_html_()).text
    assert f", {verdict})" in said
    assert all(found.code in said for found in fit.diagnostics)


def drawing(fit: Fit, status: int = 200) -> tuple[Descent, list[httpx.Request]]:
    """A client of a service that answers with a picture, or with an error status."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(status, content=SVG, headers={"Content-Type": "image/svg+xml"})

    http = httpx.Client(transport=httpx.MockTransport(answer))
    return Descent("http://x", http=http), asked


def test_a_notebook_shows_the_table_and_the_picture(fit: Fit) -> None:
    client, asked = drawing(fit)
    shown = Fit(fit.raw, client)
    parsed = _Tags(shown._repr_html_().replace('<path d="M0 0"/>', ""))
    assert parsed.open == []
    assert all(word in parsed.text for word in ("w", "0.536772", "0.0355386", "R²", "trustworthy"))
    assert SVG.decode() in shown._repr_html_()
    assert shown._repr_svg_() == SVG.decode()
    assert asked[0].url.path == f"/jobs/{fit.job_id}/plot/fit.svg"
    assert asked[0].headers["accept"] == "image/svg+xml"


def test_a_notebook_shows_the_table_without_a_picture(fit: Fit) -> None:
    client, _ = drawing(fit, 404)
    assert Fit(fit.raw, client)._repr_svg_() is None
    assert "<table>" in Fit(fit.raw, client)._repr_html_()


def test_the_html_is_escaped(client: Descent) -> None:
    """Names of columns and formulas may come from an untrusted source."""
    fit = client.fit("y = a * exp(-b * x) + c", DECAY_DATA)
    raw = {**fit.raw, "model": {**fit.raw["model"], "formula": "<script>alert(1)</script>"}}
    raw["params"] = {"<img src=x>": 1.0}
    assert not {"script", "img"} & set(_open_tags(Fit(raw)._repr_html_()))


def _open_tags(text: str) -> Iterator[str]:
    class Seen(HTMLParser):
        tags: list[str] = []  # noqa: RUF012

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            self.tags.append(tag)

    seen = Seen()
    seen.feed(text)
    return iter(seen.tags)


def test_a_picture_is_saved_and_shown(fit: Fit, tmp_path: Path) -> None:
    client, asked = drawing(fit)
    picture = Fit(fit.raw, client).plot("residuals")
    picture.save(tmp_path / "residuals.svg")
    assert (tmp_path / "residuals.svg").read_bytes() == SVG
    assert picture._repr_svg_() == str(picture) == SVG.decode()
    assert picture._repr_png_() is None
    assert asked[0].url.path.endswith("/plot/residuals.svg")
    look = {"transparent": True, "group": [1, "B"], "along": ["w", "b"]}
    sent = {"transparent": "true", "group": '[1,"B"]', "along": "w,b"}
    assert query_of({**look, "title": None}) == sent


def test_pictures_of_a_service(fit: Fit) -> None:
    assert str(fit.plot()).count("<svg") == 1
    assert "<title>Mine</title>" in str(fit.plot(title="Mine", width=600))
    assert fit.plot(kind="pdf").content.startswith(b"%PDF")
    assert fit.plot(kind="png").content.startswith(b"\x89PNG")


async def test_an_asynchronous_fit_shows_its_picture_after_plot(fit: Fit) -> None:
    http = httpx.AsyncClient(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, content=SVG))
    )
    async with http, AsyncDescent("http://x", http=http) as client:
        shown = AsyncFit(fit.raw, client)
        assert shown._repr_svg_() is None
        await shown.plot("loss")
        assert "<svg" not in shown._repr_html_()
        await shown.plot()
        assert shown._repr_svg_() == SVG.decode()
        assert SVG.decode() in shown._repr_html_()


GROUPS: dict[str, Any] = {
    "by": "plate",
    "key": ["a", "b", None],
    "n": [3, 4, 2],
    "status": ["succeeded", "succeeded", "failed"],
    "stop_reason": ["converged", "max_epochs", "diverged"],
    "epochs": [3, 100, 0],
    "verdict": ["trustworthy", "doubtful", "untrustworthy"],
    "trustworthy": [True, False, False],
    "loss": [0.1, 0.2, "NaN"],
    "r_squared": [0.9, 0.8, None],
    "residual_std": [0.1, 0.2, None],
    "params": {"w": [1.0, 2.0, "NaN"], "b": [0.5, 0.25, "NaN"]},
    "stderr": {"w": [0.1, 0.2, "NaN"]},
    "diagnostics": [[], ["not_converged"], ["too_few_rows"]],
}


@pytest.fixture
def grouped(fit: Fit) -> GroupedFit:
    """A fit with `group_by`, as the service answers it."""
    shared = ("job_id", "status", "stop_reason", "converged", "model", "optimizer", "epochs",
              "diagnostics", "verdict", "trustworthy", "dropped", "timings", "urls")  # fmt: skip
    predict = {"model": MODEL, "scaling": None, "dtype": "float64"}
    parts = {name: fit.raw[name] for name in shared}
    return GroupedFit({**parts, "predict": predict, "groups": GROUPS})


def test_a_grouped_fit_is_a_sequence(grouped: GroupedFit) -> None:
    assert len(grouped) == 3
    assert [group.key for group in grouped] == ["a", "b", None]  # type: ignore[attr-defined]
    second = grouped.of("b")
    assert (second.params, second.stderr) == ({"w": 2.0, "b": 0.25}, {"w": 0.2})
    assert second.diagnostics == ["not_converged"]
    assert (second.verdict, second.trustworthy) == ("doubtful", False)
    assert [group.verdict for group in grouped] == GROUPS["verdict"]  # type: ignore[attr-defined]
    assert math.isnan(grouped.of(None).loss)
    with pytest.raises(KeyError):
        grouped.of("c")


def test_a_grouped_fit_as_a_frame(grouped: GroupedFit) -> None:
    import pandas as pd

    frame = pd.DataFrame(grouped.columns())
    assert list(frame["plate"])[:2] == ["a", "b"]
    assert list(frame["w"])[:2] == [1.0, 2.0]
    assert list(frame["w_stderr"])[:2] == [0.1, 0.2]
    assert list(frame["verdict"]) == ["trustworthy", "doubtful", "untrustworthy"]
    assert "trustworthy" not in frame


def test_grouped_and_single_documents(client: Descent, grouped: GroupedFit) -> None:
    assert isinstance(client.fit_of(grouped.raw), GroupedFit)
    assert isinstance(client.fit_of(client.fit(DECAY, DECAY_DATA).raw), Fit)


def test_a_grouped_fit_prints_as_its_report(grouped: GroupedFit) -> None:
    assert "plate" in str(grouped)
    assert "Of them 1 trustworthy, 1 doubtful, 1 untrustworthy." in str(grouped)
    assert repr(grouped).endswith("3 groups, 1 trustworthy>")
