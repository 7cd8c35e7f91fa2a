"""`descent invert`: unknowns from the standard curve of a fit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import options
from service.cli.printing import Form

if TYPE_CHECKING:
    from service.client.bodies import Payload


def invert(
    data: options.Data,
    model: Annotated[
        str | None,
        typer.Argument(help="A formula, with --param for each of its params; or see --fit, --job."),
    ] = None,
    param: options.Params = None,
    fit: Annotated[Path | None, typer.Option(help="A fit saved by `descent fit --save`.")] = None,
    job: Annotated[str | None, typer.Option(help="The id of a job, also of a grouped fit.")] = None,
    rows: options.Rows = None,
    solve_for: Annotated[
        str | None, typer.Option(help="The input to solve for; default: the only one.")
    ] = None,
    replicates_by: Annotated[
        str | None,
        typer.Option(help="The column of the samples' names; default: sample, if there is one."),
    ] = None,
    dilution: Annotated[
        str | None,
        typer.Option(help="A factor or a column of factors; default: dilution, if there is one."),
    ] = None,
    sigma: options.Sigma = None,
    interval: Annotated[
        str | None, typer.Option(help="inversion, wald, bootstrap or none; default: inversion.")
    ] = None,
    level: Annotated[float | None, typer.Option(help="Its level; default: 0.95.")] = None,
    of: Annotated[
        str | None,
        typer.Option(help="observation, with the noise of the readings, or mean, without it."),
    ] = None,
    range: Annotated[
        str | None, typer.Option(help="Where solutions are looked for: low:high.")
    ] = None,
    setting: options.Setting = None,
    format: options.Format = Form.csv,
    url: options.Url = None,
    api_key: options.ApiKey = None,
) -> None:
    """Read unknowns back from a standard curve: the readings in a table, one row a sample in the
    answer. Rows with a value of the input are calibrators, and are read back too."""
    from service.cli import connecting, exits, printing, requests, table

    if sum(each is not None for each in (model, fit, job)) != 1:
        exits.usage("give a model and its --param, --fit FILE, or --job ID")
    asked = requests.request(
        settings=setting or (),
        rows=rows,
        solve_for=solve_for,
        replicates_by=replicates_by,
        dilution=dilution,
        sigma=sigma,
    )
    said = {"kind": interval, "level": level, "of": of}
    if chosen := {name: value for name, value in said.items() if value is not None}:
        asked["interval"] = chosen
    if range is not None:
        asked["range"] = requests.limits(range, "range")
    given = table.read(data)
    with connecting.descent(url, api_key, own=job is None) as client:
        request = _request(given, model, requests.values(param or ()), fit, job, asked)
        printing.show(client.inverted(request), format)


def _request(
    data: Any,
    model: str | None,
    params: dict[str, float],
    fit: Path | None,
    job: str | None,
    options: dict[str, Any],
) -> Payload:
    from service.client import Fit, bodies

    if fit is not None:
        return Fit.load(fit).inversion(data, options)
    subject = {"model": model, "params": params} if job is None else {"job_id": job}
    return bodies.ask("/invert", data, {**subject, **options})
