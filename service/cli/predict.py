"""`descent predict`: predictions of a fit, or of a model with its params."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import options
from service.cli.printing import Form

if TYPE_CHECKING:
    from service.client import Descent
    from service.client.predictions import Predictions


def predict(
    data: options.Data,
    model: Annotated[
        str | None,
        typer.Argument(help="A formula, with --param for each of its params; or see --fit, --job."),
    ] = None,
    param: options.Params = None,
    fit: Annotated[Path | None, typer.Option(help="A fit saved by `descent fit --save`.")] = None,
    job: Annotated[str | None, typer.Option(help="The id of a job.")] = None,
    interval: Annotated[
        str | None,
        typer.Option(help="A band: confidence (of the curve) or prediction (of new observations)."),
    ] = None,
    level: Annotated[
        float | None, typer.Option(help="The level of the band; default: 0.95.")
    ] = None,
    setting: options.Setting = None,
    format: options.Format = Form.csv,
    url: options.Url = None,
    api_key: options.ApiKey = None,
) -> None:
    """Predict at the rows of a table; in CSV its columns are written beside the predictions."""
    from service.cli import connecting, exits, printing, words
    from service.cli.fit import table

    if sum(each is not None for each in (model, fit, job)) != 1:
        exits.usage("predict with a model and its --param, with --fit FILE, or with --job ID")
    options = words.request(settings=setting or ())
    if interval is not None:
        options["interval"] = {"kind": interval, **({} if level is None else {"level": level})}
    params = words.values(param or ())
    with connecting.descent(url, api_key, own=job is None) as client:
        by, are_text = ((), None) if job is None else _keys(client, job)
        columns = table(data, by, are_text=are_text)
        found = _predictions(client, columns, model, params, fit, job, options)
        printing.show(found, format, beside=columns)


def _keys(client: Descent, job: str) -> tuple[tuple[str, ...], bool | None]:
    """The columns by which a job was fitted, and whether its groups' keys are text."""
    from service.client import ClientError, GroupedFit

    try:
        fit = client.job(job).result()
    except ClientError:
        return (), None  # the request for predictions will report the error
    if not isinstance(fit, GroupedFit):
        return (), None
    if len(fit.groups.columns) > 1:
        return fit.groups.columns, None
    return fit.groups.columns, any(isinstance(key, str) for key in fit.groups.key)


def _predictions(
    client: Descent,
    columns: Any,
    model: str | None,
    params: dict[str, float],
    fit: Path | None,
    job: str | None,
    options: dict[str, Any],
) -> Predictions:
    from service.client import Fit

    if fit is not None:
        return Fit.load(fit, client).predict(columns, interval=options.get("interval"))
    if job is not None:
        return client.predict(None, columns, job_id=job, **options)
    return client.predict(model, columns, params, **options)
