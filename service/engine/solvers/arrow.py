"""Linear least squares of groups that share some params, in time linear in the number of groups.

With local params α_g and shared params β the Jacobian is block diagonal but for the columns of β,
and its R factor has the shape of an arrow: QR of [J_local | J_shared | z] group by group, the rows
below R11 stacked and reduced again. Source: Björck, Numerical Methods for Least Squares Problems,
2nd ed. (2024), 6.3 (block angular problems).

Arrays have the groups last, so that each operation runs over all groups at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from service.engine.kernel.types import Bools, Floats


class Arrow(NamedTuple):
    """The R factor of groups with q local and r shared params."""

    top: Floats
    """[R11 R12 c1] of each group, (q, q + r + 1, groups)."""
    foot: Floats
    """[R22 c2; 0 ρ] of the shared params, (r + 1, r + 1)."""

    @property
    def inner(self) -> Floats:
        """R11, (q, q, groups)."""
        return self.top[:, : len(self.top)]

    @property
    def coupling(self) -> Floats:
        """R12, (q, r, groups)."""
        return self.top[:, len(self.top) : -1]


def arrow_of(
    factors: Floats, local: int, pinned: Bools, damping: Floats, shared_pinned: Bools,
    shared_damping: Floats,
) -> Arrow:  # fmt: skip
    """The R factor of groups whose own factors are those of [J_local | J_shared | z], (groups,
    q + r + 1, q + r + 1), with a row of damping for each param, (groups, q) and (r,). The params
    `pinned` do not move."""
    many, width = len(factors), factors.shape[1]
    blocks = np.zeros((width + local, width, many))
    blocks[:width] = np.moveaxis(factors, 0, -1)
    at = np.arange(local)
    blocks[:, :local][:, pinned.T] = 0.0
    blocks[:, local : width - 1][:, shared_pinned] = 0.0
    blocks[width + at, at] = np.where(pinned, 1.0, damping).T
    triangularise(blocks, local)
    foot = merged(blocks[local:, local:].copy())
    return Arrow(blocks[:local], _damped(foot, np.where(shared_pinned, 1.0, shared_damping)))


def _damped(foot: Floats, damping: Floats) -> Floats:
    rows = np.zeros((len(foot) + len(damping), len(foot), 1))
    rows[: len(foot), :, 0] = foot
    at = np.arange(len(damping))
    rows[len(foot) + at, at, 0] = damping
    triangularise(rows, len(foot))
    return rows[: len(foot), :, 0]


def triangularise(blocks: Floats, columns: int) -> None:
    """Householder's reflections of (rows, width, groups) in place, for the first columns."""
    for j in range(min(columns, len(blocks))):
        column = blocks[j:, j]
        size = np.abs(column).max(axis=0)
        scaled = column / np.where(size > 0, size, 1.0)
        norm = np.sqrt((scaled * scaled).sum(axis=0))
        end = np.where(scaled[0] > 0, -norm, norm)
        scaled[0] -= end
        square = (scaled * scaled).sum(axis=0)
        factor = np.divide(2.0, square, out=np.zeros_like(square), where=square > 0)
        rest = blocks[j:, j + 1 :]
        rest -= scaled[:, None] * (factor * (scaled[:, None] * rest).sum(axis=0))
        column[0], column[1:] = end * size, 0.0


def merged(blocks: Floats) -> Floats:
    """The R factor (width, width) of the rows of all groups, (rows, width, groups), by a tree of
    pairs (Demmel et al., SIAM J. Sci. Comput. 34 (2012) A206)."""
    width = blocks.shape[1]
    if len(blocks) < width:
        blocks = np.concatenate([blocks, np.zeros((width - len(blocks), *blocks.shape[1:]))])
    triangularise(blocks, width)
    blocks = blocks[:width]
    while blocks.shape[2] > 1:
        half = (blocks.shape[2] + 1) // 2
        pairs = np.zeros((2 * width, width, half))
        pairs[:width] = blocks[..., :half]
        pairs[width:, :, : blocks.shape[2] - half] = blocks[..., half:]
        triangularise(pairs, width)
        blocks = pairs[:width]
    return blocks[..., 0]


def solve_upper(upper: Floats, right: Floats) -> Floats:
    """The solution (q, k, groups) of upper triangular systems (q, q, groups)."""
    found = np.empty_like(right)
    for i in reversed(range(len(upper))):
        left = right[i] - (upper[i, i + 1 :, None] * found[i + 1 :]).sum(axis=0)
        found[i] = left / upper[i, i]
    return found


def inverse_upper(upper: Floats) -> Floats:
    """The inverses of upper triangular matrices (q, q, groups)."""
    one = np.broadcast_to(np.eye(len(upper))[..., None], upper.shape)
    return solve_upper(upper, one.copy())


def step_of(arrow: Arrow) -> tuple[Floats, Floats]:
    """The step of the local params, (groups, q), and of the shared ones, (r,): R·step = −c."""
    shared = solve_upper(arrow.foot[:-1, :-1, None], -arrow.foot[:-1, -1:, None])[:, 0, 0]
    right = -arrow.top[:, -1] - (arrow.coupling * shared[:, None]).sum(axis=1)
    return solve_upper(arrow.inner, right[:, None])[:, 0].T, shared
