"""Numbers at the ends of their range, with every option: an answer or a refusal, never a fault."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.settings import Settings
from tests.api.in_process import real
from tests.security.test_numbers import strict

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # Overflow is what is asked for, and no error outside the tests.
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]

AWKWARD = [0.0, -0.0, 5e-324, -1e-323, 2.3e-308, 1e-300, 1e-160, 1e-45, 1.0, -1.0, 3.0, 1 + 2**-52]
AWKWARD += [16777217.0, 3.4e38, 1e40, 1e154, -1e160, 1e300, 1e307, -1e308, 1.7976931348623157e308]
NUMBER = st.sampled_from(AWKWARD)
MODELS = [
    "linear",
    "y = a*x + b",
    "y = a*exp(-b*x) + c",
    "y = a*x/(b + x)",
    "y = a*sin(b*x + c)",
    "log(y) = a + b*x",
    "gaussian",
    "logistic4",
    {"name": "polynomial", "degree": 3},
    {"name": "mlp", "hidden": [2]},
]
OPTIMIZERS = ["auto", "exact", "levenberg_marquardt", "lbfgs"]
OPTIMIZERS += ["sgd", "adam", "adamw", "rmsprop", "adagrad"]
LOSSES = ["mse", "mae", "huber", "soft_l1", "cauchy", "log_cosh", "arctan", "tukey", "quantile"]


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "model": st.sampled_from(MODELS),
    "optimizer": st.sampled_from(OPTIMIZERS)
    | st.builds(lambda rate: {"name": "sgd", "learning_rate": abs(rate) or 1.0}, NUMBER),
    "loss": st.sampled_from(LOSSES),
    "dtype": st.sampled_from(["float64", "float32"]),
    "scaling": maybe(st.sampled_from(["standardize", "min_max"])),
    "sigma": maybe(NUMBER.map(abs).filter(bool)),
    "sigma_absolute": st.booleans(),
    "missing": st.sampled_from(["error", "drop"]),
    "group_by": st.sampled_from([None, None, "g"]),
    "epochs": maybe(st.sampled_from([1, 7, 200, 9000])),
    "record_every": maybe(st.sampled_from([1, 8193])),
    "tolerance": maybe(st.just({"loss": 1e-3, "params": 1e-3, "gradient": 1e-3})),
    "on_divergence": st.sampled_from(["stop", "continue"]),
    "confidence_interval": maybe(st.sampled_from([{"method": "profile"}, {"level": 0.999999999}])),
    "challenge": st.booleans(),
}


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    rows = draw(st.integers(1, 7))
    column = st.lists(NUMBER, min_size=rows, max_size=rows)
    asked = {name: value for name, of in OPTIONS.items() if (value := draw(of)) is not None}
    groups = st.lists(st.sampled_from([1.0, 2.0]), min_size=rows, max_size=rows)
    return {**asked, "data": {"x": draw(column), "y": draw(column), "g": draw(groups)}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with real(Settings(workers=1, max_time_limit_s=2)) as client:
        yield client


def check(answer: httpx.Response, asked: object) -> Any:
    """An answer that is JSON as it should be, and no fault of ours."""
    assert answer.status_code < 500, (asked, answer.text[:500])
    if "json" in answer.headers["content-type"]:
        return strict(answer.text)
    return None


@given(asked=requests(), form=st.sampled_from(["text", "csv", "oneline", "arrow"]))
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
async def test_every_option(client: httpx.AsyncClient, asked: dict[str, Any], form: str) -> None:
    answer = await client.post("/fit", json=asked)
    told = check(answer, asked)
    if answer.status_code != 200:
        return
    at = told["urls"]["self"]
    check(await client.get(at, params={"format": form}), asked)
    check(await client.get(f"{at}/history", params={"format": form}), asked)
    if "group_by" not in asked:
        for picture in ("fit.txt", "residuals.svg", "loss.png", "path.txt"):
            check(await client.get(f"{at}/plot/{picture}"), (picture, asked))
    by_job = {"job_id": told["job_id"], "data": asked["data"]}
    band = {} if "group_by" in asked else {"interval": "prediction"}
    for more in ({}, band):
        check(await client.post("/predict", json={**by_job, **more}), asked)
    params = dict.fromkeys(told["model"]["params"], 1.5)
    plain = {"model": asked["model"], "params": params, "data": asked["data"]}
    loss = {"loss": asked["loss"], "dtype": asked["dtype"]}
    check(await client.post("/loss", json={**plain, **loss, "residuals": True}), asked)
    for method in ("analytic", "autograd", "numeric"):
        body = {**plain, **loss, "gradient": method}
        check(await client.post("/gradient", json=body), (method, asked))


SEARCHED = {
    "decay": ("y=a*exp(-b*x)+c", lambda x, top: 2500 * np.exp(-3 * x / top) + 400),
    "peak": ("y=a*exp(-((x-b)/c)**2)", lambda x, top: 46 * np.exp(-(((x - top / 9) / top) ** 2))),
}


@pytest.mark.parametrize("curve", SEARCHED)
@pytest.mark.parametrize("top", [1.0, 10.0, 1000.0])
async def test_a_start_that_is_searched_in_float32(
    client: httpx.AsyncClient, curve: str, top: float
) -> None:
    """Candidates overflow there that do not as float64."""
    model, of = SEARCHED[curve]
    rng = np.random.default_rng(3)
    x = np.sort(rng.uniform(0, top, 15)).round(2)
    y = (of(x, top) + rng.normal(0, 0.1, 15)).round(3)
    asked = {"model": model, "dtype": "float32", "data": {"x": x.tolist(), "y": y.tolist()}}
    answer = await client.post("/fit", json=asked)
    assert answer.status_code == 200, answer.text[:500]


@pytest.mark.parametrize("epochs", [100_000, 3_000_000])
@pytest.mark.parametrize("record_every", [None, 8193, 20_000])
async def test_a_block_of_epochs_that_records_no_row(
    client: httpx.AsyncClient, epochs: int, record_every: int | None
) -> None:
    asked = {
        "model": "y=a*x+b",
        "data": {"x": [1, 2, 3], "y": [2, 4, 7]},
        "optimizer": "sgd",
        "epochs": epochs,
        **({} if record_every is None else {"record_every": record_every}),
    }
    told = check(await client.post("/fit", json=asked), asked)
    assert told["epochs"] == epochs
    assert told["history"]["epoch"][-1] == epochs


async def test_params_that_are_not_finite_have_no_picture(client: httpx.AsyncClient) -> None:
    """A network sets out from the target's mean, whose sum overflows."""
    data = {"x": [1, 2, 3, 4, 5], "y": [1e308, 1.1e308, 1.2e308, 1.3e308, 1.7e308]}
    asked = {"model": {"name": "mlp", "hidden": [3]}, "data": data, "sigma": 1e300}
    told = check(await client.post("/fit", json=asked), asked)
    assert "Infinity" in told["best"]["params"].values()
    at = told["urls"]["self"]
    for picture in ("fit.svg", "residuals.txt"):
        drawn = await client.get(f"{at}/plot/{picture}")
        assert drawn.status_code == 422
        assert "params are not finite: " in drawn.json()["detail"]
    check(await client.get(at, params={"format": "text"}), asked)


