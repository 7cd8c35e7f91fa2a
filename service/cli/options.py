"""Options shared by several commands."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from service.catalogue.families import FAMILIES
from service.catalogue.likelihoods import LIKELIHOODS
from service.catalogue.losses import LOSSES
from service.catalogue.optimizers import OPTIMIZERS
from service.catalogue.pictures import FORMATS, VIEWS
from service.cli import exits
from service.cli.printing import Form

_VIEWS = tuple(name for name, view in VIEWS.items() if view.of_job and not view.of_comparison)
PICTURES = ", ".join(f".{name}" for name in FORMATS)
"""The suffixes of files of pictures."""


def model_names(incomplete: str) -> list[str]:
    """Names of families that begin so."""
    return _completed(FAMILIES, incomplete)


def optimizer_names(incomplete: str) -> list[str]:
    """Names of optimizers that begin so."""
    return _completed(OPTIMIZERS, incomplete)


def loss_names(incomplete: str) -> list[str]:
    """Names of losses that begin so."""
    return _completed(LOSSES, incomplete)


def likelihood_names(incomplete: str) -> list[str]:
    """Names of likelihoods that begin so."""
    return _completed(LIKELIHOODS, incomplete)


def counted(
    likelihood: str | None, exposure: str | None, n: str | None, overdispersion: str | None
) -> Any:
    """`likelihood` of a request: a name, or an object where there is more to say."""
    given: dict[str, Any] = {"exposure": exposure, "n": n, "overdispersion": overdispersion}
    given = {name: _number_or_name(value) for name, value in given.items() if value is not None}
    if not given:
        return likelihood
    if likelihood is None:
        exits.usage(f"--{next(iter(given))} is an option of a likelihood: add --likelihood")
    return {"name": likelihood, **given}


def edges(bins: str | None) -> list[str] | None:
    """`lo,hi` as two columns."""
    if bins is None:
        return None
    names = [name.strip() for name in bins.split(",")]
    if len(names) != 2:
        exits.usage(f"--bins takes the columns of the lower and upper edges, lo,hi, not '{bins}'")
    return names


def _number_or_name(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def view_names(incomplete: str) -> list[str]:
    """Names of a job's views that begin so."""
    return _completed(_VIEWS, incomplete)


def _completed(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def named(given: Iterable[str]) -> dict[str, str]:
    """Options of the form name=value."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            exits.usage(f"an option of a picture is name=value, such as width=1200, not '{text}'")
        found[name.strip()] = value
    return found


Plot = Annotated[Path | None, typer.Option(help=f"The picture's file: {PICTURES}.")]
View = Annotated[
    str,
    typer.Option(help=f"The picture: {', '.join(_VIEWS)}.", autocompletion=view_names),
]
Look = Annotated[
    list[str] | None,
    typer.Option(
        help="How the picture looks: title=…, width=1200, theme=dark, x_axis=log, group=A."
    ),
]
Background = Annotated[
    bool, typer.Option("--background", help="Print the job's id and do not wait for it.")
]
Url = Annotated[
    str | None,
    typer.Option(envvar="DESCENT_URL", help="The service's address, such as localhost:8000."),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        envvar="DESCENT_API_KEY",
        show_envvar=True,
        help="The API key. Other users of this machine can read command lines: "
        "the variable is safer.",
    ),
]
Data = Annotated[
    str, typer.Argument(help="A table (CSV, TSV, .npz, Arrow, JSON columns); - is stdin.")
]
Model = Annotated[
    str,
    typer.Argument(
        help="A formula such as 'y = a*exp(-b*x) + c', or a name of `descent models`.",
        autocompletion=model_names,
    ),
]
Params = Annotated[
    list[str] | None, typer.Option("--param", "-p", help="A param's value: name=value.")
]
Loss = Annotated[
    str | None, typer.Option(help="The loss; default: mse.", autocompletion=loss_names)
]
Likelihood = Annotated[
    str | None,
    typer.Option(
        help="For counts, in place of the loss: poisson or binomial.",
        autocompletion=likelihood_names,
    ),
]
Exposure = Annotated[
    str | None,
    typer.Option(help="With poisson: the time or volume of each row's count, a column or number."),
]
Trials = Annotated[
    str | None, typer.Option("--n", help="With binomial: the number of trials, a column or number.")
]
Overdispersion = Annotated[
    str | None,
    typer.Option(help="With a likelihood: pearson, which estimates the dispersion."),
]
Bins = Annotated[
    str | None, typer.Option(help="The columns of a histogram's lower and upper edges: lo,hi.")
]
Sigma = Annotated[
    str | None, typer.Option(help="The noise's standard deviation: a column, or a number.")
]
SigmaX = Annotated[
    list[str] | None,
    typer.Option(help="An input's standard deviation: name=column, or name=number."),
]
Optimizer = Annotated[
    str | None, typer.Option(help="The optimizer; default: auto.", autocompletion=optimizer_names)
]
Rows = Annotated[
    str | None,
    typer.Option(help="Which rows to use: a condition, such as 'x > 2 and x < 10'."),
]
Setting = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Any other option of a request: optimizer.learning_rate=0.01, dtype=float32."
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit code 3 for a doubtful fit too.")]
Format = Annotated[Form, typer.Option("--format", "-f", help="The format of the answer.")]
