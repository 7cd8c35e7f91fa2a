"""`descent predict`: predictions of a fit, or of a model with its params."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import options
from service.cli.printing import Form

if TYPE_CHECKING:
    from service.client.bodies import Payload


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
    rows: options.Rows = None,
    setting: options.Setting = None,
    format: options.Format = Form.csv,
    url: options.Url = None,
    api_key: options.ApiKey = None,
) -> None:
    """Predict at the rows of a table; in CSV its columns are written beside the predictions."""
    from service.cli import connecting, exits, printing, requests, table

    if sum(each is not None for each in (model, fit, job)) != 1:
        exits.usage("predict with a model and its --param, with --fit FILE, or with --job ID")
    options = requests.request(settings=setting or (), rows=rows)
    if interval is not None:
        options["interval"] = {"kind": interval, **({} if level is None else {"level": level})}
    given = table.read(data)
    with connecting.descent(url, api_key, own=job is None) as client:
        asked = _request(given, model, requests.values(param or ()), fit, job, options)
        if format is Form.csv:
            printing.write(client.converted(asked, "text/csv").decode())
        else:
            printing.show(client.predicted(asked), format)


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
        asked = Fit.load(fit).prediction(data, options.get("interval"))
        return replace(asked, options={**asked.options, **options})
    subject = {"model": model, "params": params} if job is None else {"job_id": job}
    return bodies.ask("/predict", data, {**subject, **options})
