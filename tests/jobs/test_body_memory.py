"""Room for a large body is a bytearray as any other, whatever the kernel backs it by."""

from __future__ import annotations

import pytest

from service.jobs.system import room


@pytest.mark.parametrize("size", [0, 1, 2**20, 2**22 - 1, 2**22, 2**24 + 3])
def test_it_is_written_read_and_cut(size: int) -> None:
    body = room(size)
    assert len(body) == size
    written = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
    body[:] = written
    assert body == written
    del body[size // 2 :]
    assert bytes(body) == written[: size // 2]
    body += b"more"
    assert body.endswith(b"more")
