from __future__ import annotations

from starlette.types import Message

from service.api.answers import LastAnswer
from service.schemas.problems import Problem

PROBLEM = Problem(type="body-too-large", title="t", status=413, detail="d")


async def _events(chunk: Message) -> list[str]:
    events: list[str] = []

    async def receive() -> Message:
        events.append("receive")
        return chunk

    async def send(message: Message) -> None:
        more = message.get("more_body", True)
        events.append("send" if more else "end")

    await LastAnswer(PROBLEM)({"type": "http"}, receive, send)
    return events


async def test_the_answer_is_out_before_the_rest_of_the_body_is_thrown_away() -> None:
    rest: Message = {"type": "http.request", "body": b"x", "more_body": False}
    assert await _events(rest) == ["send", "send", "receive", "end"]


async def test_who_left_is_not_waited_for() -> None:
    assert await _events({"type": "http.disconnect"}) == ["send", "send", "receive", "end"]


async def test_a_body_without_end_is_left_at_a_bound() -> None:
    endless: Message = {"type": "http.request", "body": bytes(2**20), "more_body": True}
    events = await _events(endless)
    assert events.count("receive") == 64
    assert events[-1] == "end"
