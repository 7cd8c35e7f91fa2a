"""The self-start study in small: `benchmarks/self_start.py` has the whole of it."""

from __future__ import annotations

import pytest

from benchmarks.self_start import score
from benchmarks.truths import TRUTHS
from service.catalogue.families import FAMILIES

SETS = 6


def test_the_study_has_every_family():
    missing = set(FAMILIES) ^ set(TRUTHS)
    assert not missing, f"benchmarks/truths.py has other families: {missing}"


@pytest.mark.parametrize("name", FAMILIES)
def test_a_fit_from_the_guess_is_as_good_as_one_from_the_truth(name: str):
    assert score(name, SETS).successes == SETS
