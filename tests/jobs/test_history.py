from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from service.jobs.history import History, Rows

finite = st.floats(-1e6, 1e6)
losses = st.lists(
    st.one_of(finite, st.sampled_from([float("nan"), float("inf"), float("-inf")])),
    min_size=1,
    max_size=300,
)


def rows_of(loss, start: int = 1, every: int = 1) -> Rows:
    loss = np.asarray(loss, float)
    epoch = np.arange(start, start + every * len(loss), every, dtype=np.int64)
    params = np.stack([loss, epoch], axis=1)
    return Rows(epoch, loss, params, -params)


def in_slices(history: History, rows: Rows, cuts) -> History:
    bounds = [0, *sorted(cut % (len(rows) + 1) for cut in cuts), len(rows)]
    for start, end in pairwise(bounds):
        history.append(rows[start:end])
    return history


def same(one: Rows, other: Rows) -> bool:
    return one.thinned == other.thinned and all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in zip(one.columns, other.columns, strict=True)
    )


def assert_kept(kept: Rows, rows: Rows, most: int) -> None:
    """What thinning promises: first, last, best, and each turn unless they are too many."""
    assert len(kept) <= most
    epochs = kept.epoch.tolist()
    assert epochs == sorted(set(epochs))
    finite = np.isfinite(rows.loss)
    if most >= 3:
        assert {rows.epoch[0], rows.epoch[-1]} <= set(epochs)
        if finite.any():
            best = np.where(finite, rows.loss, np.inf).argmin()
            assert rows.epoch[best] in epochs
    turns = np.flatnonzero(finite[1:] != finite[:-1])
    sides = set(rows.epoch[turns].tolist()) | set(rows.epoch[turns + 1].tolist())
    if len(sides) + 3 <= most:
        assert sides <= set(epochs)
    where = np.searchsorted(rows.epoch, kept.epoch)
    assert same(kept, Rows(*rows[where].columns, kept.thinned))


@given(losses, st.integers(1, 60))
def test_thinning_keeps_its_promises(loss, most):
    rows = rows_of(loss)
    kept = rows.thin(most)
    assert kept.thinned == (len(rows) > most)
    assert_kept(kept, rows, most)


@given(losses, st.integers(8, 40), st.lists(st.integers(0, 300), max_size=8), st.integers(1, 7))
def test_the_record_is_bounded_and_keeps_its_promises(loss, most, cuts, every):
    rows = rows_of(loss, every=every)
    history = in_slices(History(most), rows, cuts)
    turns = np.count_nonzero(np.diff(np.isfinite(rows.loss)))
    if 2 * turns + 3 <= most // 2:
        assert_kept(history.rows, rows, most)
    assert len(history) <= most


@given(losses, st.integers(8, 40), st.lists(st.integers(0, 300), max_size=8))
def test_slices_change_nothing(loss, most, cuts):
    rows = rows_of(loss)
    whole = History(most)
    whole.append(rows)
    assert same(in_slices(History(most), rows, cuts).rows, whole.rows)


@given(losses, st.integers(8, 40), st.integers(0, 300), st.integers(0, 300))
def test_a_repeat_from_any_checkpoint_changes_nothing(loss, most, died, checkpoint):
    rows = rows_of(loss)
    died %= len(rows) + 1
    checkpoint %= died + 1
    history = History(most)
    history.append(rows[:died])
    resumed = History(most, history.rows)
    in_slices(resumed, rows[checkpoint:], [3, 50])
    whole = History(most)
    whole.append(rows)
    assert same(resumed.rows, whole.rows)


@given(losses, st.integers(1, 30), st.integers(1, 30))
def test_pages_have_no_gap_and_no_repeat(loss, limit, arriving):
    rows, history, read, after = rows_of(loss), History(1000), [], None
    for start in range(0, len(rows), arriving):
        history.append(rows[start : start + arriving])
        page = history.page(after, limit)
        read += page.epoch.tolist()
        after = read[-1] if read else None
    while len(page := history.page(after, limit)):
        read += page.epoch.tolist()
        after = read[-1]
    assert read == rows.epoch.tolist()


def test_the_extremes_of_a_long_record_are_the_true_ones():
    """Buckets nest, so that a spike is not lost however often the record is thinned."""
    loss = np.linspace(2.0, 1.0, 50_000)
    spikes = [137, 4_242, 31_000]
    loss[spikes] = [50.0, 60.0, 70.0]
    history = in_slices(History(200), rows_of(loss), range(0, 50_000, 37))
    assert set(np.array(spikes) + 1) <= set(history.rows.epoch.tolist())


def test_a_long_record_is_even():
    """Old epochs are not thinned more than new ones: no gap is wider than a few buckets."""
    history = in_slices(History(200), rows_of(np.linspace(2, 1, 50_000)), range(0, 50_000, 100))
    gaps = np.diff(history.rows.epoch)
    assert gaps.max() <= 4 * 50_000 / 100


def test_a_row_with_non_finite_params_is_a_turn():
    rows = rows_of(np.ones(100))
    rows.params[60:, 0] = np.inf
    assert {60, 61} <= set(rows.thin(10).epoch.tolist())


def test_returned_rows_do_not_change():
    history = History(16)
    history.append(rows_of(range(5)))
    seen = history.rows
    before = [column.copy() for column in seen.columns]
    history.append(rows_of(range(100), start=6))
    assert all(np.array_equal(a, b) for a, b in zip(seen.columns, before, strict=True))


def test_trimming_frees_the_spare_capacity():
    history = in_slices(History(10_000), rows_of(range(1000)), range(1000))
    full, rows = history.nbytes, history.rows
    history.trim()
    assert history.nbytes == rows.nbytes < full
    assert same(history.rows, rows)


@settings(max_examples=20)
@given(st.integers(1, 2000))
def test_no_rows_is_a_record_too(most):
    assert len(History(most).rows.thin(most)) == 0
    assert History(most).last_epoch is None
