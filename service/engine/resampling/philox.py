"""Random numbers by counter: each is a function of the seed and its place alone, whatever else is
drawn, in whatever order and in however many parts.

Source: Philox4x32-10 of Salmon, Moraes, Dror and Shaw, Parallel random numbers: as easy as 1, 2, 3
(SC 2011), whose test vectors `tests/engine/resampling` has.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from service.engine.kernel.types import Floats, Ints

Words = npt.NDArray[np.uint64]

_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_KEY_STEPS = 0x9E3779B9, 0xBB67AE85
_WORD, _MASK = np.uint64(32), np.uint64(0xFFFFFFFF)
_ROUNDS = 10
_PER_BLOCK = 2
"""Numbers of 52 bits in a block of four words of 32."""

BOOTSTRAP, SIMULATION, INNER, READINGS = range(4)
"""What numbers are drawn for, so that no two of these have the same."""


def philox(counter: tuple[Words, Words, Words, Words], seed: int) -> tuple[Words, ...]:
    """Blocks of four words of 32 bits, for counters of four words; all arrays have one shape."""
    a, b, c, d = counter
    low, high = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(_ROUNDS):
        first, second = a * _MULTIPLIERS[0], c * _MULTIPLIERS[1]
        a, b, c, d = (
            (second >> _WORD) ^ b ^ np.uint64(low),
            second & _MASK,
            (first >> _WORD) ^ d ^ np.uint64(high),
            first & _MASK,
        )
        low, high = (low + _KEY_STEPS[0]) & 0xFFFFFFFF, (high + _KEY_STEPS[1]) & 0xFFFFFFFF
    return a, b, c, d


def uniforms(seed: int, purpose: int, fit: Ints, replicate: Ints, sizes: Ints) -> Floats:
    """Numbers between 0 and 1, both exclusive: for each item, given by its fit and its replicate,
    `sizes` of them, (Σ sizes,)."""
    blocks = -(-sizes // _PER_BLOCK)
    total = int(blocks.sum())
    first = np.cumsum(blocks) - blocks
    item = np.repeat(np.arange(len(sizes)), blocks)
    within = np.arange(total) - first[item]
    counter = (
        within.astype(np.uint64),
        np.full(total, purpose, dtype=np.uint64),
        replicate[item].astype(np.uint64),
        fit[item].astype(np.uint64),
    )
    a, b, c, d = philox(counter, seed)
    words = np.stack([(a << _WORD) | b, (c << _WORD) | d], axis=1)
    numbers: Floats = ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
    if (sizes == _PER_BLOCK * blocks).all():
        return numbers.reshape(-1)
    of = np.repeat(np.arange(len(sizes)), sizes)
    place = np.arange(len(of)) - (np.cumsum(sizes) - sizes)[of]
    found: Floats = numbers.reshape(-1)[_PER_BLOCK * first[of] + place]
    return found


def normal(numbers: Floats) -> Floats:
    """The standard normal quantiles of numbers between 0 and 1."""
    found: Floats = torch.special.ndtri(torch.from_numpy(numbers)).numpy()
    return found
