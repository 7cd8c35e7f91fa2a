"""A multilayer perceptron: y = W_L·a_{L−1} + b_L, a_k = act(W_k·a_{k−1} + b_k), a_0 the inputs.

Its gradient is back-propagation in closed form (Rumelhart, Hinton and Williams, Nature 323 (1986)
533). Weights start as Glorot and Bengio (AISTATS 2010) draw them, seeded; the output layer starts
at the target's mean and spread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from service.engine.formula import read_columns
from service.engine.losses import Loss
from service.engine.tape import Tape

Activation = tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]

ACTIVATIONS: Mapping[str, Activation] = {
    "tanh": (torch.tanh, lambda z, a: 1 - a * a),
    "sigmoid": (torch.sigmoid, lambda z, a: a * (1 - a)),
    "relu": (torch.relu, lambda z, a: (z > 0).to(z.dtype)),
    "softplus": (
        lambda z: torch.logaddexp(z, torch.zeros((), dtype=z.dtype, device=z.device)),
        lambda z, a: torch.sigmoid(z),
    ),
}
"""Each activation with its derivative, given its argument z and its value a."""

MAX_PARAMS = 4096


@dataclass(frozen=True)
class Network:
    """A network of those hidden widths, from the inputs to one target.

    Params are named by layer: `w{layer}_{to}_{from}` and `b{layer}_{to}`, counted from 1.
    """

    hidden: tuple[int, ...]
    activation: str
    inputs: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]
    left: Tape

    has_standard_errors = False
    """Its params are not identifiable, since hidden units are interchangeable."""

    @cached_property
    def widths(self) -> tuple[int, ...]:
        return (len(self.inputs), *self.hidden, 1)

    @property
    def size(self) -> int:
        """Number of params."""
        return sum((a + 1) * b for a, b in zip(self.widths, self.widths[1:], strict=False))

    @cached_property
    def params(self) -> tuple[str, ...]:
        names: list[str] = []
        for layer, (before, after) in enumerate(zip(self.widths, self.widths[1:], strict=False), 1):
            names += [f"w{layer}_{i + 1}_{j + 1}" for i in range(after) for j in range(before)]
            names += [f"b{layer}_{i + 1}" for i in range(after)]
        return tuple(names)

    @property
    def text(self) -> str:
        layers = " -> ".join(str(width) for width in self.widths)
        return f"{self.target} = mlp({', '.join(self.inputs)}), {layers}, {self.activation}"

    @property
    def operations(self) -> int:
        """Multiplications per row of the prediction and its gradient."""
        return 6 * self.size

    @property
    def forward_operations(self) -> int:
        """Multiplications per row of the prediction."""
        return 2 * self.size

    def is_linear_in(self, free: object) -> bool:
        """False: a network is treated as nonlinear in all params."""
        return False

    def explained(self, columns: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """The values of the left side, (rows,)."""
        return read_columns(self.left, columns, like)

    def bind(self, columns: Mapping[str, Tensor], rows: int, like: Tensor) -> BoundNetwork:
        """The network bound to columns."""
        inputs = [columns[name].expand(rows) for name in self.inputs]
        return BoundNetwork(self, torch.stack(inputs, dim=-1))

    def initial(self, target: Tensor, seed: int) -> Tensor:
        """Random initial params, (params,) float64."""
        generator = torch.Generator().manual_seed(seed)
        parts = []
        for before, after in zip(self.widths, self.widths[1:], strict=False):
            bound = (6 / (before + after)) ** 0.5
            weights = torch.rand(after * before, generator=generator, dtype=torch.float64)
            parts += [bound * (2 * weights - 1), torch.zeros(after, dtype=torch.float64)]
        spread = float(target.double().std(correction=0)) or 1.0
        parts[-2] = parts[-2] * spread
        parts[-1] = parts[-1] + target.double().mean()
        return torch.cat(parts)

    def layers(self, theta: Tensor) -> list[tuple[Tensor, Tensor]]:
        """θ (…, params) as weights (…, to, from) and biases (…, to)."""
        layers, at = [], 0
        for before, after in zip(self.widths, self.widths[1:], strict=False):
            weights = theta[..., at : at + after * before]
            at += after * before
            shape = (*theta.shape[:-1], after, before)
            layers.append((weights.reshape(shape), theta[..., at : at + after]))
            at += after
        return layers


class BoundNetwork:
    """A network on its inputs (rows, inputs)."""

    def __init__(self, network: Network, inputs: Tensor) -> None:
        self._network = network
        self._inputs = inputs

    def on(self, rows: Tensor | slice) -> BoundNetwork:
        return BoundNetwork(self._network, self._inputs[rows])

    def predict(self, theta: Tensor) -> Tensor:
        return self._forward(theta)[0]

    def _forward(self, theta: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Predictions, each layer's input a_{k−1}, and each hidden layer's z_k."""
        act = ACTIVATIONS[self._network.activation][0]
        inputs, arguments, a = [], [], self._inputs
        *hidden, (weights, bias) = self._network.layers(theta)
        for w, b in hidden:
            inputs.append(a)
            z = a @ w.mT + b.unsqueeze(-2)
            arguments.append(z)
            a = act(z)
        inputs.append(a)
        return (a @ weights.mT + bias.unsqueeze(-2)).squeeze(-1), inputs, arguments

    def _deltas(self, theta: Tensor, last: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """The prediction, each layer's input, and ∂prediction/∂z_k·last, first layer first."""
        slope = ACTIVATIONS[self._network.activation][1]
        prediction, inputs, arguments = self._forward(theta)
        layers = self._network.layers(theta)
        deltas = [last]
        for k in range(len(arguments) - 1, -1, -1):
            back = deltas[0] @ layers[k + 1][0]
            deltas.insert(0, back * slope(arguments[k], inputs[k + 1]))
        return prediction, inputs, deltas

    def jacobian(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        ones = torch.ones_like(self._inputs[:, :1])
        prediction, inputs, deltas = self._deltas(theta, ones)
        parts = []
        for a, delta in zip(inputs, deltas, strict=True):
            parts += [(delta.unsqueeze(-1) * a.unsqueeze(-2)).flatten(-2), delta]
        return prediction, torch.cat(parts, dim=-1)

    def gradient(
        self, theta: Tensor, target: Tensor, sigma: Tensor | None, loss: Loss
    ) -> tuple[Tensor, Tensor]:
        z = self.predict(theta) - target
        z = z if sigma is None else z / sigma
        slope = loss.slope(z) if sigma is None else loss.slope(z) / sigma
        _, inputs, deltas = self._deltas(theta, slope.unsqueeze(-1))
        parts = []
        for a, delta in zip(inputs, deltas, strict=True):
            parts += [(delta.mT @ a).flatten(), delta.sum(dim=0)]
        return loss.value(z), torch.cat(parts)
