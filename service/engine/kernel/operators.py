"""The kernel behind torch's dispatcher: `torch.ops.descent.…`.

On the CPU an operator is compiled code on views of its tensors, which share groups, or pieces of
long data, out to as many threads as torch has; on any other device, and for a loss without
compiled code, it is plain torch (`composite`). Neither threads nor the cut into calls changes a bit
of what it gives.

A program is three tensors (see `program.Program.tensors`). Data are four: columns (inputs, rows),
target and sigma (rows,), all of one dtype (sigma is empty where it is 1 everywhere), and spans (2,
groups) int64 on the CPU: where each group's rows begin, and end.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import torch
from torch.library import Library

from service.engine.kernel import composite, fitting, readings
from service.engine.losses import is_compiled

_library: Any = Library("descent", "DEF")  # type: ignore[no-untyped-call]
_library.define("read(Tensor[] program, Tensor columns, Tensor theta) -> Tensor")
_library.define(
    "linearise(Tensor[] program, int loss, float delta, Tensor[] data, Tensor theta, Tensor width)"
    " -> (Tensor, Tensor, Tensor)"
)
_library.define(
    "losses(Tensor[] program, int loss, float delta, Tensor[] data, Tensor points) -> Tensor"
)
_library.define("constant_losses(int loss, float delta, Tensor[] data) -> Tensor")
_library.define(
    "reduce(Tensor[] program, int loss, float delta, Tensor[] data, Tensor theta)"
    " -> (Tensor, Tensor, Tensor)"
)
_library.define(
    "assess(Tensor[] program, int loss, float delta, Tensor[] data, Tensor theta, Tensor limits,"
    " bool[] options) -> (Tensor, Tensor)"
)
_library.define(
    "solve(Tensor[] program, Tensor[] data, Tensor initial, int steps) -> (Tensor, Tensor)"
)
_library.define(
    "gradient(Tensor[] program, int loss, float delta, Tensor[] data, Tensor theta)"
    " -> (Tensor, Tensor)"
)
_library.define(
    "descend(Tensor[] program, int loss, float delta, Tensor[] data, Tensor[] rules, int epochs, "
    "int batch, bool stop, Tensor(a!)[] state, Tensor(b!)[] history, int after, Tensor rates, "
    "Tensor orders, int every) -> ()"
)
_library.define(
    "marquardt(Tensor[] program, int loss, float delta, Tensor[] data, Tensor[] rules, int epochs, "
    "Tensor initial, Tensor(a!)[] state, Tensor(b!)[] history, int steps, int every) -> ()"
)


IMPLEMENTATIONS: Mapping[str, tuple[Callable[..., Any], Callable[..., Any] | None]] = {
    "read": (readings.read, composite.read),
    "linearise": (readings.linearise, composite.linearise),
    "losses": (readings.losses, readings.composite_losses),
    "constant_losses": (readings.constant_losses, readings.composite_constant_losses),
    "reduce": (readings.reduce, composite.reduce),
    "assess": (readings.assess, readings.composite_assess),
    "solve": (readings.solve, readings.composite_solve),
    "gradient": (readings.gradient, composite.gradient),
    "descend": (fitting.descend, None),
    "marquardt": (fitting.fit_marquardt, fitting.composite_marquardt),
}
"""Of each operator, the compiled code for the CPU, and the plain torch for any other device and for
losses without compiled code."""


def _on_cpu(compiled: Callable[..., Any], plain: Callable[..., Any] | None) -> Callable[..., Any]:
    """The compiled operator, and the plain one for losses without compiled code."""
    names = list(inspect.signature(compiled).parameters)
    if plain is None or "loss" not in names:
        return compiled
    at = names.index("loss")

    @wraps(compiled)
    def either(*arguments: Any) -> Any:
        return (compiled if is_compiled(arguments[at]) else plain)(*arguments)

    return either


for _name, (_function, _plain) in IMPLEMENTATIONS.items():
    _library.impl(_name, _on_cpu(_function, _plain), "CPU")
    if _plain is not None:
        _library.impl(_name, _plain, "CompositeExplicitAutograd")

read = torch.ops.descent.read.default
"""f and its slopes at points: a program, columns (inputs, rows) and θ (points, params) -> (outputs,
points, rows)."""
linearise = torch.ops.descent.linearise.default
"""Groups at a θ each: a program, the loss's number and delta, data, θ (groups, params) and the
widths of rounded corners (groups,), both float64 -> Σρ, Σρ of the loss as it is and Σ|z| (groups,
3), R of [J z] (groups, q + 1, q + 1) and Σψ·∂z/∂θ (groups, q), float64 on the CPU."""
losses = torch.ops.descent.losses.default
"""The loss at several params (points, params), float64: a program without slopes, and data without
spans, which are one group -> (points,), float64 on the CPU."""
constant_losses = torch.ops.descent.constant_losses.default
"""The loss of each group's weighted mean, (groups,): see `rows.constant_loss`."""
reduce = torch.ops.descent.reduce.default
"""Groups at a θ each (groups, params), all of float64: R of QR [J | ψ] (groups, q + 1, q + 1), sums
(groups, 4; see `reduction`), and z (rows,), on the CPU."""
assess = torch.ops.descent.assess.default
"""Groups at a θ each (groups, params) within limits (2, params), all of float64: the table of their
statistics (groups, `statistics.width(q)`) and z (rows,), on the CPU. The options are those of
`statistics.OPTIONS`."""
solve = torch.ops.descent.solve.default
"""Linear least squares of groups, from params (groups, params), by a number of steps: how they end
(groups, `linear.width(params, q)`; see `linear.Parts`) and R of [J z] there (groups, q + 1, q + 1),
float64 on the CPU."""
gradient = torch.ops.descent.gradient.default
"""Groups at a θ each (groups, params), of the data's dtype: their losses (groups,) and ∂loss/∂θ
over the free params (groups, q)."""
descend = torch.ops.descent.descend.default
"""Epochs of first-order descent of each group: see `first_order.fit`. On the CPU alone."""
marquardt_slice = torch.ops.descent.marquardt.default
"""At most `steps` epochs of Levenberg-Marquardt on each group: see `marquardt.fit`. rules are the
limits (2, params), which free params the prediction is jointly linear in, and the tolerances."""
