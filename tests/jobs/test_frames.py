from __future__ import annotations

import asyncio
import pickle
import socket

import numpy as np
import pytest

from service.jobs import frames
from service.jobs.history import Rows
from service.jobs.job import Progress
from service.jobs.messages import Cancel, Ended, Slice, Task
from service.schemas.fit import FitRequest


def pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    return ours, theirs


def same(got: object, sent: dict[str, np.ndarray]) -> bool:
    assert isinstance(got, dict)
    return all(np.array_equal(got[name], sent[name]) for name in sent)


@pytest.mark.parametrize("rows", [0, 10, 100_000, 2_000_000])
async def test_what_is_sent_arrives_both_ways(rows):
    ours, theirs = pair()
    with ours, theirs:
        sent = {"x": np.arange(float(rows)), "y": np.arange(rows)}
        _, got = await asyncio.gather(
            frames.send_async(ours, sent), asyncio.to_thread(frames.receive, theirs)
        )
        assert same(got, sent)
        _, back = await asyncio.gather(
            asyncio.to_thread(frames.send, theirs, got), frames.receive_async(ours)
        )
        assert same(back, sent)


def test_a_large_array_is_not_copied_into_the_pickle():
    column = np.arange(1e6)
    head, data = frames.encode(column)
    assert head.nbytes < 1000
    assert np.shares_memory(np.frombuffer(data), column)


async def test_long_checkpoints_and_answers_are_not_copied_into_the_pickle():
    long = bytes(1_000_000)
    part = Slice(Rows.empty(0, 1), False, Progress(), long)
    task = Task("job_x", FitRequest.model_construct(data={}), 1.0, 1, checkpoint=long)
    for message in (part, task, Ended(part._replace(checkpoint=None), "converged", long, b"")):
        head, data = frames.encode(message)
        assert head.nbytes < 2000
        assert np.shares_memory(np.frombuffer(data), np.frombuffer(long))
        again = frames.encode(frames.decode(head[frames._HEAD.size + 8 :], [memoryview(data)]))
        assert [bytes(each) for each in again] == [bytes(head), bytes(data)]


async def test_messages_keep_their_order():
    ours, theirs = pair()
    with ours, theirs:
        for name in "abc":
            await frames.send_async(ours, Cancel(name))
        assert [frames.receive(theirs) for _ in "abc"] == [Cancel(name) for name in "abc"]


@pytest.mark.parametrize("cut", [0, 5, 20, 60])
async def test_a_frame_cut_short_is_the_end(cut):
    ours, theirs = pair()
    frame = b"".join(frames.encode(Cancel("a" * 100)))
    with ours, theirs:
        theirs.sendall(frame[:cut])
        theirs.close()
        with pytest.raises(EOFError):
            await frames.receive_async(ours)


async def test_received_arrays_are_writable():
    ours, theirs = pair()
    with ours, theirs:
        await frames.send_async(ours, np.arange(3))
        got = frames.receive(theirs)
        assert isinstance(got, np.ndarray)
        got[0] = 7


def test_small_messages_are_one_piece():
    assert len(frames.encode(np.arange(100))) == 1
    assert pickle.HIGHEST_PROTOCOL >= 5
