"""POST /compare of one model whose groups share different params: the curves of groups."""

from __future__ import annotations

import csv
from typing import Any

import httpx
import numpy as np
import pytest

from service.certification.case import LABORATORY
from tests.api.test_compare import columns, compare, the

pytestmark = pytest.mark.asyncio(loop_scope="module")

RATE = "rate = Vm*conc/(K + conc)"
K = {"shared": ["K"]}
ONE = {"shared": "all"}


async def puromycin(client: httpx.AsyncClient, **options: Any) -> dict[str, Any]:
    body = {"data": columns("puromycin.csv"), "models": [RATE], "group_by": "state", **options}
    return await compare(client, **body)


def by_label(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {model["label"]: model for model in found["models"]}


async def test_puromycin_shared_separate_and_one_curve(client: httpx.AsyncClient) -> None:
    found = await puromycin(client, null=[K, ONE], tests=["f", "lrt"])
    models = by_label(found)
    assert [model["label"] for model in found["models"]] == ["K shared", "separate", "one curve"]
    expected = {"K shared": 180.8135, "separate": 182.1295, "one curve": 204.9434}
    assert {k: m["aicc"] for k, m in models.items()} == pytest.approx(expected, abs=5e-5)
    weights = {"K shared": 0.659, "separate": 0.341, "one curve": 3.8e-6}
    assert models["K shared"]["weight"] == pytest.approx(weights["K shared"], abs=5e-4)
    assert models["separate"]["weight"] == pytest.approx(weights["separate"], abs=5e-4)
    assert models["one curve"]["weight"] == pytest.approx(weights["one curve"], abs=5e-8)
    test = the(found["tests"], "f", "K shared", "separate")
    assert (test["df1"], test["df2"], test["nested"]) == (1, 19, "proved")
    assert test["statistic"] == pytest.approx(1.71817, abs=5e-6)
    assert test["p"] == pytest.approx(0.205552, abs=5e-7)
    test = the(found["tests"], "f", "one curve", "separate")
    assert (test["df1"], test["df2"], test["nested"]) == (2, 19, "proved")
    assert test["statistic"] == pytest.approx(24.1377, abs=5e-5)
    assert test["p"] == pytest.approx(6.0747e-6, abs=5e-11)
    shared = models["K shared"]
    assert shared["params"]["K"] == pytest.approx(0.0579718, abs=5e-8)
    assert shared["stderr"]["K"] == pytest.approx(0.0059102, abs=5e-8)
    assert shared["groups"]["params"]["Vm"] == pytest.approx([208.63007, 166.604097], abs=5e-6)
    assert shared["groups"]["stderr"]["Vm"][1] == pytest.approx(5.807430, abs=5e-7)
    assert shared["residual_std"] == pytest.approx(10.585111, abs=5e-7)
    assert [models[k]["k"] for k in ("one curve", "K shared", "separate")] == [3, 4, 5]


async def test_each_fit_is_that_of_post_fit(client: httpx.AsyncClient) -> None:
    for options in ({}, {"sigma": 10.0, "sigma_absolute": True}, {"sigma": [5.0] * 12 + [9] * 11}):
        found = by_label(await puromycin(client, null=[K, ONE], **options))
        for label, shared in (("K shared", ["K"]), ("separate", []), ("one curve", ["Vm", "K"])):
            by = {"column": "state", "shared": shared, "noise": "pooled"}
            data = columns("puromycin.csv")
            body = {"data": data, "model": RATE, "group_by": by, **options}
            fit = (await client.post("/fit", json=body)).json()
            model = found[label]
            for name in ("aic", "aicc", "bic", "residual_std", "r_squared", "degrees_of_freedom"):
                assert model[name] == pytest.approx(fit["statistics"][name], rel=1e-10), name
            assert model["groups"]["params"] == fit["groups"]["params"]
            assert model["params"] == (fit["shared"] or {"params": {}})["params"]


async def test_one_curve_is_the_fit_without_groups(client: httpx.AsyncClient) -> None:
    one = by_label(await puromycin(client, null=ONE, tests=["lack_of_fit"]))["one curve"]
    body = {"data": columns("puromycin.csv"), "model": RATE}
    fit = (await client.post("/fit", json=body)).json()
    assert one["params"] == pytest.approx(fit["params"], rel=1e-6)
    assert one["stderr"] == pytest.approx(fit["statistics"]["stderr"], rel=1e-5)


async def test_lack_of_fit_is_against_a_mean_of_each_input_of_each_group(
    client: httpx.AsyncClient,
) -> None:
    data = columns("puromycin.csv")
    found = await puromycin(client, null=K, tests=["lack_of_fit"])
    cells: dict[Any, list[float]] = {}
    for key in zip(data["state"], data["conc"], data["rate"], strict=True):
        cells.setdefault(key[:2], []).append(key[2])
    pure = sum(float(np.square(np.subtract(c, np.mean(c))).sum()) for c in cells.values())
    test = the(found["tests"], "lack_of_fit", "K shared", None)
    rss = by_label(found)["K shared"]["rss"]
    df1, df2 = len(cells) - 3, 23 - len(cells)
    assert (test["df1"], test["df2"]) == (df1, df2)
    assert test["statistic"] == pytest.approx((rss - pure) / df1 / (pure / df2))


async def test_strips_of_two_rows(client: httpx.AsyncClient) -> None:
    with (LABORATORY / "muscle.csv").open() as file:
        rows = list(csv.DictReader(file))
    data = {
        "Strip": [row["Strip"] for row in rows],
        **{name: [float(row[name]) for row in rows] for name in ("Conc", "Length")},
    }
    body = {"data": data, "models": ["Length = a + b*exp(-Conc/th)"], "group_by": "Strip"}
    found = await compare(client, **body, null=[ONE, {"shared": ["th"]}])
    models = by_label(found)
    test = the(found["tests"], "f", "one curve", "th shared")
    assert (test["df1"], test["df2"]) == (40, 17)
    assert test["p"] < 1e-4
    assert models["th shared"]["params"]["th"] == pytest.approx(0.7969085, abs=5e-8)
    assert models["th shared"]["degrees_of_freedom"] == 17
    assert models["one curve"]["degrees_of_freedom"] == 57
    assert models["one curve"]["residual_std"] == pytest.approx(4.666216, abs=5e-7)
    assert models["separate"]["rank"] != 1


async def test_groups_with_fewer_rows_than_params_have_no_test(client: httpx.AsyncClient) -> None:
    data = {"x": [0, 1, 0, 1, 0, 1.0], "y": [1, 2.1, 3, 4.2, 2, 3.1], "g": list("aabbcc")}
    found = await compare(
        client, data=data, models=["y = a + b*x + 0.1*c*x**2"], group_by="g",
        null={"shared": ["c"]},
    )  # fmt: skip
    (test,) = found["tests"]
    assert test["p"] is None
    assert "too few rows" in test["reason"]


async def test_sharing_neither_of_the_other_is_ranked_and_not_tested(
    client: httpx.AsyncClient,
) -> None:
    found = await puromycin(client, null=K, alternative={"shared": ["Vm"]})
    assert found["tests"] == []
    assert {model["label"] for model in found["models"]} == {"K shared", "Vm shared"}
    assert found["best"] == "K shared"


async def test_rows_and_missing_values(client: httpx.AsyncClient) -> None:
    data = columns("puromycin.csv")
    data["rate"][1] = None
    body = {"models": [RATE], "group_by": "state", "null": K, "rows": "conc < 1"}
    found = await compare(client, data=data, missing="drop", **body)
    used = sum(conc < 1 for conc in data["conc"])
    assert found["rows"] == {"used": used, "of": 23}
    assert (found["n"], found["dropped"]) == (used - 1, {"count": 1, "rows": [2]})
    kept = [i for i, conc in enumerate(data["conc"]) if conc < 1 and i != 1]
    own = {name: [column[i] for i in kept] for name, column in data.items()}
    again = await compare(client, data=own, **{**body, "rows": "conc > 0"})
    assert [m["aicc"] for m in again["models"]] == [m["aicc"] for m in found["models"]]


async def test_rows_of_models(client: httpx.AsyncClient) -> None:
    data = columns("ryegrass.csv")
    found = await compare(client, data=data, models=["logistic4", "linear"], rows="conc > 1")
    assert (found["n"], found["rows"]) == (15, {"used": 15, "of": 24})
    bad = {"data": data, "models": ["linear"], "rows": "dose > 1"}
    answer = await client.post("/compare", json=bad)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/rows"


@pytest.mark.parametrize("route", ["/compare", "/fit"])
async def test_rows_with_an_idempotency_key(client: httpx.AsyncClient, route: str) -> None:
    data = columns("puromycin.csv")
    model = {"model": RATE} if route == "/fit" else {"models": [RATE]}
    body = {"data": data, **model, "rows": "state == 'treated'"}
    key = {"Idempotency-Key": f"rows-of-{route}"}
    first = await client.post(route, json=body, headers=key)
    assert first.status_code == 200, first.text
    again = await client.post(route, json=body, headers=key)
    assert again.json()["job_id"] == first.json()["job_id"]
    other = await client.post(route, json={**body, "rows": "state != 'treated'"}, headers=key)
    assert other.status_code == 422


async def test_a_table_with_options_in_the_query(client: httpx.AsyncClient) -> None:
    content = (LABORATORY / "puromycin.csv").read_bytes()
    query = "models=rate~Vm*conc/(K%2Bconc)&group_by=state&null=K;all&alternative="
    kind = {"content-type": "text/csv"}
    answers = {
        form: await client.post(f"/compare?{query}&format={form}", content=content, headers=kind)
        for form in ("text", "csv", "oneline", "json")
    }
    for form, answer in answers.items():
        assert answer.status_code == 200, (form, answer.text)
    text = answers["text"].text
    assert "K shared in separate (proved): F(1, 19) = 1.71817, p = 0.20555." in text
    assert "one curve in separate (proved): F(2, 19) = 24.1377, p = 6.0747e-6." in text
    assert "0.0579718" in text
    assert max(map(len, text.splitlines())) <= 80
    rows = list(csv.DictReader(answers["csv"].text.splitlines()))
    assert [row["label"] for row in rows] == ["K shared", "separate", "one curve"]
    line = answers["oneline"].text
    assert line.startswith("best=Kshared aicc=180.813 weight=0.659 ")
    assert "p_f(Kshared,separate)=0.2056" in line
    named = await puromycin(client, null="K", alternative="")
    assert named["best"] == "K shared"


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"null": {"shared": ["Q"]}}, "/null/shared/0", "Q"),
    ({"null": [K, {"shared": ["Vm", "q"]}]}, "/null/1/shared/1", "q"),
    ({"null": K, "alternative": {"shared": ["V"]}}, "/alternative/shared/0", "V"),
    ({"null": K, "alternative": K}, "/alternative", "same params"),
    ({"null": {"shared": ["Vm", "K"]}, "alternative": ONE}, "/alternative", "same params"),
    ({"alternative": K}, "/alternative", "null"),
    ({"null": K, "group_by": None}, "/group_by", "curves"),
    ({"null": K, "models": [RATE, "rate = a + b*conc"]}, "/models", "one entry"),
    ({"null": K, "models": "catalogue"}, "/models", "one entry"),
    ({"null": K, "nested": [["a", "b"]]}, "/nested", "nested"),
    ({"null": K, "group_by": {"column": "state", "shared": ["K"]}}, "/group_by", "null"),
    ({"null": K, "rows": "state == 'treated'"}, "/group_by", "one value"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "pointer", "said"), REFUSED)
async def test_what_has_no_meaning_is_refused(
    client: httpx.AsyncClient, body: dict[str, Any], pointer: str, said: str
) -> None:
    asked = {"data": columns("puromycin.csv"), "models": [RATE], "group_by": "state", **body}
    answer = await client.post("/compare", json=asked)
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["errors"][0]["pointer"] == pointer, problem
    assert said in problem["errors"][0]["detail"]
