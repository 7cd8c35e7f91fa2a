"""What jobs are asked for."""

from __future__ import annotations

from service.schemas.compare import CompareRequest
from service.schemas.fit import FitRequest

JobRequest = FitRequest | CompareRequest
"""The request of a job."""