@pytest.mark.parametrize("scaling", [None, "standardize", "min_max"])
@pytest.mark.parametrize(
    "model", ["y = a*exp(-b*x) + c", "gaussian", {"name": "mlp", "hidden": [2]}]
)
async def test_inputs_whose_spread_overflows(
    client: httpx.AsyncClient, model: Any, scaling: str | None
) -> None:
    x = [-1.7e308, 0, 1e-300, 1, 1e300, 1.7e308]
    asked = {"model": model, "data": {"x": x, "y": [1, 2, 3, 4, 5, 6]}, "scaling": scaling}
    told = check(await client.post("/fit", json=asked), asked)
    if scaling is not None or isinstance(model, dict):
        assert "give it in another unit" in told["detail"]


async def test_decimals_beyond_their_own_precision(client: httpx.AsyncClient) -> None:
    """Arrow holds them without a look, as a column and as a key."""
    whole = pa.array([Decimal(1), Decimal(2), Decimal(1), Decimal(2)], pa.decimal128(38, 0))
    buffers = whole.buffers()
    raw = bytearray(buffers[1].to_pybytes())
    raw[:16] = (10**38).to_bytes(16, "little")
    beyond = pa.Array.from_buffers(whole.type, 4, [None, pa.py_buffer(bytes(raw))])
    table = pa.table({"x": [1.0, 2.0, 3.0, 4.0], "y": [1.0, 2.0, 3.0, 5.0], "g": beyond})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    kind = {"content-type": "application/vnd.apache.arrow.stream"}
    for query in ("model=y~a*x&group_by=g", "model=y~a*g"):
        body = sink.getvalue().to_pybytes()
        answer = await client.post(f"/fit?{query}", content=body, headers=kind)
        assert answer.status_code == 400
        assert answer.json()["type"] == "malformed-body"


async def test_memory_that_is_not_there_is_a_problem_as_any(monkeypatch: Any) -> None:
    """Not the framework's bare 500: it may be had later, or for less."""

    def short(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("service.fitting.predict", short)
    asked = {"model": "y = a*x", "params": {"a": 1.0}, "data": {"x": [math.pi]}}
    async with real(Settings(workers=1)) as client:
        answer = await client.post("/predict", json=asked)
    assert answer.status_code == 503
    assert answer.json()["type"] == "out-of-memory"
    assert answer.headers["retry-after"]
