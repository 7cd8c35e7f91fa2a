"""`descent models`: the catalogue."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli import options
from service.cli.printing import Form


def models(
    names: Annotated[
        list[str] | None, typer.Argument(help="Only these.", autocompletion=options.model_names)
    ] = None,
    format: options.Format = Form.text,
    url: options.Url = None,
    api_key: options.ApiKey = None,
) -> None:
    """List the model families: their formulas, params, and when to use them."""
    from service.cli import connecting, exits, printing
    from service.errors import UnknownName
    from service.schemas.catalogue import ModelList

    with connecting.descent(url, api_key, own=True) as client:
        found = {entry.name: entry for entry in client.models()}
    for name in names or ():
        if name not in found:
            exits.leave(exits.REJECTED, str(UnknownName("model", name, found)))
    printing.show(ModelList(models=[found[name] for name in names or found]), format)
