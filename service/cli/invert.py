"""`descent invert`: unknowns from the standard curve of a fit."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import options
from service.cli.printing import Form

if TYPE_CHECKING:
    from service.client import Descent
    from service.client.predictions import Unknowns


def invert(
    data: options.Data,
    model: Annotated[
        str | None,
        typer.Argument(help="A formula, with --param for each of its params; or see --fit, --job."),
    ] = None,
    param: options.Params = None,
    fit: Annotated[Path | None, typer.Option(help="A fit saved by `descent fit --save`.")] = None,
    job: Annotated[str | None, typer.Option(help="The id of a job, also of a grouped fit.")] = None,
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
        str | None, typer.Option(help="inversion, wald or none; default: inversion.")
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
    from service.cli import connecting, exits, printing, words

    if sum(each is not None for each in (model, fit, job)) != 1:
        exits.usage("give a model and its --param, --fit FILE, or --job ID")
    asked = words.request(
        settings=setting or (),
        solve_for=solve_for,
        replicates_by=replicates_by,
        dilution=dilution,
        sigma=sigma,
    )
    said = {"kind": interval, "level": level, "of": of}
    if chosen := {name: value for name, value in said.items() if value is not None}:
        asked["interval"] = chosen
    if range is not None:
        asked["range"] = words.limits(range, "range")
    given = words.values(param or ())
    with connecting.descent(url, api_key, own=job is None) as client:
        found = _unknowns(client, _table(data), model, given, fit, job, asked)
        printing.show(found, format)


def _table(path: str) -> Any:
    """The table as the bytes of its file, which the service reads; or the columns of JSON. A file
    that cannot be read ends the command."""
    from service.cli import datafile, exits
    from service.client.bodies import File

    try:
        raw = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        if raw.lstrip()[:1] == b"{":
            return datafile.json_columns(raw.decode())
    except OSError as error:
        exits.usage(f"{path}: {error.strerror}")
    except (datafile.Unreadable, UnicodeDecodeError) as error:
        exits.leave(exits.REJECTED, f"{path}: {error}")
    return File("data.tsv" if path.endswith(".tsv") else "data.csv", raw)


def _unknowns(
    client: Descent,
    data: Any,
    model: str | None,
    params: dict[str, float],
    fit: Path | None,
    job: str | None,
    options: dict[str, Any],
) -> Unknowns:
    from service.client import Fit

    if fit is not None:
        return Fit.load(fit, client).invert(data, **options)
    if job is not None:
        return client.invert(None, data, job_id=job, **options)
    return client.invert(model, data, params, **options)
