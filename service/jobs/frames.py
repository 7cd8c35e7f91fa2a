"""Messages as frames on the private socket between a worker and its parent.


A frame is the count of buffers and the length of the pickle (little-endian u32 and u64), the
buffers' lengths (u64 each), the pickle, the buffers. Large arrays are out-of-band buffers (pickle's
protocol 5, PEP 574), sent and received without copies."""

from __future__ import annotations

import asyncio
import pickle
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

import numpy as np

OUT_OF_BAND = 64 * 1024
"""Arrays of at least this many bytes are sent as out-of-band buffers."""

_HEAD = struct.Struct("<IQ")


def encode(message: object) -> list[memoryview]:
    """The frame's parts, in order."""
    buffers: list[memoryview] = []

    def keep_in_band(buffer: pickle.PickleBuffer) -> bool:
        view = buffer.raw()
        if view.nbytes < OUT_OF_BAND:
            return True
        buffers.append(view)
        return False

    body = pickle.dumps(message, protocol=5, buffer_callback=keep_in_band)
    sizes = struct.pack(f"<{len(buffers)}Q", *(view.nbytes for view in buffers))
    return [memoryview(_HEAD.pack(len(buffers), len(body)) + sizes + body), *buffers]


def decode(body: memoryview, buffers: Sequence[memoryview]) -> object:
    """The message, its arrays in `buffers`. Only for frames of the service's own processes."""
    return cast(object, pickle.loads(body, buffers=buffers))


def _buffer(size: int) -> memoryview:
    """`size` uninitialized bytes to receive into."""
    return memoryview(np.empty(size, np.uint8))  # type: ignore[arg-type]


def _check_end(got: int) -> int:
    """The count of bytes received. Raises EOFError for 0, the end of the stream."""
    if not got:
        raise EOFError
    return got


# --- blocking: the worker's end -------------------------------------------------------------------


def send(sock: socket.socket, message: object) -> None:
    """Sends one message. Raises OSError where the other end is closed."""
    for part in encode(message):
        sock.sendall(part)


def receive(sock: socket.socket) -> object:
    """The next message. Raises EOFError where the other end is closed."""
    count, size = _HEAD.unpack(_read(sock, _HEAD.size))
    sizes = struct.unpack(f"<{count}Q", _read(sock, 8 * count))
    body = _read(sock, size)
    return decode(body, [_read(sock, each) for each in sizes])


def _read(sock: socket.socket, size: int) -> memoryview:
    view = buffer = _buffer(size)
    while view.nbytes:
        view = view[_check_end(sock.recv_into(view)) :]
    return buffer


# --- asyncio: the parent's end --------------------------------------------------------------------


async def send_async(sock: socket.socket, message: object) -> None:
    """Sends one message. Raises OSError where the other end is closed."""
    loop = asyncio.get_running_loop()
    for part in encode(message):
        await loop.sock_sendall(sock, part)


async def receive_async(sock: socket.socket) -> object:
    """The next message. Raises EOFError where the other end is closed."""
    count, size = _HEAD.unpack(await _read_async(sock, _HEAD.size))
    sizes = struct.unpack(f"<{count}Q", await _read_async(sock, 8 * count))
    body = await _read_async(sock, size)
    return decode(body, [await _read_async(sock, each) for each in sizes])


async def _read_async(sock: socket.socket, size: int) -> memoryview:
    view = buffer = _buffer(size)
    with suppress(BlockingIOError):  # bytes that have arrived need no wait on the event loop
        view = view[_check_end(sock.recv_into(view)) :] if size else view
    loop = asyncio.get_running_loop()
    while view.nbytes:
        view = view[_check_end(await loop.sock_recv_into(sock, view)) :]
    return buffer
