"""One job as a worker does it, without a process."""

from __future__ import annotations

import itertools
import json

import pytest

from service.jobs.history import History
from service.jobs.job import Failure
from service.jobs.messages import Closing, Ended, Failed, Slice, Task
from service.jobs.run_job import CHECKPOINT_S, SLICE_S, SliceSize, run_job
from tests.jobs import fakes


class StepClock:
    """Moves by so much at each look."""

    def __init__(self, seconds: float) -> None:
        self._looks = itertools.count()
        self._seconds = seconds

    def __call__(self) -> float:
        return next(self._looks) * self._seconds


def task_of(request, **given) -> Task:
    return Task(
        job_id="job_x", request=request, **{"limit_s": 1e9, "max_history_rows": 50, **given}
    )


def done(task: Task, *, tick: float = 0.0, cancelled=lambda: False) -> list:
    messages: list = []
    run_job(task, messages.append, cancelled, StepClock(tick), fakes.KIT)
    return messages


def mirrored(messages, history: History | None = None) -> History:
    """The history as a store has it that hears the messages."""
    history = history or History(50)
    for message in messages:
        part = message.last if isinstance(message, Ended) else message
        if isinstance(part, Slice):
            history = History(50) if part.whole else history
            history.append(part.rows)
    return history


def test_a_short_job_is_one_message():
    (message,) = done(task_of(fakes.request(20)))
    assert isinstance(message, Ended)
    assert message.stop_reason == "max_epochs"
    assert message.last.rows.epoch.tolist() == list(range(1, 21))
    assert message.last.progress.epoch == 20


def test_a_long_job_reports_progress():
    *slices, closing, ended = done(task_of(fakes.request(200)), tick=0.01)
    assert isinstance(closing, Closing)
    assert isinstance(ended, Ended)
    epochs = [part.progress.epoch for part in slices]
    assert epochs == sorted(set(epochs))
    assert all(part.progress.epochs == 200 for part in slices)
    assert slices[0].checkpoint is not None


@pytest.mark.parametrize("took_s", [0.001, 0.5, 3.0])
def test_checkpoints_take_a_small_part_of_the_time(monkeypatch, took_s):
    """However long each takes, as those of long histories do."""
    now = 0.0

    def slow(run: fakes.FakeRun) -> fakes.State:
        nonlocal now
        now += took_s
        return run._state

    def step(run: fakes.FakeRun, epochs: int) -> fakes.FakeRows:
        nonlocal now
        now += SLICE_S
        return plain(run, 1)

    plain = fakes.FakeRun.step
    monkeypatch.setattr(fakes.FakeRun, "step", step)
    monkeypatch.setattr(fakes.FakeRun, "checkpoint", slow)
    messages: list = []
    run_job(task_of(fakes.request(3000)), messages.append, lambda: False, lambda: now, fakes.KIT)
    made = sum(isinstance(m, Slice) and m.checkpoint is not None for m in messages)
    assert 60 / max(CHECKPOINT_S + SLICE_S, 10 * took_s + SLICE_S) * 0.9 <= made
    assert made * took_s <= 0.1 * now + took_s


@pytest.mark.parametrize("tick", [0.0, 1e-4, 0.001, 0.01, 0.05, 1.0])
@pytest.mark.parametrize("epochs", [1, 49, 50, 51, 1000])
def test_slices_change_no_bit_of_the_answer(epochs, tick):
    messages = done(task_of(fakes.request(epochs)), tick=tick)
    (whole,) = done(task_of(fakes.request(epochs)))
    assert fakes.without_timings(messages[-1].fit) == fakes.without_timings(whole.fit)
    kept, expected = mirrored(messages).rows, mirrored([whole]).rows
    assert kept.epoch.tolist() == expected.epoch.tolist()
    assert kept.thinned == expected.thinned == (epochs > 50)


@pytest.mark.parametrize("lost_after", [1, 3, 10, 40])
def test_a_retry_changes_no_bit_of_the_answer(lost_after):
    request = fakes.request(1000)
    (whole,) = done(task_of(request))
    slices = [m for m in done(task_of(request), tick=SLICE_S) if isinstance(m, Slice)]
    heard = slices[:lost_after]
    assert len(heard) == lost_after
    checkpoint = [part.checkpoint for part in heard if part.checkpoint][-1]
    history = mirrored(heard)
    again = task_of(request, history=history.rows, checkpoint=checkpoint)
    messages = done(again, tick=0.003)
    assert fakes.without_timings(messages[-1].fit) == fakes.without_timings(whole.fit)
    assert mirrored(messages, history).rows.epoch.tolist() == mirrored([whole]).rows.epoch.tolist()


