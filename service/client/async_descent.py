"""The asynchronous client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, overload

from service.client import address, answers, bodies, connection, exchanges, retrying
from service.client.async_fit import AsyncFit
from service.client.async_job import AsyncJob
from service.client.calls import Call, Exchange, Reply
from service.client.deadline import Deadline
from service.client.errors import ConnectionFailed
from service.client.events import SILENCE_S, Event, Watch
from service.client.fits import GroupedFit, grouped
from service.schemas.catalogue import LossEntry, ModelEntry, OptimizerEntry
from service.schemas.jobs import Job as JobRecord
from service.schemas.names import Status

if TYPE_CHECKING:
    import httpx

    from service.client.options import (
        FitOptions,
        GradientCallOptions,
        GroupBy,
        LossOptions,
        Model,
        PredictOptions,
    )
    from service.client.predictions import Predictions
    from service.schemas.compute import GradientAnswer, LossAnswer

T = TypeVar("T")


class AsyncDescent:
    """A Descent service, from Python.

    url: its address; default: that of the variable DESCENT_URL, else this machine's port 8000.
    timeout: seconds that one call may take, its waits and retries included; None: no limit.
    retries: retries of a call without an answer, or while the service is busy.
    api_key: sent as a bearer token to the service, or to a proxy before it;
        default: that of the variable DESCENT_API_KEY.
    http: an `httpx.AsyncClient` of your own, for certificates and proxies; you close it.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        timeout: float | None = 600.0,
        retries: int = 5,
        api_key: str | None = None,
        http: httpx.AsyncClient | None = None,
        sleep: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        import asyncio

        import httpx

        self.url = address.resolved(url)
        self.timeout, self.retries = timeout, retries
        self._api_key, self._wire = address.key(api_key), bodies.ArrowSupport()
        self._sleep = sleep or asyncio.sleep
        self._theirs = http is not None
        self._http = http or httpx.AsyncClient(**connection.options(self.url))

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
        ask, deadline = bodies.fit(model, data, group_by, options), self.deadline(timeout)
        asked = exchanges.fit(ask, self._wire, deadline, idempotency_key)
        return self.understood(await self.run(asked, deadline))

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
        ask = bodies.fit(model, data, group_by, options)
        return self.job(await self.run(exchanges.submit(ask, self._wire, idempotency_key)))

    async def predict(
        self,
        model: Model | None,
        data: Any,
        params: Mapping[str, float] | None = None,
        **options: Unpack[PredictOptions],
    ) -> Predictions:
        """Predictions at the rows of `data`: of a model with its params, or of the job that
        `job_id` names. Of a fit, `fit.predict(data)` is shorter."""
        said = {"model": model, "params": params}
        given = {**{name: value for name, value in said.items() if value is not None}, **options}
        return await self.predicted(bodies.ask("/predict", data, given))

    async def loss(
        self, model: Model, data: Any, params: Mapping[str, float], **options: Unpack[LossOptions]
    ) -> LossAnswer:
        """The loss at params; with `residuals` or over a `surface` on request."""
        ask = bodies.ask("/loss", data, {"model": model, "params": params, **options})
        return await self.run(exchanges.loss(ask, self._wire))

    async def gradient(
        self,
        model: Model,
        data: Any,
        params: Mapping[str, float],
        **options: Unpack[GradientCallOptions],
    ) -> GradientAnswer:
        """∂loss/∂param; with a `check` by all methods or an `explain` on request."""
        ask = bodies.ask("/gradient", data, {"model": model, "params": params, **options})
        return await self.run(exchanges.gradient(ask, self._wire))

    async def models(self) -> list[ModelEntry]:
        """The model families."""
        return await self.run(exchanges.models())

    async def losses(self) -> list[LossEntry]:
        """The losses."""
        return await self.run(exchanges.losses())

    async def optimizers(self) -> list[OptimizerEntry]:
        """The optimizers."""
        return await self.run(exchanges.optimizers())

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
            records, after = await self.run(exchanges.page(asked))
            for record in records:
                yield record

    async def ready(self) -> dict[str, Any]:
        """The answer of /readyz; raises ServiceUnavailable if it is not ready."""
        return await self.run(exchanges.get_document("/readyz"))

    async def close(self) -> None:
        """Closes the connections."""
        if not self._theirs:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def understood(self, raw: dict[str, Any]) -> AsyncFit | GroupedFit:
        """A document as a fit."""
        return GroupedFit(raw) if grouped(raw) else AsyncFit(raw, self)

    async def predicted(self, ask: bodies.Payload) -> Predictions:
        """The predictions of an answer."""
        return await self.run(exchanges.predictions(ask, self._wire))

    async def fetch(self, path: str, accept: str) -> bytes:
        """The bytes of a page."""
        return await self.run(exchanges.get(path, accept))

    async def watch(self, job_id: str, after_epoch: int | None = None) -> AsyncIterator[Event]:
        """A job's events, reconnecting as needed."""
        watch = Watch(job_id, after_epoch, self.retries)
        while not watch.done:
            try:
                async with self._stream(watch.call()) as response:
                    async for line in response.aiter_lines():
                        event = watch.feed(line)
                        if event is not None:
                            yield event
                error = None
            except connection.failures() as failure:
                error = failure
            if not watch.done:
                await self._sleep(watch.cut(error, self.url))

    @asynccontextmanager
    async def _stream(self, call: Call) -> AsyncIterator[httpx.Response]:
        said = connection.request(self.url, call, self._api_key, SILENCE_S)
        async with self._http.stream(**said) as response:
            if response.status_code != 200:
                await response.aread()
                answers.check(connection.reply(response))
            yield response

    async def run(self, exchange: Exchange[T], deadline: Deadline | None = None) -> T:
        """Runs an exchange and returns its result."""
        until = deadline or self.deadline(None)
        try:
            call = next(exchange)
            while True:
                try:
                    reply = await self._send(call, until)
                except BaseException as error:
                    until = Deadline(connection.INTERRUPTED_S)
                    call = exchange.throw(error)
                else:
                    call = exchange.send(reply)
        except StopIteration as end:
            found: T = end.value
            return found

    def deadline(self, timeout: float | None) -> Deadline:
        """The deadline `timeout` seconds from now; None: the client's timeout."""
        return Deadline(self.timeout if timeout is None else timeout)

    async def _send(self, call: Call, deadline: Deadline) -> Reply:
        import httpx
        from tenacity import AsyncRetrying

        attempts = 0

        async def once() -> Reply:
            nonlocal attempts
            attempts += 1
            said = connection.request(
                self.url, call, self._api_key, connection.read_s(call, deadline)
            )
            return connection.reply(await self._http.request(**said), attempts)

        policy = retrying.policy(call, self.retries, deadline)
        try:
            reply: Reply = await AsyncRetrying(sleep=self._sleep, **policy)(once)
        except httpx.TransportError as error:
            raise ConnectionFailed(self.url, connection.why(error), attempts) from error
        return reply
