"""Response body of GET /jobs/{id}/draws."""

from __future__ import annotations

from service.schemas.base import Answer
from service.schemas.names import BootstrapKind
from service.schemas.series import Counts, Series


class Draws(Answer):
    """The replicates of a fit's bootstrap, columns of equal length; NaN where one failed."""

    job_id: str
    """The job's id."""
    kind: BootstrapKind
    """How replicates are drawn."""
    seed: int
    """Of the random numbers: the same seed gives the same replicates."""
    replicate: Counts
    """Counted from 0; the random numbers of a replicate depend on the seed and this alone."""
    params: dict[str, Series]
    """A column for each param, a row a replicate."""
    report: dict[str, Series]
    """The quantities of the request's `report`."""
