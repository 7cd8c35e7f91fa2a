"""Oscillations, steady and damped.

Their candidates are the peaks of a periodogram: y is binned evenly over x and transformed (after
Press and Rybicki, Astrophysical Journal 338 (1989) 277), and the least squares at its highest
peaks, on the rows as they are, decides (Lomb, Astrophysics and Space Science 39 (1976) 447).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from service.engine.models.exponentials import decaying
from service.engine.models.grids import Frame, Grid, params, search, span_frame

PEAKS = 12
OVERSAMPLED = 4
BINS_A_ROW = 8
MOST_ROWS = 2**15
MOST_SEARCHED = 2**11
TOGETHER = 64
DAMPINGS = (-2.0, 0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""In units of 1/range of x."""


def guess_sine(x: Tensor, y: Tensor) -> Tensor:
    """a, f, phi and c over a grid of frequencies that the data can resolve."""
    frame = span_frame(x, y)
    v, y = sampled(frame.v, frame.y, MOST_ROWS)
    grid = frequencies(v, y, apart=0.2)

    def basis(v: Tensor, f: Tensor) -> list[Tensor]:
        angle = 2 * math.pi * f * v
        return [torch.ones_like(v), angle.sin(), angle.cos()]

    found = search(basis, *sampled(v, y, MOST_SEARCHED), grid)
    f = found.at[:, 0]
    a, phi, c = _polar(frame, found.coefficients, f)
    return params(a, f / frame.width, phi, c)


def guess_damped_sine(x: Tensor, y: Tensor) -> Tensor:
    """a, k, f, phi and c over the peaks of the periodogram of y·exp(−kx), for a few values of k."""
    frame = span_frame(x, y)
    v, y = sampled(frame.v, frame.y, MOST_ROWS)
    grid = _damped_frequencies(v, y)

    def basis(v: Tensor, f: Tensor, k: Tensor) -> list[Tensor]:
        angle, envelope = 2 * math.pi * f * v, decaying(v, k)
        return [torch.ones_like(v), envelope * angle.sin(), envelope * angle.cos()]

    found = search(basis, *sampled(v, y, MOST_SEARCHED), grid)
    f, k = found.at.unbind(-1)
    a, phi, c = _polar(frame, found.coefficients, f)
    a = a * (k.clamp(max=0.0) + k * frame.low / frame.width).exp()
    return params(a, k / frame.width, f / frame.width, phi, c)


def _polar(frame: Frame, coefficients: Tensor, f: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Amplitude, phase at x = 0 in (−π, π], and offset, from constant, sine and cosine."""
    c, sine, cosine = (frame.size.unsqueeze(-1) * coefficients).unbind(-1)
    phase = torch.atan2(cosine, sine) - 2 * math.pi * torch.remainder(
        f * frame.low / frame.width, 1
    )
    return torch.hypot(sine, cosine), torch.atan2(phase.sin(), phase.cos()), c


def sampled(v: Tensor, y: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """At most `most` rows, spaced unevenly (by the golden ratio) to avoid aliases."""
    rows = v.shape[-1]
    if rows <= most:
        return v, y
    golden = (math.sqrt(5) - 1) / 2
    places = torch.arange(most, dtype=torch.float64, device=v.device) * golden
    chosen = (places.remainder(1) * rows).long().sort().values
    return v[..., chosen], y[..., chosen]


def frequencies(v: Tensor, y: Tensor, *, apart: float, damping: float = 0.0) -> Grid:
    """Slow frequencies, and the peaks of the periodogram up to the mean Nyquist frequency.

    In cycles over the range of x; (groups, candidates, 1).
    """
    slow = torch.arange(1, round(3 / apart) + 1, dtype=v.dtype, device=v.device) * apart
    slow = slow.expand(len(v), -1)
    parts = (slice(i, i + TOGETHER) for i in range(0, len(v), TOGETHER))
    peaks = torch.cat([_peaks(v[part], y[part], damping) for part in parts])
    nyquist = ((v.diff(dim=-1) > 0).sum(dim=-1, keepdim=True) / 2).clamp(min=apart)
    at = torch.cat([slow, peaks], dim=-1).minimum(nyquist).unsqueeze(-1)
    return Grid(at, torch.full_like(at, apart))


def _damped_frequencies(v: Tensor, y: Tensor) -> Grid:
    """The frequencies of y·exp(−kv), for each of a few k: (groups, candidates, 2)."""
    at, steps = [], []
    for damping in DAMPINGS:
        grid = frequencies(v, y, apart=0.4, damping=damping)
        k = torch.full_like(grid.at, damping)
        at.append(torch.cat([grid.at, k], dim=-1))
        steps.append(torch.cat([grid.step, 0.3 * k.abs() + 0.5], dim=-1))
    return Grid(torch.cat(at, dim=1), torch.cat(steps, dim=1))


def _peaks(v: Tensor, y: Tensor, damping: float) -> Tensor:
    """The frequencies of the highest peaks: (groups, PEAKS)."""
    groups, rows = v.shape
    bins = 2 ** math.ceil(math.log2(BINS_A_ROW * max(rows, PEAKS)))
    centred = y - y.mean(dim=-1, keepdim=True)
    at = (v * bins).round().long().clamp(0, bins - 1)
    even = torch.zeros(groups, bins, dtype=y.dtype, device=y.device)
    even = even.scatter_add(-1, at, centred * (-damping * v).exp())
    power = torch.fft.rfft(even, OVERSAMPLED * bins, dim=-1).abs()[
        ..., : OVERSAMPLED * rows // 2 + 2
    ]
    inner = torch.nn.functional.pad(power, (1, 1))
    is_peak = (inner[..., 1:-1] >= inner[..., :-2]) & (inner[..., 1:-1] >= inner[..., 2:])
    heights = torch.nn.functional.pad(torch.where(is_peak, power, 0.0), (0, PEAKS))
    return heights.topk(PEAKS, dim=-1).indices.to(y.dtype) / OVERSAMPLED
