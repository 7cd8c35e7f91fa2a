"""Bytes at random, and bytes that were a body once, into whatever reads strangers' bytes: nothing
is raised but refusals, and no memory is taken past its bound. `make fuzz` goes on for longer."""

from __future__ import annotations

import tracemalloc

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.api.bodies.forms import FORMS
from service.api.bodies.options import assemble
from service.api.head import media_type
from service.schemas.fit import FitRequest
from service.schemas.reading import ReadingOptions
from tests.security.seeds import BOUNDARY, seeds
from tests.security.targets import BOUNDS, TARGETS

NAMES = ("x", "y", "a", "pi", "e", "exp", "log", "where", "min", "negative", "__class__", "lambda")
SIGNS = ("+", "-", "*", "/", "**", "^", "(", ")", ",", "=", "==", "<", ">=", "!=", ".", "[", "'")
NUMBERS = ("1", "2.5", "1e9", "1e", "0x1", ".5.", " ", "\n", "\x00", "θ", "１", "∞", "²", "\u202e")
ALPHABET = (*NAMES, *SIGNS, *NUMBERS, "\\")


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
@settings(max_examples=200)
def test_any_words_of_a_formula(text: str) -> None:
    TARGETS["formula"](text.encode("utf-8", "replace"))


def test_every_target_has_bodies_to_begin_with() -> None:
    assert seeds().keys() == TARGETS.keys()


@pytest.mark.parametrize("name", FORMS)
def test_the_bodies_to_begin_with_are_well(name: str) -> None:
    """Else the readers behind the first check would never see one that was changed."""
    kind = media_type(f"{name}; boundary={BOUNDARY}")
    for body in seeds()[name.rpartition("/")[2]]:
        table = FORMS[name].read(body, kind, BOUNDS, ReadingOptions())
        assert assemble(FitRequest, table, b"").data


@pytest.mark.parametrize("target", sorted(TARGETS))
@given(data=st.data())
@settings(max_examples=50)
def test_any_bytes(target: str, data: st.DataObject) -> None:
    TARGETS[target](data.draw(st.binary(max_size=200)))


@pytest.mark.parametrize("target", sorted(TARGETS))
@given(data=st.data())
@settings(max_examples=100)
def test_a_body_changed_a_little(target: str, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from(seeds()[target]))
    TARGETS[target](data.draw(bodies(seed)))


@pytest.mark.parametrize("target", sorted(TARGETS))
@given(data=st.data())
@settings(max_examples=30)
def test_memory_stays_within_its_bound(target: str, data: st.DataObject) -> None:
    body = data.draw(bodies(data.draw(st.sampled_from(seeds()[target]))))
    pa_before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        TARGETS[target](body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * (BOUNDS.nbytes + len(body)) + 2**20
    assert pa.total_allocated_bytes() - pa_before < 20 * BOUNDS.nbytes