def test_the_answer_has_a_hundred_rows_at_most_unless_it_was_asked_for_more():
    (ended,) = done(task_of(fakes.request(500, record_every=None), max_history_rows=1000))
    assert 50 <= len(json.loads(ended.fit)["epoch"]) <= 100
    (ended,) = done(task_of(fakes.request(500, record_every=1), max_history_rows=1000))
    assert len(json.loads(ended.fit)["epoch"]) == 500


def test_a_cancel_keeps_the_best_so_far():
    looks = itertools.count()
    ended = done(task_of(fakes.request(10**6)), tick=SLICE_S, cancelled=lambda: next(looks) > 9)[-1]
    assert ended.stop_reason == "cancelled"
    assert 0 < json.loads(ended.fit)["epochs"] < 10**6


def test_the_time_limit_ends_it_with_the_best_so_far():
    ended = done(task_of(fakes.request(10**6), limit_s=1.0), tick=SLICE_S)[-1]
    assert ended.stop_reason == "time_limit"
    assert 0 < json.loads(ended.fit)["epochs"] < 10**6


def test_the_time_of_earlier_attempts_counts():
    ended = done(task_of(fakes.request(10**6), limit_s=1.0, spent_s=1.0), tick=SLICE_S)[-1]
    assert ended.stop_reason == "time_limit"
    assert json.loads(ended.fit)["epochs"] == 0


def test_a_cancel_after_the_end_changes_nothing():
    """Cancelled as it finished: it has finished."""
    looks = itertools.count()
    ended = done(task_of(fakes.request(1)), cancelled=lambda: next(looks) > 0)[-1]
    assert ended.stop_reason == "max_epochs"


def test_an_answer_is_salvaged_without_a_step():
    state = fakes.State(epoch=7, x=0.25, loss=0.25, best=0.1)
    given = task_of(
        fakes.request(10**6, epoch_s=1000),
        history=mirrored(done(task_of(fakes.request(10)))).rows,
        checkpoint=fakes.KIT.pack(state),
        stop_reason="time_limit",
    )
    ended = done(given)[-1]
    answer = json.loads(ended.fit)
    assert (ended.stop_reason, answer["epochs"], answer["params"]["a"]) == ("time_limit", 7, 0.25)
    assert answer["epoch"][-1] == 7


def test_a_checkpoint_of_another_version_starts_from_zero():
    request = fakes.request(10)
    held = mirrored(done(task_of(request))).rows[:4]
    again = done(task_of(request, history=held, checkpoint=b'"other"'))
    assert again[-1].last.whole
    assert fakes.without_timings(again[-1].fit) == fakes.without_timings(
        done(task_of(request))[-1].fit
    )


def test_a_known_error_is_reported():
    (failed,) = done(task_of(fakes.request(5, raise_at=3, error="budget")))
    assert failed == Failed(Failure("budget-exceeded", "that is too much"))


@pytest.mark.parametrize("error", ["secret", "memory"])
def test_an_unknown_error_reveals_nothing(error, caplog):
    (failed,) = done(task_of(fakes.request(5, raise_at=3, error=error)))
    assert failed.failure.type == "job-failed"
    assert "swordfish" not in failed.failure.detail
    assert "Traceback" in caplog.text


def test_the_slice_size_approaches_its_duration():
    pace, per_epoch = SliceSize(), 1e-5
    for _ in range(10):
        pace.took(pace.epochs(10**8) * per_epoch)
    assert pace.epochs(10**8) * per_epoch == pytest.approx(SLICE_S, rel=0.01)
    assert pace.epochs(3) == 3


def test_the_slice_size_starts_with_one_epoch():
    pace = SliceSize()
    assert pace.epochs(10**8) == 1
    pace.took(0.0)
    assert pace.epochs(10**8) == 16
    pace.took(60.0)
    assert pace.epochs(10**8) == 1
