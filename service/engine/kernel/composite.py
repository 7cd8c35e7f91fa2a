"""The kernel's operators in plain torch: on any device, differentiable, and the reading that the
compiled ones are held against."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from service.engine.kernel.program import NUMBERS
from service.engine.losses import Loss
from service.engine.operations import OPERATIONS

AT_ONCE = 2**22
"""Numbers of one matrix of [J z], over all groups that are read together."""
_TABLE = {NUMBERS[name]: operation for name, operation in OPERATIONS.items()}


def outputs_of(program: Sequence[Tensor], columns: Sequence[Tensor], theta: Tensor) -> list[Tensor]:
    """The outputs of a program (see `program.Program`) on columns (…, rows), at θ (…, params), the
    leading dimensions being the same or absent. An output has the shape that its leaves give it."""
    codes, constants, layout = program
    outputs = layout[2 : 3 + (len(layout) - 3) // 2]
    values: list[Tensor] = []
    numbers, params = constants.tolist(), theta.unsqueeze(-2).unbind(-1)
    for code, *at in codes.tolist():
        if code == NUMBERS["constant"]:
            values.append(torch.tensor(numbers[at[0]], dtype=theta.dtype, device=theta.device))
        elif code == NUMBERS["column"]:
            values.append(columns[at[0]])
        elif code == NUMBERS["param"]:
            values.append(params[at[0]])
        else:
            operation = _TABLE[code]
            arguments = (values[each] for each in at[: operation.arity])
            values.append(operation.evaluate_safe(*arguments))
    return [values[at] for at in outputs.tolist()]


def read(program: Sequence[Tensor], columns: Tensor, theta: Tensor) -> Tensor:
    """The outputs at each θ (points, params), in each row of columns (inputs, rows): (outputs,
    points, rows)."""
    found = outputs_of(program, columns.unbind(0), theta.to(columns))
    shape = (len(theta), columns.shape[1])
    return torch.stack([each.expand(shape) for each in found])


def linearise(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor],
    theta: Tensor, width: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """See `operators.linearise`. A group is padded to a number of rows that depends on its own
    alone, so that the others that are read with it change no bit of it."""
    columns, target, sigma, (first, end) = data
    measure, device = Loss.numbered(loss, delta), target.device
    padded = 2 ** torch.ceil(torch.log2((end - first).double())).long()
    parts, order = [], []
    for length in torch.unique(padded).tolist():
        many = max(1, AT_ONCE // max(1, length * ((len(program[2]) - 3) // 2 + 1)))
        for at in torch.split((padded == length).nonzero().flatten(), many):
            begin, stop = first[at].to(device).unsqueeze(-1), end[at].to(device).unsqueeze(-1)
            rows = begin + torch.arange(length, device=device)
            kept, rows = rows < stop, torch.minimum(rows, stop - 1)
            inputs = [column[rows] for column in columns.unbind(0)]
            found = outputs_of(program, inputs, theta[at].to(target))
            y, spread = target[rows], sigma[rows] if len(sigma) else None
            outputs = [each.expand(rows.shape) for each in (*found[1:], found[0] - y)]
            matrix = torch.stack(outputs, dim=-1)
            own = (found[0].expand(rows.shape), y)
            parts.append(reduced(matrix, spread, kept, measure, width[at].to(target), own))
            order.append(at)
    back = torch.argsort(torch.cat(order))
    sums, r, slopes = (torch.cat(each)[back] for each in zip(*parts, strict=True))
    return sums, r, slopes


def gradient(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor], theta: Tensor
) -> tuple[Tensor, Tensor]:
    """See `operators.gradient`; group by group."""
    columns, target, sigma, spans = data
    measure = Loss.numbered(loss, delta)
    losses, gradients = [], []
    for at, (begin, stop) in zip(theta, spans.T.tolist(), strict=True):
        y = target[begin:stop]
        inputs = [column[begin:stop] for column in columns.unbind(0)]
        at = at.to(target)
        prediction, *slopes = outputs_of(program, inputs, at)
        spread = sigma[begin:stop] if len(sigma) else torch.ones_like(y)
        pull = measure.slopes(prediction, y, spread)
        total = pull.sum()
        losses.append(measure.mean(prediction, y, spread))
        found = [torch.dot(pull, s) if s.numel() > 1 else total * s.reshape(()) for s in slopes]
        gradients.append(torch.stack(found) if found else at[:0])
    return torch.stack(losses).double(), torch.stack(gradients)


def reduce(
    program: Sequence[Tensor], loss: int, delta: float, data: Sequence[Tensor], theta: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """See `operators.reduce`; group by group."""
    columns, target, sigma, spans = data
    measure, found = Loss.numbered(loss, delta), []
    z = torch.zeros(len(target), dtype=torch.float64)
    for at, (begin, stop) in zip(theta, spans.T.tolist(), strict=True):
        y = target[begin:stop]
        inputs = [column[begin:stop] for column in columns.unbind(0)]
        outputs = outputs_of(program, inputs, at.to(target))
        matrix = torch.stack([each.expand(y.shape) for each in (*outputs[1:], outputs[0] - y)], -1)
        spread = sigma[begin:stop] if len(sigma) else torch.ones_like(y)
        matrix = matrix / spread.unsqueeze(-1)
        if measure.likelihood is not None:
            share = measure.precision(outputs[0].expand(y.shape), y)
            matrix = matrix * share.sqrt().unsqueeze(-1)
        own = matrix[:, -1].clone()
        z[begin:stop] = own.cpu()
        matrix[:, -1] = measure.pull(own)
        sums = torch.stack([(own * own).sum(), *of_target(y, spread)])
        found.append((triangle(matrix).cpu(), sums.cpu()))
    factors, sums = (torch.stack(each) for each in zip(*found, strict=True))
    return factors, sums, z


def of_target(y: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """‖y/σ‖, Σ((y − ȳ)/σ)² about the weighted mean, and Σ ln σ."""
    weight = 1 / sigma.square()
    apart = (y - (weight * y).sum() / weight.sum()) / sigma
    return (y / sigma).norm(), (apart * apart).sum(), sigma.log().sum()


def is_cornered(loss: int) -> bool:
    """Whether a loss, by its number, has no slope at zero."""
    return not Loss.numbered(loss, 1.0).is_smooth


def constant_losses(loss: int, delta: float, data: Sequence[Tensor], sample: int) -> Tensor:
    """See `operators.constant_losses`; group by group."""
    _, target, sigma, (first, end) = data
    measure, found = Loss.numbered(loss, delta), []
    for begin, stop in zip(first.tolist(), end.tolist(), strict=True):
        step = max(1, -(-(stop - begin) // sample))
        y = target[begin:stop:step].double()
        spread = sigma[begin:stop:step].double() if len(sigma) else torch.ones_like(y)
        weight = 1 / spread.square()
        mean = ((weight * y).sum() / weight.sum()).expand(y.shape)
        found.append(measure.mean(mean, y, spread))
    return torch.stack(found).cpu()


def reduced(
    matrix: Tensor,
    sigma: Tensor | None,
    kept: Tensor | None,
    loss: Loss,
    width: Tensor,
    means: tuple[Tensor, Tensor],
) -> tuple[Tensor, Tensor, Tensor]:
    """Σρ, Σρ of the loss as it is and Σ|z|, (groups, 3); R of [J z] (groups, q + 1, q + 1); and
    Σψ·∂z/∂θ (groups, q), of matrices [∂f/∂θ, f − y] (groups, rows, q + 1), on the CPU. `means` are
    the predictions and the targets, of which a likelihood has its deviances."""
    matrix = matrix.double()
    if sigma is not None:
        matrix = matrix / sigma.double().unsqueeze(-1)
    at, y = (each.double() for each in means)
    if loss.likelihood is not None:
        matrix = matrix * loss.precision(at, y).sqrt().unsqueeze(-1)
    if kept is not None:
        matrix = torch.where(kept.unsqueeze(-1), matrix, 0.0)
    z = matrix[..., -1]
    rho = loss.function.rho(z, loss.delta)
    if loss.likelihood is not None:
        rho = loss.deviances(at, y, None if sigma is None else sigma.double())
    exact, sizes, slopes = rho, z.abs(), torch.zeros_like(matrix[:, 0, :-1])
    if not loss.is_smooth:
        pull = loss.pull(z).unsqueeze(-1)
        slopes = torch.where(pull == 0, 0.0, pull * matrix[..., :-1]).sum(dim=1)
        rho, weight = loss.smoothed(z, width.double().abs().unsqueeze(-1))
        matrix = matrix * weight.sqrt().unsqueeze(-1)
    elif not loss.has_likelihood:
        matrix = matrix * loss.weight(z).sqrt().unsqueeze(-1)
    if kept is not None:
        rho, exact = torch.where(kept, rho, 0.0), torch.where(kept, exact, 0.0)
    sums = torch.stack([rho.sum(-1), exact.sum(-1), sizes.sum(-1)], dim=-1)
    return sums.cpu(), triangle(matrix).cpu(), slopes.cpu()


def triangle(matrix: Tensor) -> Tensor:
    """R of QR of matrices (…, rows, columns): (…, columns, columns), upper triangular.

    A matrix that is not finite has an R that is not, whatever LAPACK makes of it; the others do not
    notice.
    """
    columns, rows = matrix.shape[-1], matrix.shape[-2]
    factor = torch.geqrf(matrix)[0][..., :columns, :]
    finite = torch.isfinite(matrix).all(-1, keepdim=True).all(-2, keepdim=True)
    factor = torch.where(finite, factor, torch.nan)
    upper = torch.ones(factor.shape[-2:], dtype=torch.bool, device=factor.device).triu()
    factor = torch.where(upper, factor, 0.0)
    if rows < columns:
        factor = torch.nn.functional.pad(factor, (0, 0, 0, columns - rows))
    return factor
