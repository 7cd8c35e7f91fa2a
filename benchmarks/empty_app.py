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
from starlette.types import Receive, Scope, Send

from service.schemas.answers import Fit
from service.schemas.compute import Predictions, PredictRequest
from service.schemas.fit import FitRequest
from service.server.run import run


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


class WithBare:
    """The same, and beside it `/bare`: no framework at all, the bytes of /predict's answer. That is
    what uvicorn itself takes, and the most that a Python service under it can answer."""

    def __init__(self, app: FastAPI, answer: bytes) -> None:
        self._app, self._answer = app, answer
        self._headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(answer)).encode()),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") != "/bare":
            await self._app(scope, receive, send)
            return
        more = True
        while more:
            more = (await receive()).get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._answer})


if __name__ == "__main__":
    answers = Path(sys.argv[1])
    app = WithBare(create_app(answers), (answers / "predict.json").read_bytes())
    run(app, "127.0.0.1", 0)
