"""`descent gradient`: the gradient of the loss at given params."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli import options
from service.cli.printing import Form


def gradient(
    data: options.Data,
    model: options.Model,
    param: options.Params = None,
    method: Annotated[
        str | None, typer.Option(help="analytic, autograd or numeric; default: analytic.")
    ] = None,
    delta: Annotated[
        float | None, typer.Option(help="The step of the numeric (central) difference.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="All three methods, side by side.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="The chain rule, factor by factor.")
    ] = False,
    loss: options.Loss = None,
    sigma: options.Sigma = None,
    rows: options.Rows = None,
    setting: options.Setting = None,
    format: options.Format = Form.text,
    url: options.Url = None,
    api_key: options.ApiKey = None,
) -> None:
    """Compute the gradient of the loss at given params."""
    from service.cli import connecting, printing, requests, table

    asked = requests.request(settings=setting or (), loss=loss, sigma=sigma, rows=rows)
    if method is not None or delta is not None:
        way = {"method": method or "analytic", "delta": delta}
        asked["gradient"] = {name: value for name, value in way.items() if value is not None}
    if check:
        asked["check"] = True
    if explain:
        asked["explain"] = True
    given, params = table.read(data), requests.values(param or ())
    with connecting.descent(url, api_key, own=True) as client:
        printing.show(client.gradient(model, given, params, **asked), format)
