"""The self-start study: is a fit from the family's own guess as good as one from the truth?

For each family, seeded random truths with 5 % noise: the standard deviation of the noise is 5 % of
the range of the true curve. A success is loss(from the guess) ≤ loss(from the truth)·(1 + 1e-6),
both by Levenberg-Marquardt. `python -m benchmarks.self_start [sets]` prints the table and, with all
200 sets, writes it to docs/self-start.md.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from zlib import crc32

import torch
from torch import Tensor

from benchmarks.truths import TRUTHS, Draw
from service.catalogue.families import FAMILIES
from service.catalogue.losses import LOSSES
from service.catalogue.options import NoOptions
from service.engine import Options, Problem, Result, Task, begin, outcome
from service.engine.fit_options import Tolerance
from service.engine.formula import Formula, read_formula
from service.engine.losses import Loss
from service.engine.models import guess

SETS = 200
NOISE = 0.05
TOLERANCE = 1e-6
PAGE = Path(__file__).parents[1] / "docs" / "self-start.md"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A data set fitted from the guess and from the truth."""

    guessed: Result
    true: Result

    @property
    def success(self) -> bool:
        return self.guessed.best.loss <= self.true.best.loss * (1 + TOLERANCE)


@dataclass(frozen=True, slots=True)
class Score:
    """A family's line of the table."""

    family: str
    sets: int
    successes: int
    guessed_epochs: float
    true_epochs: float

    def __str__(self) -> str:
        share = f"{100 * self.successes / self.sets:.1f}"
        return (
            f"| {self.family} | {self.sets} | {share} | {self.guessed_epochs:g} "
            f"| {self.true_epochs:g} |"
        )


def formula_of(name: str) -> Formula:
    """The family's formula over columns x and y."""
    return read_formula(FAMILIES[name].formula, frozenset({"x", "y"}))


def predict(formula: Formula, x: Tensor, theta: Tensor) -> Tensor:
    """The curve at θ (params,), on the scale of the formula's left side."""
    return formula.prediction.bind({"x": x}, formula.params, x[:1])(theta.unbind())[0].expand(
        len(x)
    )


def data_set(name: str, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """x, y and the true θ; y is the formula's left side."""
    draw = Draw(1000 * crc32(name.encode()) + seed)
    x, values = TRUTHS[name](draw)
    theta = torch.tensor(values, dtype=torch.float64)
    curve = predict(formula_of(name), x, theta)
    return x, curve + NOISE * (curve.max() - curve.min()) * draw.normal(len(x)), theta


def fit(formula: Formula, x: Tensor, y: Tensor, theta: Tensor) -> Result:
    """Levenberg-Marquardt from θ, with the service's defaults."""
    limit = torch.full_like(theta, torch.inf)
    free = (True,) * len(theta)
    loss = Loss(LOSSES["mse"], 1.0)
    problem = Problem(formula, {"x": x}, y, theta, -limit, limit, free, loss)
    tolerance = Tolerance(params=1e-10)
    options = Options("levenberg_marquardt", NoOptions(), 1000, 1, tolerance)
    run = begin(Task(problem, options))
    run.step(options.epochs)
    return outcome(run)


def trial(name: str, seed: int) -> Outcome:
    """One data set of a family, fitted from the guess and from the truth."""
    formula = formula_of(name)
    x, y, theta = data_set(name, seed)
    start = guess(FAMILIES[name], x.unsqueeze(0), y.unsqueeze(0))[0]
    return Outcome(fit(formula, x, y, start), fit(formula, x, y, theta))


def score(name: str, sets: int, first: int = 0) -> Score:
    """A family's score over the data sets of consecutive seeds."""
    outcomes = [trial(name, seed) for seed in range(first, first + sets)]
    return Score(
        name,
        sets,
        sum(outcome.success for outcome in outcomes),
        median(outcome.guessed.epochs for outcome in outcomes),
        median(outcome.true.epochs for outcome in outcomes),
    )


HEAD = """\
| family | data sets | success, % | median epochs from the guess | from the truth |
|---|---|---|---|---|"""

ABOUT = f"""\
# Self-start: fits that need no initial values

Each family of the catalogue guesses its params from the data. Is a fit from that guess as good as
one that starts from the truth? For each family, {SETS} seeded random data sets
(`benchmarks/truths.py`): any units, any offset, rises and falls, 40 to 120 rows, x at random, even
or repeated, unsorted. The noise is Gaussian, its standard deviation {NOISE:.0%} of the range of the
true curve. Both fits are by `levenberg_marquardt` with its defaults. A success is
loss(from the guess) ≤ loss(from the truth)·(1 + {TOLERANCE:g}); a lower loss counts.

`python -m benchmarks.self_start` writes this page.
"""

NOTES = """
How a guess is made: given its few nonlinear params, a family is linear in the others, which least
squares then finds at once (variable projection). So the guess is the best of a grid of the
nonlinear ones, refined on ever finer grids around the best places
(`service/engine/models/grids.py`). For oscillations the grid is the peaks of a periodogram; for two
lines that meet, it is as dense as the data.

Where `logistic5` fails, the doses leave one of its limits open: the loss goes on falling, ever more
slowly, as that limit goes to infinity and f to 0, and both fits end after their 1,000 epochs.
"""


def main(sets: int = SETS) -> None:
    """Prints the table; writes the page when it is the whole study."""
    torch.set_num_threads(1)
    print(HEAD)
    rows = []
    for name in FAMILIES:
        rows.append(str(score(name, sets)))
        print(rows[-1], flush=True)
    if sets >= SETS:
        PAGE.write_text("\n".join([ABOUT, HEAD, *rows, NOTES]), encoding="utf-8")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
