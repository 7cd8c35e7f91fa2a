"""`python -m benchmarks.empty_app ANSWERS`: FastAPI as it comes, with Descent's bodies and answers
but nothing in between, under the same uvicorn settings.

ANSWERS is a folder with `predict.json` and `fit.json`: what each route answers, whatever it is
asked.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from service.cli.server import run
from service.schemas.answers import Fit
from service.schemas.compute import Predictions, PredictRequest
from service.schemas.fit import FitRequest


class _NoJobs:
    """The server stops the jobs before itself."""

    async def stop(self) -> None: ...


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
    yield {"jobs": _NoJobs()}


def create_app(answers: Path) -> FastAPI:
    """Two routes that parse their body and answer the same each time."""
    app = FastAPI(lifespan=_lifespan)
    predictions = Predictions.model_validate_json((answers / "predict.json").read_bytes())
    fitted = Fit.model_validate_json((answers / "fit.json").read_bytes())

    @app.post("/predict")
    async def predict(body: PredictRequest) -> Predictions:
        return predictions

    @app.post("/fit")
    async def fit(body: FitRequest) -> Fit:
        return fitted

    return app


if __name__ == "__main__":
    run(create_app(Path(sys.argv[1])), "127.0.0.1", 0)
