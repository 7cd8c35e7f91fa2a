"""The optimizers, one algorithm per file, and their table for the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Method:
    """An entry of the table: the update, with g the gradient of the loss and r the residuals."""

    name: str
    formula: str
    when_to_use: str
    reference: str


METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        Method(
            "exact",
            "θ = argmin ‖(f₀ + Jθ − y)/σ‖, by QR and singular values",
            "Formulas linear in their params, with mse: the answer in one step.",
            "Golub and Van Loan, Matrix Computations, 4th ed., 5.3-5.5",
        ),
        Method(
            "levenberg_marquardt",
            "θ' = θ + δ, δ = argmin ‖Jδ + r‖² + λ‖Dδ‖², by QR; λ follows the gain",
            "Nonlinear formulas and losses of residuals: a few steps to full precision.",
            "Moré, The Levenberg-Marquardt algorithm (1978); Nielsen (1999)",
        ),
        Method(
            "lbfgs",
            "θ' = θ + αd, d = −Hg from the last steps, α by strong Wolfe",
            "Smooth losses that are no sum of residuals, and many params.",
            "Nocedal and Wright, Numerical Optimization, 2nd ed., 7.2",
        ),
        Method(
            "sgd",
            "v' = momentum·v + (1 − dampening)·g; θ' = θ − learning_rate·v'",
            "To see gradient descent work; with batch_size, for data too long for one step.",
            "Robbins and Monro, Annals of Mathematical Statistics 22 (1951) 400",
        ),
        Method(
            "adam",
            "θ' = θ − learning_rate·m̂/(√v̂ + eps), m and v running means of g and g²",
            "Many params, losses that are not smooth, neural networks.",
            "Kingma and Ba, Adam, ICLR (2015)",
        ),
        Method(
            "adamw",
            "as adam, with weight_decay·learning_rate·θ taken off θ itself",
            "Adam with regularisation.",
            "Loshchilov and Hutter, Decoupled weight decay, ICLR (2019)",
        ),
        Method(
            "rmsprop",
            "θ' = θ − learning_rate·g/(√v' + eps), v a running mean of g²",
            "Gradients whose size changes along the way.",
            "Hinton, Neural Networks for Machine Learning, lecture 6 (2012)",
        ),
        Method(
            "adagrad",
            "θ' = θ − learning_rate·g/(√Σg² + eps)",
            "Params that act on few rows each.",
            "Duchi, Hazan and Singer, JMLR 12 (2011) 2121",
        ),
    )
}
"""Every optimizer, by name."""
