"""Philox against the test vectors of Random123 1.14 (kat_vectors), and its numbers."""

from __future__ import annotations

import numpy as np
import pytest

from service.engine.resampling.philox import normal, philox, uniforms

VECTORS = [
    ("00000000 " * 4, "00000000 " * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff " * 4, "ffffffff " * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "due"), VECTORS)
def test_the_published_vectors(counter: str, key: str, due: str) -> None:
    a, b, c, d = (np.array([word], dtype=np.uint64) for word in words(counter))
    low, high = words(key)
    found = philox((a, b, c, d), high << 32 | low)
    assert [int(each[0]) for each in found] == words(due)


def test_a_number_depends_on_its_place_alone() -> None:
    fit, replicate = np.array([0, 0, 3, 7]), np.array([0, 5, 5, 2])
    sizes = np.array([3, 4, 1, 6])
    whole = uniforms(9, 1, fit, replicate, sizes)
    parts = [
        uniforms(9, 1, *(each[i : i + 1] for each in (fit, replicate, sizes))) for i in range(4)
    ]
    assert (whole == np.concatenate(parts)).all()
    assert len(np.unique(whole)) == len(whole)
    longer = uniforms(9, 1, fit[:1], replicate[:1], np.array([11]))
    assert (longer[:3] == whole[:3]).all()
    assert not np.isin(uniforms(10, 1, fit, replicate, sizes), whole).any()
    assert not np.isin(uniforms(9, 2, fit, replicate, sizes), whole).any()


def test_the_numbers_are_uniform_and_their_quantiles_normal() -> None:
    count = 100_000
    one = np.zeros(1, dtype=np.int64)
    found = uniforms(0, 0, one, one, np.array([count]))
    assert 0 < found.min() < found.max() < 1
    cells = np.bincount((found * 100).astype(int), minlength=100)
    chi = float(((cells - count / 100) ** 2 / (count / 100)).sum())
    assert 60 < chi < 150  # 99 degrees of freedom
    z = normal(found)
    assert abs(z.mean()) < 4 / np.sqrt(count)
    assert abs(z.std() - 1) < 4 / np.sqrt(2 * count)
    pairs = np.corrcoef(found[:-1], found[1:])[0, 1]
    assert abs(pairs) < 4 / np.sqrt(count)
