"""How far a reader jumps who follows POST /fit of the worked example through service/api."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from types import FrameType

from service.settings import Settings
from tests.api.in_process import real
from tests.render.made import THERMOMETER

API = str(Path(__file__).parents[2] / "service" / "api")
MIDDLEWARE = f"{API}/middleware/"
MOST_FILES = 14
"""Of all; each middleware is entered, and come back to for each message of the answer."""
MOST_FILES_BEHIND = 9
MOST_RETURNS_BEHIND = 20
"""Behind the middleware: returns to a file that was left."""


class Walk:
    """The files of service/api in the order in which a request enters them, and comes back."""

    def __init__(self) -> None:
        self.stays: list[str] = []

    def __call__(self, frame: FrameType, event: str, arg: object) -> None:
        if event not in {"call", "return"}:
            return
        at = frame if event == "call" else frame.f_back
        while event == "return" and at is not None and not at.f_code.co_filename.startswith(API):
            at = at.f_back
        if at is None or not at.f_code.co_filename.startswith(API):
            return
        if not self.stays or self.stays[-1] != at.f_code.co_filename:
            self.stays.append(at.f_code.co_filename)


async def test_a_fit_goes_through_few_files_and_seldom_back() -> None:
    async with real(Settings(workers=1)) as client:
        await client.post("/fit", json=THERMOMETER)
        walk, before = Walk(), sys.getprofile()
        sys.setprofile(walk)
        try:
            answer = await client.post("/fit", json=THERMOMETER)
        finally:
            sys.setprofile(before)
    assert answer.status_code == 200
    assert len(set(walk.stays)) <= MOST_FILES
    behind = [name for name in walk.stays if not name.startswith(MIDDLEWARE)]
    stays = [name for name, _ in groupby(behind)]
    assert len(set(stays)) <= MOST_FILES_BEHIND
    assert len(stays) - len(set(stays)) <= MOST_RETURNS_BEHIND, stays
