"""`descent fit`: fit a model to a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn

import typer

from service.catalogue.pictures import FORMATS, PictureFormat
from service.cli import options
from service.cli.printing import Form

if TYPE_CHECKING:
    from service.client import Comparison, Descent, Fit, GroupedFit, Job


class Picture(NamedTuple):
    """The picture of a fit that is asked for."""

    file: Path
    view: str
    look: Mapping[str, str]

    @property
    def kind(self) -> PictureFormat:
        """Its format, by the suffix of the file."""
        return FORMATS[self.file.suffix.removeprefix(".")]


def fit(
    data: Annotated[
        str | None,
        typer.Argument(help="A table (CSV, TSV, .npz, Arrow, JSON columns); - is stdin."),
    ] = None,
    model: options.Model = "linear",
    param: options.Params = None,
    fix: Annotated[list[str] | None, typer.Option(help="A fixed param: name=value.")] = None,
    bound: Annotated[
        list[str] | None,
        typer.Option(help="A param's bounds: name=low:high, name=low: or name=:high."),
    ] = None,
    tie: Annotated[
        list[str] | None,
        typer.Option(help="A param tied to others by an expression: name=expression."),
    ] = None,
    prior: Annotated[
        list[str] | None,
        typer.Option(help="What is known of a param: name=mean:sd. Needs --sigma-absolute."),
    ] = None,
    prior_fit: Annotated[
        Path | None,
        typer.Option(help="A fit saved by `descent fit --save`, whose params are a prior of this."),
    ] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(help="The order of params: 'k1 < k2', or '0 < a < b'."),
    ] = None,
    report: Annotated[
        list[str] | None,
        typer.Option(
            help="A derived quantity: name=expression, such as 't_half=log(2)/k'; or default, "
            "those of the model's family."
        ),
    ] = None,
    covariance: Annotated[
        str | None, typer.Option(help="Of the params: expected, observed or sandwich.")
    ] = None,
    optimizer: options.Optimizer = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="The most epochs.")] = None,
    loss: options.Loss = None,
    likelihood: options.Likelihood = None,
    exposure: options.Exposure = None,
    n: options.Trials = None,
    overdispersion: options.Overdispersion = None,
    bins: options.Bins = None,
    sigma: options.Sigma = None,
    sigma_x: options.SigmaX = None,
    sigma_expr: Annotated[
        str | None,
        typer.Option(
            help="The noise's standard deviation as an expression of the prediction, pred, and of "
            "columns: '0.02 + 0.05*pred'."
        ),
    ] = None,
    estimate: Annotated[
        list[str] | None,
        typer.Option(help="A param of --sigma-expr to estimate: name, or name=initial value."),
    ] = None,
    sigma_absolute: Annotated[
        bool,
        typer.Option("--sigma-absolute", help="sigma is in the units of the target, not relative."),
    ] = False,
    weights: Annotated[
        str | None,
        typer.Option(help="Weights, 1/sigma²: a column, or an expression such as '1/x**2'."),
    ] = None,
    outliers: Annotated[
        str | None, typer.Option(help="Test for outliers (ROUT), and flag or drop them.")
    ] = None,
    group_by: Annotated[
        list[str] | None,
        typer.Option(help="A column: one fit for each of its values. Several make one key."),
    ] = None,
    shared: Annotated[
        list[str] | None,
        typer.Option(help="A param that has one value for all groups, fitted together."),
    ] = None,
    rows: options.Rows = None,
    setting: options.Setting = None,
    patch: Annotated[
        str | None,
        typer.Option(help="A JSON merge patch of the request, as a diagnostic suggests it."),
    ] = None,
    plot: options.Plot = None,
    view: options.View = "fit",
    look: options.Look = None,
    save: Annotated[
        Path | None, typer.Option(help="The file for the fit's JSON, for `descent predict --fit`.")
    ] = None,
    watch: Annotated[str | None, typer.Option(help="Watch this job instead of fitting.")] = None,
    background: options.Background = False,
    strict: options.Strict = False,
    format: options.Format = Form.text,
    url: options.Url = None,
    api_key: options.ApiKey = None,
) -> None:
    """Fit a model to a table. Without --url a temporary service is started.


    Exit code: 0 a trustworthy or doubtful fit, 3 an untrustworthy one (with --strict a doubtful
    one too), 4 rejected, 5 no service, 1 it failed.
    """
    from service.cli import connecting, exits, requests, table

    drawn = picture(plot, view, look)
    if watch is not None:
        with connecting.descent(url, api_key, own=False) as client:
            end(client, client.job(watch), format, drawn, save, own=False, strict=strict)
    if data is None:
        exits.usage("name a table, as in `descent fit data.csv 'y = a*x + b'`; - is stdin")
    if background and url is None:
        exits.usage("--background needs a running service: set --url or DESCENT_URL")
    if shared and not group_by:
        exits.usage("--shared names params that groups share: name their column with --group-by")
    if sigma is not None and sigma_expr is not None:
        exits.usage("--sigma and --sigma-expr exclude each other")
    if estimate and sigma_expr is None:
        exits.usage("--estimate names params of --sigma-expr")
    if outliers not in (None, "flag", "drop"):
        exits.usage(f"--outliers is flag or drop, not '{outliers}'")
    asked = requests.request(
        params=param or (),
        fixed=fix or (),
        bounds=bound or (),
        ties=tie or (),
        priors=prior or (),
        reports=report or (),
        errors=sigma_x or (),
        settings=setting or (),
        patch=patch,
        model=model,
        optimizer=optimizer,
        epochs=epochs,
        loss=loss,
        likelihood=options.counted(likelihood, exposure, n, overdispersion),
        bins=options.edges(bins),
        sigma=sigma if sigma_expr is None else requests.noise(sigma_expr, estimate or ()),
        sigma_absolute=sigma_absolute or None,
        weights=weights,
        outliers=None if outliers is None else {"method": "rout", "action": outliers},
        covariance=covariance,
        prior=None if prior_fit is None else requests.earlier(prior_fit),
        constraints=constraint or None,
        group_by=_grouping(group_by or (), shared or ()),
        rows=rows,
    )
    given = table.read(data)
    with connecting.descent(url, api_key, own=True) as client:
        job: Job[Any] = client.submit(asked.pop("model"), given, **asked)
        if background:
            typer.echo(job.id)
            raise typer.Exit
        end(client, job, format, drawn, save, strict=strict)


def picture(file: Path | None, view: str, look: Sequence[str] | None) -> Picture | None:
    """The picture that the command line asks for, if it does."""
    from service.cli import exits

    if file is None:
        return None
    if file.suffix.removeprefix(".") not in FORMATS:
        exits.usage(f"a picture is {options.PICTURES}, not '{file}'")
    return Picture(file, view, options.named(look or ()))


def _grouping(columns: Sequence[str], shared: Sequence[str]) -> Any:
    """`group_by` of a request: a column, or an object where there is more to say."""
    if not columns:
        return None
    column = columns[0] if len(columns) == 1 else list(columns)
    return {"column": column, "shared": list(shared)} if shared else column


def end(
    client: Descent,
    job: Job[Any],
    format: Form,
    picture: Picture | None,
    save: Path | None,
    *,
    own: bool = True,
    strict: bool = False,
) -> NoReturn:
    """Waits for a job, prints its fit, and exits with the code of its verdict."""
    from service.cli import exits, printing, progress
    from service.client import Comparison

    interrupted, found = progress.finished(job, own=own)
    if found is None:
        exits.leave(exits.INTERRUPTED, f"job {job.id} was stopped before it had a fit")
    printing.show(found.document, format, raw=found.to_json())
    if save is not None:
        found.save(save)
    if picture is not None:
        path, kind = f"{found.urls.self}/plot/{picture.view}", picture.kind
        made = client.fetch(f"{path}.{kind.name}", kind.media_type, picture.look)
        picture.file.write_bytes(made)
    if interrupted:
        raise typer.Exit(exits.INTERRUPTED)
    if found.verdict == "doubtful":
        what = "comparison" if isinstance(found, Comparison) else "fit"
        exits.warn(f"the {what} is doubtful: {', '.join(_warnings(found))}")
    bad = found.verdict == "untrustworthy" or (strict and not found.trustworthy)
    raise typer.Exit(exits.UNTRUSTWORTHY if bad else exits.DONE)


def _warnings(found: Fit | GroupedFit | Comparison) -> list[str]:
    return [each.code for each in found.diagnostics if each.severity == "warning"]
