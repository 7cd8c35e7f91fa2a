"""Bytes at random, and bytes that were a body once, into whatever reads strangers' bytes: nothing
is raised but refusals, and no memory is taken past its bound. `make fuzz` goes on for longer."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.attack.targets import BOUNDS, TARGETS
from tests.engine.hostile import TEXTS

NAMES = ("x", "y", "a", "pi", "e", "exp", "log", "where", "min", "negative", "__class__", "lambda")
SIGNS = ("+", "-", "*", "/", "**", "^", "(", ")", ",", "=", "==", "<", ">=", "!=", ".", "[", "'")
NUMBERS = ("1", "2.5", "1e9", "1e", "0x1", ".5.", " ", "\n", "\x00", "θ", "１", "∞", "²", "\u202e")
ALPHABET = (*NAMES, *SIGNS, *NUMBERS, "\\")
COLUMNS: dict[str, list[float]] = {"x": [1.0, 2.0, 3.0], "y": [2.1, 3.9, 6.2]}


def _npz() -> bytes:
    sink = io.BytesIO()
    np.savez_compressed(sink, x=np.array(COLUMNS["x"]), y=np.array(COLUMNS["y"]))
    return sink.getvalue()


def _arrow(form: str) -> bytes:
    table, sink = pa.table(COLUMNS), io.BytesIO()
    writer = pa.ipc.new_file if form.endswith("file") else pa.ipc.new_stream
    with writer(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


def _seed(target: str) -> bytes:
    """A body that is well, to begin with."""
    if "arrow" in target:
        return _arrow(target)
    if "npz" in target or "zip" in target:
        return _npz()
    if "csv" in target:
        return b"x,y\n1,2.1\n2,3.9\n3,6.2\n"
    if "form-data" in target:
        return b'--B\r\nContent-Disposition: form-data; name="data"\r\n\r\nx,y\n1,2\r\n--B--\r\n'
    body: dict[str, Any] = {"model": "y = a * x + b", "data": COLUMNS, "params": {"a": 1.5}}
    return json.dumps(body).encode()


@st.composite
def bodies(draw: st.DrawFn, seed: bytes) -> bytes:
    """The seed with some of it changed, doubled, cut out or cut off."""
    body = bytearray(seed)
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, max(len(body) - 1, 0)))
        length = draw(st.integers(0, 8))
        match draw(st.integers(0, 4)):
            case 0:
                body[at : at + length] = draw(st.binary(min_size=length, max_size=length))
            case 1:
                del body[at : at + length]
            case 2:
                body[at:at] = body[at : at + length] * draw(st.integers(1, 50))
            case 3:
                del body[at:]
            case _:
                body[at : at + 4] = draw(
                    st.sampled_from([b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\xff" * 4])
                )
    return bytes(body)


@given(st.lists(st.sampled_from(ALPHABET), max_size=60).map("".join))
@settings(max_examples=400)
def test_any_words_of_a_formula(text: str) -> None:
    TARGETS["formula"](text.encode("utf-8", "replace"))


@given(st.data())
@settings(max_examples=150)
def test_hostile_formulas_changed_a_little(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(list(TEXTS)))
    TARGETS["formula"](data.draw(bodies(text.encode("utf-8", "replace")[:2000])))


@pytest.mark.parametrize("target", sorted(TARGETS))
@given(data=st.data())
@settings(max_examples=100)
def test_any_bytes(target: str, data: st.DataObject) -> None:
    TARGETS[target](data.draw(st.binary(max_size=200)))


@pytest.mark.parametrize("target", sorted(TARGETS))
@given(data=st.data())
@settings(max_examples=200)
def test_a_body_changed_a_little(target: str, data: st.DataObject) -> None:
    TARGETS[target](data.draw(bodies(_seed(target))))


@pytest.mark.parametrize("target", sorted(TARGETS))
@given(data=st.data())
@settings(max_examples=30)
def test_memory_stays_within_its_bound(target: str, data: st.DataObject) -> None:
    body = data.draw(bodies(_seed(target)))
    pa_before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        TARGETS[target](body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * (BOUNDS.nbytes + len(body)) + 2**20
    assert pa.total_allocated_bytes() - pa_before < 20 * BOUNDS.nbytes
