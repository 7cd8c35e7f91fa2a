"""The client's methods, one for each operation of the service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self, Unpack, overload

from service.client import answers, bodies, fits
from service.client.asynchronous.connection import AsyncConnection
from service.client.asynchronous.results import AsyncFit, AsyncJob
from service.client.fits import Comparison, GroupedFit
from service.client.transport import AsyncSleep
from service.schemas.catalogue import (
    LikelihoodEntry,
    LikelihoodList,
    LossEntry,
    LossList,
    ModelEntry,
    ModelList,
    OptimizerEntry,
    OptimizerList,
)
from service.schemas.certification import Certification
from service.schemas.jobs import Job as JobRecord
from service.schemas.names import Status

if TYPE_CHECKING:
    import httpx

    from service.client.options import (
        CompareOptions,
        FitOptions,
        GradientCallOptions,
        GroupBy,
        InvertOptions,
        LossOptions,
        Model,
        Models,
        PredictOptions,
    )
    from service.client.predictions import Predictions, Unknowns
    from service.schemas.compute import GradientAnswer, LossAnswer


class AsyncDescent(AsyncConnection):
    """A Descent service, from Python.

    url: its address; default: that of the variable DESCENT_URL, else this machine's port 8000.
    timeout: seconds that one call may take, its waits and retries included; None: no limit.
    retries: retries of a call without an answer, or while the service is busy.
    api_key: sent as a bearer token to the service, or to a proxy before it;
        default: that of the variable DESCENT_API_KEY.
    http: an httpx client of your own, for certificates and proxies; you close it.

    `data` are columns by name, a frame or a table; or a `Path` to a CSV, .npz or Arrow file, whose
    bytes the service reads.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        timeout: float | None = 600.0,
        retries: int = 5,
        api_key: str | None = None,
        http: httpx.AsyncClient | None = None,
        sleep: AsyncSleep | None = None,
    ) -> None:
        super().__init__(url, timeout, retries, api_key, http, sleep)

    @classmethod
    @asynccontextmanager
    async def local(cls, **settings: Any) -> AsyncIterator[Self]:
        """A client of a service of its own, a process of this machine that ends with the block.
        `settings` are those of the service by name, such as `workers=4`. CannotStart where it does
        not start."""
        from service.client import embedded

        async with embedded.running_async(settings) as address, cls(address) as client:
            yield client

    @overload
    async def fit(
        self,
        model: Model,
        data: Any,
        *,
        group_by: None = None,
        timeout: float | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[FitOptions],
    ) -> AsyncFit: ...
    @overload
    async def fit(
        self,
        model: Model,
        data: Any,
        *,
        group_by: GroupBy,
        timeout: float | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[FitOptions],
    ) -> GroupedFit: ...
    async def fit(
        self,
        model: Model,
        data: Any,
        *,
        group_by: GroupBy | None = None,
        timeout: float | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[FitOptions],
    ) -> AsyncFit | GroupedFit:
        """The fit of a model to data, waited for. With `group_by` it is a `GroupedFit`.

        WaitTimeout where it takes longer than `timeout` seconds (default: the client's); the job
        continues. An interrupt (^C) cancels it.
        """
        payload = bodies.fit(model, data, group_by, options)
        raw = await self.fitted(payload, self.deadline(timeout), idempotency_key)
        return GroupedFit(raw) if fits.is_grouped(raw) else AsyncFit(raw, self)

    @overload
    async def submit(
        self,
        model: Model,
        data: Any,
        *,
        group_by: None = None,
        idempotency_key: str | None = None,
        **options: Unpack[FitOptions],
    ) -> AsyncJob[AsyncFit]: ...
    @overload
    async def submit(
        self,
        model: Model,
        data: Any,
        *,
        group_by: GroupBy,
        idempotency_key: str | None = None,
        **options: Unpack[FitOptions],
    ) -> AsyncJob[GroupedFit]: ...
    async def submit(
        self,
        model: Model,
        data: Any,
        *,
        group_by: GroupBy | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[FitOptions],
    ) -> AsyncJob[AsyncFit] | AsyncJob[GroupedFit]:
        """Submits the same as a background job."""
        payload = bodies.fit(model, data, group_by, options)
        return self.job(await self.submitted(payload, idempotency_key))

    async def compare(
        self,
        data: Any,
        models: Models = "catalogue",
        *,
        timeout: float | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[CompareOptions],
    ) -> Comparison:
        """Models fitted to the same data, ranked and tested; waited for as `fit` is."""
        payload = bodies.ask("/compare", data, {"models": models, **options})
        return Comparison(await self.fitted(payload, self.deadline(timeout), idempotency_key))

    async def submit_comparison(
        self,
        data: Any,
        models: Models = "catalogue",
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CompareOptions],
    ) -> AsyncJob[Comparison]:
        """Submits the same as a background job."""
        payload = bodies.ask("/compare", data, {"models": models, **options})
        return self.job(await self.submitted(payload, idempotency_key))

    async def predict(
        self,
        model: Model | None,
        data: Any,
        params: Mapping[str, float] | None = None,
        **options: Unpack[PredictOptions],
    ) -> Predictions:
        """Predictions at the rows of `data`: of a model with its params, or of the job that
        `job_id` names. Of a fit, `fit.predict(data)` is shorter."""
        stated = {"model": model, "params": params}
        given = {name: value for name, value in stated.items() if value is not None}
        return await self.predicted(bodies.ask("/predict", data, {**given, **options}))

    async def invert(
        self,
        model: Model | None,
        data: Any,
        params: Mapping[str, float] | None = None,
        **options: Unpack[InvertOptions],
    ) -> Unknowns:
        """The unknowns of the readings in `data`: by a model with its params, or by the job that
        `job_id` names. Of a fit, `fit.invert(data)` is shorter."""
        stated = {"model": model, "params": params}
        given = {name: value for name, value in stated.items() if value is not None}
        return await self.inverted(bodies.ask("/invert", data, {**given, **options}))

    async def loss(
        self, model: Model, data: Any, params: Mapping[str, float], **options: Unpack[LossOptions]
    ) -> LossAnswer:
        """The loss at params; with `residuals` or over a `surface` on request."""
        from service.schemas.compute import LossAnswer

        given = {"model": model, "params": params, **options}
        return answers.read(await self.post(bodies.ask("/loss", data, given)), LossAnswer)

    async def gradient(
        self,
        model: Model,
        data: Any,
        params: Mapping[str, float],
        **options: Unpack[GradientCallOptions],
    ) -> GradientAnswer:
        """∂loss/∂param; with a `check` by all methods or an `explain` on request."""
        from service.schemas.compute import GradientAnswer

        given = {"model": model, "params": params, **options}
        return answers.read(await self.post(bodies.ask("/gradient", data, given)), GradientAnswer)

    async def models(self) -> list[ModelEntry]:
        """The model families."""
        return answers.parse(await self.document("/models"), ModelList).models

    async def losses(self) -> list[LossEntry]:
        """The losses."""
        return answers.parse(await self.document("/losses"), LossList).losses

    async def likelihoods(self) -> list[LikelihoodEntry]:
        """The likelihoods of counts."""
        return answers.parse(await self.document("/likelihoods"), LikelihoodList).likelihoods

    async def optimizers(self) -> list[OptimizerEntry]:
        """The optimizers."""
        return answers.parse(await self.document("/optimizers"), OptimizerList).optimizers

    async def certify(self, *, detail: bool = False) -> Certification:
        """How many digits of certified figures the service reaches, which it computes in some
        seconds; with `detail`, all figures."""
        query = {"detail": "true"} if detail else {}
        return answers.parse(await self.document("/certify", query), Certification)

    def job(self, job_id: str) -> AsyncJob[Any]:
        """The job with that id; calls nothing yet."""
        return AsyncJob(self, job_id)

    async def jobs(
        self, status: Status | None = None, *, page: int = 100
    ) -> AsyncIterator[JobRecord]:
        """The records of the jobs, newest first, a page at a time."""
        query = {"limit": str(page)} | ({} if status is None else {"status": status})
        after: str | None = ""
        while after is not None:
            asked = {**query, "after": after} if after else query
            records, after = await self.page(asked)
            for record in records:
                yield record

    async def ready(self) -> dict[str, Any]:
        """The answer of /readyz; raises ServiceUnavailable if it is not ready."""
        return await self.document("/readyz")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def fit_of(self, raw: dict[str, Any]) -> AsyncFit | GroupedFit | Comparison:
        """A document as a fit or a comparison."""
        if fits.is_comparison(raw):
            return Comparison(raw)
        return GroupedFit(raw) if fits.is_grouped(raw) else AsyncFit(raw, self)
