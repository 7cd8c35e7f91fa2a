"""`descent certify`: how many certified digits a service reaches."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli import options
from service.cli.printing import Form


def certify(
    detail: Annotated[bool, typer.Option("--detail", help="Every figure of every case.")] = False,
    format: options.Format = Form.text,
    url: options.Url = None,
    api_key: options.ApiKey = None,
) -> None:
    """Fit NIST's reference datasets, the worked example and published cases, and count the
    certified digits: by the service at --url, or by a temporary one. Exit code: 0 all passed, 1 one
    did not."""
    from service.cli import connecting, exits, printing

    with connecting.descent(url, api_key, own=True) as client:
        found = client.certify(detail=detail)
    printing.show(found, format)
    if not found.passed:
        raise typer.Exit(exits.FAILED)
