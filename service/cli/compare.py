"""`descent compare`: fit several models to a table, rank them and test them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli import options
from service.cli.printing import Form


def compare(
    data: options.Data,
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="Formulas, or names of `descent models`; default: every family of the catalogue.",
            autocompletion=options.model_names,
        ),
    ] = None,
    criterion: Annotated[
        str | None, typer.Option(help="aic, aicc or bic, by which they are ranked; default: aicc.")
    ] = None,
    test: Annotated[
        list[str] | None,
        typer.Option(help="f, lrt (likelihood ratio) or lack_of_fit; several times for several."),
    ] = None,
    nested: Annotated[
        list[str] | None,
        typer.Option(
            help="A pair that is nested although it cannot be proved: SMALLER<LARGER, the places "
            "of two models in the command, from 1."
        ),
    ] = None,
    sigma: options.Sigma = None,
    likelihood: options.Likelihood = None,
    exposure: options.Exposure = None,
    n: options.Trials = None,
    bins: options.Bins = None,
    group_by: Annotated[
        str | None, typer.Option(help="A column: the models are compared for each of its values.")
    ] = None,
    null: Annotated[
        list[str] | None,
        typer.Option(
            help="With --group-by, compares the curves of the groups: the params that these share "
            "if the curves do not differ otherwise, such as K or 'b,c', or all for one curve; "
            "several times for several."
        ),
    ] = None,
    alternative: Annotated[
        str | None, typer.Option(help="The params that they share if they differ; default: none.")
    ] = None,
    report: Annotated[
        list[str] | None,
        typer.Option(
            help="A derived quantity: name=expression, such as 't_half=log(2)/k'; or default, "
            "those of the model's family."
        ),
    ] = None,
    rows: options.Rows = None,
    setting: options.Setting = None,
    plot: options.Plot = None,
    look: options.Look = None,
    save: Annotated[Path | None, typer.Option(help="The file for the answer's JSON.")] = None,
    background: options.Background = False,
    strict: options.Strict = False,
    format: options.Format = Form.text,
    url: options.Url = None,
    api_key: options.ApiKey = None,
) -> None:
    """Compare models of a table. Without --url a temporary service is started.


    Exit code: 0 a trustworthy or doubtful comparison, 3 an untrustworthy one (with --strict a
    doubtful one too), 4 rejected, 5 no service, 1 it failed.
    """
    from service.cli import connecting, exits, requests, table
    from service.cli.fit import end, picture

    if background and url is None:
        exits.usage("--background needs a running service: set --url or DESCENT_URL")
    drawn = picture(plot, "comparison", look)
    asked = requests.request(
        settings=setting or (),
        criterion=criterion,
        tests=test,
        nested=None if nested is None else [_pair(each, models or []) for each in nested],
        sigma=sigma,
        likelihood=options.counted(likelihood, exposure, n, None),
        bins=options.edges(bins),
        group_by=group_by,
        null=None if null is None else ";".join(null),
        alternative=alternative,
        rows=rows,
        reports=report or (),
    )
    given = table.read(data)
    with connecting.descent(url, api_key, own=True) as client:
        job: Any = client.submit_comparison(given, models or "catalogue", **asked)
        if background:
            typer.echo(job.id)
            raise typer.Exit
        end(client, job, format, drawn, save, strict=strict)


def _pair(text: str, models: list[str]) -> list[str]:
    """`1<2` as the labels of two models."""
    from service.cli import exits

    smaller, _, larger = text.partition("<")
    labels = []
    for place in (smaller, larger):
        if not (place.strip().isdigit() and 0 < int(place) <= len(models)):
            exits.usage(f"--nested takes the places of two models, such as 1<2, not '{text}'")
        labels.append(" ".join(models[int(place) - 1].split()))
    return labels
