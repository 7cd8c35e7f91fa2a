"""Sends calls to the service, with retries; each operation in terms of its documents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from service.client import answers, bodies, errors, retrying, transport
from service.client.answers import Document, Event
from service.client.bodies import Payload
from service.client.transport import AsyncSleep, Call, Deadline, Reply
from service.schemas.answers import History
from service.schemas.jobs import DoneEvent
from service.schemas.jobs import Job as JobRecord

if TYPE_CHECKING:  # these import NumPy, which is not needed at start
    import httpx

    from service.client.predictions import Predictions, Unknowns
    from service.schemas.draws import Draws

_RESUBMITS = 2
"""How often a fit is sent again whose job the service has lost, as at a restart."""


class AsyncConnection:
    """A connection to one service."""

    def __init__(
        self,
        url: str | None,
        timeout: float | None,
        retries: int,
        api_key: str | None,
        http: httpx.AsyncClient | None,
        sleep: AsyncSleep | None,
    ) -> None:
        import httpx

        self.url = transport.resolved(url)
        self.timeout, self.retries = timeout, retries
        self._api_key, self._sleep = transport.key(api_key), sleep or asyncio.sleep
        self._accepts_arrow = bodies.arrow_available()
        self._owns_http = http is None
        self._http = http or httpx.AsyncClient(**transport.options(self.url))

    async def close(self) -> None:
        """Closes the connections."""
        if self._owns_http:
            await self._http.aclose()

    def deadline(self, timeout: float | None) -> Deadline:
        """The deadline `timeout` seconds from now; None: the client's timeout."""
        return Deadline(self.timeout if timeout is None else timeout)

    async def fitted(self, payload: Payload, deadline: Deadline, key: str | None) -> Document:
        """The document of a fit, waiting for its job.

        Retries create one job only: all calls have the same Idempotency-Key. Interrupting the wait
        (^C, a cancelled task) cancels the job.
        """
        key, sent = key or uuid4().hex, 0
        try:
            while True:
                reply = await self._submit(payload, key, deadline, deadline.share())
                sent += 1
                if reply.status != 202:
                    return answers.document(reply)
                try:
                    return await self.wait_for(answers.job_id(reply), deadline)
                except errors.NotFoundError:
                    if sent > _RESUBMITS:
                        raise
        except BaseException as error:
            if not isinstance(error, Exception | GeneratorExit):
                with suppress(errors.ClientError):
                    await self._cancel_by_key(payload, key)
            raise

    async def submitted(self, payload: Payload, key: str | None) -> str:
        """The id of a fit's job."""
        return answers.job_id(
            await self._submit(payload, key or uuid4().hex, self.deadline(None), 0)
        )

    async def result(self, job_id: str) -> Document:
        """The document of a job's fit. Raises WaitTimeout if there is none yet."""
        return await self.wait_for(job_id, Deadline(0), self.deadline(None))

    async def wait_for(
        self, job_id: str, wait: Deadline, deadline: Deadline | None = None
    ) -> Document:
        """Waits for a job; the document of its fit. Raises WaitTimeout at the end of the `wait`.

        deadline: of the calls; None: also the end of the wait.
        """
        while True:
            share = wait.share()
            query = {"wait": f"{share:g}"} if share > 0 else {}
            call = Call("GET", transport.job_path(job_id), query, held_s=share)
            found = answers.document(await self.send(call, deadline or wait))
            result = answers.result(found)
            if result is not None:
                return result
            if wait.left() <= 0:
                raise errors.WaitTimeout(job_id, str(found.get("status")))

    async def cancelled(self, job_id: str, deadline: Deadline | None = None) -> Document | None:
        """Cancels a job; the document of its fit so far, or None."""
        path = f"{transport.job_path(job_id)}/cancel"
        reply = await self.send(Call("POST", path, held_s=transport.WAIT_S), deadline)
        found = answers.document(reply).get("result")
        return found if isinstance(found, dict) else None

    async def delete(self, job_id: str) -> None:
        """Deletes a finished job."""
        reply = await self.send(Call("DELETE", transport.job_path(job_id)))
        # An earlier try succeeded, but its answer was lost.
        if not (reply.status == 404 and reply.attempts > 1):
            answers.check(reply)

    async def record(self, job_id: str) -> JobRecord:
        """A job's record without its fit."""
        return answers.record(await self.document(transport.job_path(job_id)))

    async def history(self, job_id: str, query: Mapping[str, int | None]) -> History:
        """A job's recorded epochs."""
        stated = {name: str(value) for name, value in query.items() if value is not None}
        call = Call("GET", f"{transport.job_path(job_id)}/history", stated)
        return answers.read(await self.send(call), History)

    async def draws(self, job_id: str) -> Draws:
        """The replicates of a job's bootstrap."""
        from service.schemas.draws import Draws

        call = Call("GET", f"{transport.job_path(job_id)}/draws")
        return answers.read(await self.send(call), Draws)

    async def page(self, query: Mapping[str, str]) -> tuple[list[JobRecord], str | None]:
        """A page of jobs, newest first, and the id after which the next begins."""
        found = await self.document("/jobs", query)
        return [answers.record(one) for one in found["jobs"]], found["next_after"]

    async def predicted(self, payload: Payload) -> Predictions:
        """The predictions of /predict."""
        from service.client.predictions import Predictions

        return answers.read(await self.post(payload), Predictions)

    async def inverted(self, payload: Payload) -> Unknowns:
        """The unknowns of /invert."""
        from service.client.predictions import Unknowns

        return answers.read(await self.post(payload), Unknowns)

    async def converted(self, payload: Payload, accept: str) -> bytes:
        """The answer of a POST route in another format than JSON."""
        reply = await self.post(payload, {"Accept": accept})
        answers.check(reply)
        return reply.body

    async def fetch(
        self, path: str, accept: str = "*/*", query: Mapping[str, str] | None = None
    ) -> bytes:
        """The bytes of a page."""
        reply = await self.send(Call("GET", path, query or {}, headers={"Accept": accept}))
        answers.check(reply)
        return reply.body

    async def document(self, path: str, query: Mapping[str, str] | None = None) -> Document:
        """The JSON object of a page."""
        return answers.document(await self.send(Call("GET", path, query or {})))

    async def watch(self, job_id: str, after_epoch: int | None = None) -> AsyncIterator[Event]:
        """A job's events, over as many connections as it takes: each row comes exactly once."""
        failures, done = 0, False
        while not done:
            broken: Exception | None = None
            try:
                async with self._stream(transport.events_call(job_id, after_epoch)) as response:
                    async for line in response.aiter_lines():
                        event = answers.event(line)
                        if event is not None:
                            failures, done = 0, isinstance(event, DoneEvent)
                            if event.last_epoch is not None:
                                after_epoch = event.last_epoch
                            yield event
            except retrying.stream_failures() as error:
                broken = error
            if not done:
                failures += 1
                if failures > self.retries:
                    raise retrying.stream_error(broken, self.url, failures)
                await self._sleep(retrying.stream_pause(broken, failures))

    async def post(
        self,
        payload: Payload,
        headers: Mapping[str, str] | None = None,
        deadline: Deadline | None = None,
        held_s: int = 0,
    ) -> Reply:
        """Sends large data as Arrow; as JSON to a service that does not support it."""
        body, kind = payload.body(arrow=self._accepts_arrow)
        sent = {"Content-Type": kind, **(headers or {})}
        call = Call("POST", payload.path, headers=sent, body=body, held_s=held_s)
        reply = await self.send(call, deadline)
        if reply.status != 415 or kind != bodies.ARROW:
            return reply
        self._accepts_arrow = False
        return await self.post(payload, headers, deadline, held_s)

    async def send(self, call: Call, deadline: Deadline | None = None) -> Reply:
        """The reply to a call, after as many tries as it takes within the deadline. Raises
        ConnectionFailed if there is none."""
        import httpx
        from tenacity import AsyncRetrying

        until = deadline or self.deadline(None)
        attempts = 0

        async def once() -> Reply:
            nonlocal attempts
            attempts += 1
            read_s = transport.read_s(call, until)
            given = transport.request(self.url, call, self._api_key, read_s)
            return transport.reply(await self._http.request(**given), attempts)

        policy = retrying.policy(call, self.retries, until)
        try:
            reply: Reply = await AsyncRetrying(sleep=self._sleep, **policy)(once)
        except httpx.TransportError as error:
            raise errors.ConnectionFailed(self.url, transport.why(error), attempts) from error
        return reply

    async def _submit(self, payload: Payload, key: str, deadline: Deadline, wait_s: int) -> Reply:
        """The reply with the fit, or with the job if it takes longer (or is not waited for)."""
        prefer = f"wait={wait_s}" if wait_s else "respond-async"
        headers = {"Prefer": prefer, "Idempotency-Key": key}
        reply = await self.post(payload, headers, deadline, wait_s)
        answers.check(reply)
        return reply

    async def _cancel_by_key(self, payload: Payload, key: str) -> None:
        """Cancels the job of an interrupted fit, found by its Idempotency-Key."""
        deadline = Deadline(transport.INTERRUPTED_S)
        reply = await self._submit(payload, key, deadline, 0)
        await self.cancelled(answers.job_id(reply), deadline)

    @asynccontextmanager
    async def _stream(self, call: Call) -> AsyncIterator[httpx.Response]:
        given = transport.request(self.url, call, self._api_key, transport.SILENCE_S)
        async with self._http.stream(**given) as response:
            if response.status_code != 200:
                await response.aread()
                answers.check(transport.reply(response))
            yield response
