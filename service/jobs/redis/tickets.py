"""Tickets, delivered by Dramatiq: each one says that a job is to be claimed. Which one, the store
decides: so a ticket that is lost, late or delivered twice does no harm."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.errors import ConnectionClosed
from redis.backoff import NoBackoff
from redis.retry import Retry

from service.settings import Settings

_QUEUE = "tickets"
_IDLE_MS = 1
"""Dramatiq's own pause between two looks; the doorbell's takes its place."""
_STOP_S = 0.25
"""Seconds after which an idle thread sees that it is to stop; a ticket wakes it at once."""
_LOOK_S = 2.0
"""Seconds after which a consumer looks without having been rung for."""
_ALWAYS = 1_000_000
"""Of a million commands, those that look for tickets of dead nodes: a look is one cheap command in
a database of its own."""


class Tickets:
    """The queue of tickets of a cell."""

    def __init__(self, settings: Settings) -> None:
        url = settings.broker_url or next_database(settings.redis_url)
        self._broker = _Broker(url, settings)
        self._work: Callable[[str], None] | None = None
        self._worker: dramatiq.Worker | None = None

        def claim(job_id: str) -> None:
            assert self._work is not None, "tickets are consumed by nodes"
            self._work(job_id)

        self._actor = dramatiq.actor(broker=self._broker, queue_name=_QUEUE)(claim)

    def issue(self, *job_ids: str) -> None:
        """Adds a ticket for each job; blocks. Raises redis.RedisError."""
        for job_id in job_ids:
            self._broker.enqueue(self._actor.message(job_id))

    def waiting(self) -> int:
        """Tickets that no node has taken; blocks. Raises redis.RedisError."""
        found: Any = self._broker.client.llen(f"{self._broker.namespace}:{_QUEUE}")
        return int(found)

    def check(self) -> None:
        """Blocks. Raises redis.RedisError where no tickets could be issued."""
        self._broker.client.ping()

    def consume(self, work: Callable[[str], None], slots: int) -> None:
        """Calls `work` with each ticket, in as many threads as there are slots; a ticket is taken
        only when one is free."""
        self._work = work
        self._worker = dramatiq.Worker(self._broker, worker_threads=slots, worker_timeout=_IDLE_MS)
        self._worker.queue_prefetch = slots
        self._worker.start()
        for thread in self._worker.workers:
            thread.timeout = _STOP_S

    def ring(self) -> None:
        """Has the consumer look for tickets now."""
        self._broker.ring()

    def close(self) -> None:
        """Takes no more tickets, and waits until those that were taken are done; blocks."""
        self._broker.closing = True
        self.ring()
        if self._worker is not None:
            self._worker.stop(timeout=10_000)
        self._broker.client.close()


class _Broker(RedisBroker):
    """A broker whose consumers wait for a doorbell, and which delays no message."""

    def __init__(self, url: str, settings: Settings) -> None:
        client = redis.Redis.from_url(
            url,
            socket_timeout=settings.redis_timeout_s,
            socket_connect_timeout=settings.redis_timeout_s,
            retry=Retry(NoBackoff(), 0),
        )
        super().__init__(  # type: ignore[no-untyped-call]
            client=client,
            middleware=[_RingWhenDone()],
            namespace=f"descent:{{{settings.redis_cell}}}:dramatiq",
            heartbeat_timeout=max(int(3 * settings.lease_s * 1000), 10_000),
            maintenance_chance=_ALWAYS,
        )
        self.closing = False
        self._bell, self._rung = threading.Condition(), 0

    @property
    def consumer_class(self) -> type[_RedisConsumer]:
        return _Consumer

    def declare_queue(self, queue_name: str) -> None:
        if queue_name not in self.queues:
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def _dispatch(self, command: str) -> Callable[..., Any]:
        send = super()._dispatch(command)  # type: ignore[no-untyped-call]

        def sent(*args: Any) -> Any:
            try:
                return send(*args)
            except redis.ReadOnlyError as error:  # another server writes now
                self.client.connection_pool.disconnect()
                raise redis.ConnectionError(str(error)) from error

        return sent

    def ring(self) -> None:
        with self._bell:
            self._rung += 1
            self._bell.notify_all()

    def rung(self) -> int:
        return self._rung

    def wait(self, before: int) -> None:
        """Until the bell has rung since `before`."""
        with self._bell:
            self._bell.wait_for(lambda: self.closing or self._rung != before, _LOOK_S)


class _Consumer(_RedisConsumer):
    """A consumer that waits for the doorbell where there is no ticket."""

    def __next__(self) -> Any:
        before = self.broker.rung()
        try:
            message = super().__next__()  # type: ignore[no-untyped-call]
        except redis.TimeoutError as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]
        if message is None:
            self.broker.wait(before)
        return message


class _RingWhenDone(dramatiq.Middleware):
    """A slot is free once its ticket has been acknowledged."""

    def after_ack(self, broker: Any, message: Any) -> None:
        broker.ring()

    def after_nack(self, broker: Any, message: Any) -> None:
        broker.ring()


def next_database(url: str) -> str:
    """The URL of the same server's next database: Dramatiq lists all keys of its own."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    path = parts.path
    number = int(query.pop("db", "" if parts.scheme == "unix" else path.strip("/")) or 0) + 1
    if parts.scheme == "unix":
        query["db"] = str(number)
    else:
        path = f"/{number}"
    # urlunsplit would leave out the slashes of unix:///path.
    return f"{parts.scheme}://{parts.netloc}{path}" + (f"?{urlencode(query)}" if query else "")
