"""The settings. Each is read from the environment variable `DESCENT_<NAME>`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The service's settings; the defaults suit a machine of 2 cores."""

    model_config = SettingsConfigDict(
        env_prefix="DESCENT_", frozen=True, use_attribute_docstrings=True, extra="ignore"
    )

    keys: str = Field(default="", repr=False)
    """API keys that are accepted, as `name:sha256` separated by commas. Empty: no key is
    required."""
    keys_file: Path | None = None
    """A file of API keys, one `name:sha256` a line, as `descent key NAME` prints it. It is read
    again when it changes."""
    max_requests_per_minute: PositiveInt = 60_000
    """Maximum requests per minute of one API key."""
    max_jobs_per_key: PositiveInt = 128
    """Maximum queued and running jobs of one API key."""
    open_metrics: bool = False
    """Whether /metrics is served without an API key where keys are required."""
    allowed_hosts: str = ""
    """Host names that requests may be addressed to, separated by commas. `*`: any, the default.
    `local`: addresses and names without a dot, the default on a loopback address."""
    cors_origins: str = ""
    """Origins whose pages may call the service from a browser, separated by commas. `*`: any.
    Requests from other origins that are not GET are refused."""
    log_format: Literal["console", "json"] = "console"
    """Format of the log on stderr: lines of text, or JSON objects."""
    access_log: bool = False
    """Whether each request is logged."""
    otel: bool = False
    """Whether requests are traced with OpenTelemetry, which is configured by its own variables."""
    workers: int = Field(default=0, ge=0, le=256)
    """Worker processes. 0: one per core."""
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    """Where fits run. `cuda`: all on the GPU. `auto`: groups and long data on the GPU if there is
    one, the rest on the CPU."""
    kernel_cache: Path | None = None
    """Directory of the kernel's compiled code. Default: in the package's directory, or else in the
    user's cache directory."""
    kernel_cpu: Literal["native", "portable"] = "native"
    """Processor that the kernel is compiled for: this one, or most of its architecture."""
    max_connections: PositiveInt = 1000
    """Maximum open connections."""
    max_connections_per_client: PositiveInt = 500
    """Maximum open connections of one address; a proxy in `FORWARDED_ALLOW_IPS` may have all."""
    max_head_bytes: PositiveInt = 32 * 2**10
    """Maximum bytes of the request line and headers."""
    head_timeout_s: PositiveFloat = 10.0
    """Seconds for the request line and headers of a request to arrive."""
    body_timeout_s: PositiveFloat = 30.0
    """Seconds for a request body to arrive, extended for a long one according to
    `min_body_rate`."""
    min_body_rate: PositiveFloat = 16 * 2**10
    """Bytes per second, on average, at which a long body must arrive."""
    read_timeout_s: PositiveFloat = 60.0
    """Seconds after which a connection is closed if none of a long unread answer has been read."""
    max_body_bytes: PositiveInt = 64 * 2**20
    """Maximum bytes of one request body."""
    max_bodies_bytes: PositiveInt = 256 * 2**20
    """Maximum bytes of large request bodies that are read and parsed at the same time; one address
    may use half."""
    max_rows: PositiveInt = 10_000_000
    """Maximum rows of one request."""
    max_columns: PositiveInt = 1000
    """Maximum columns of one request."""
    max_labels: PositiveInt = 1_000_000
    """Maximum distinct labels of one text column."""
    max_data_bytes: PositiveInt = 256 * 2**20
    """Maximum bytes of the columns of one request in memory, decompressed."""
    max_groups: PositiveInt = 100_000
    """Maximum groups of one fit."""
    max_params: PositiveInt = 4096
    """Maximum params of one model. A formula has at most 64, whatever this setting."""
    max_epochs: PositiveInt = 10**8
    """Maximum epochs of one fit."""
    max_operations: PositiveFloat = 1e13
    """Budget of one fit: epochs × rows × operations of the formula."""
    max_surface_points: PositiveInt = 250_000
    """Maximum points of one loss surface."""
    max_profile_operations: PositiveFloat = 1e10
    """Budget of profile intervals: trial steps (some thousand) × params × rows × operations of the
    formula."""
    max_surface_operations: PositiveFloat = 1e9
    """Budget of one loss surface: points × rows × operations of the formula."""
    max_answer_operations: PositiveFloat = 1e10
    """Budget of a prediction, a loss or a gradient: evaluations × rows × operations of the
    formula."""
    max_answer_bytes: PositiveInt = 256 * 2**20
    """Maximum bytes of one answer, estimated as the most that its numbers take in the requested
    format."""
    max_answers_bytes: PositiveInt = 768 * 2**20
    """Maximum bytes of all long answers that are being computed or sent, with the columns that they
    are computed from. One address may use half, and always one request."""
    max_wait_s: PositiveFloat = 60.0
    """Seconds that a synchronous fit is waited for before it is answered with 202."""
    keep_alive_s: PositiveFloat = 15.0
    """Seconds without an event after which an event stream sends a keep-alive message."""
    max_streams: PositiveInt = 512
    """Maximum open event streams."""
    max_streams_per_client: PositiveInt = 64
    """Maximum open event streams of one address."""
    max_time_limit_s: PositiveFloat = 3600.0
    """Largest `time_limit_s` of a fit, and its default."""
    max_queued_jobs: PositiveInt = 256
    """Maximum jobs waiting for a worker."""
    max_jobs: PositiveInt = 10_000
    """Maximum jobs kept in the store."""
    max_store_bytes: PositiveInt = 512 * 2**20
    """Maximum bytes of data, histories and results kept in the store."""
    max_job_age_s: PositiveFloat = 24 * 3600.0
    """Seconds that a finished job is kept."""
    max_history_rows: PositiveInt = 10_000
    """Maximum history rows kept per job; a longer history is thinned."""
    max_history_numbers: PositiveInt = 2_000_000
    """Maximum history numbers kept per job, 2 + 2 × params in each row: fewer rows for a model of
    many params."""
    max_pictures: PositiveInt = 32
    """Maximum pictures and long tables that are being rendered or wait for it; one address may use
    half."""
    max_picture_pixels: PositiveInt = 4_000_000
    """Maximum pixels of one picture: width × height."""
    cancel_grace_s: PositiveFloat = 2.0
    """Seconds that a worker has to stop after a cancellation before it is killed."""
    result_grace_s: PositiveFloat = 30.0
    """Seconds that a fit has to compute its answer after its last step."""
    shutdown_grace_s: PositiveFloat = 10.0
    """Seconds that running jobs have after SIGTERM before they are cancelled."""

    redis_url: str = Field(default="", repr=False)
    """Redis or Valkey that keeps the jobs, such as `rediss://user:password@host:6379/0`, for any
    number of API replicas and of worker nodes (`descent work`). Empty: jobs are kept in memory, and
    run by this process's workers."""
    broker_url: str = Field(default="", repr=False)
    """Redis of the queue of tickets, which wake worker nodes. Empty: the next database of
    `redis_url`."""
    redis_cell: str = Field(default="0", pattern=r"^[A-Za-z0-9_-]{1,32}$")
    """Name of the cell: the replicas and nodes of one cell share their jobs. It is the hash tag of
    all keys."""
    redis_timeout_s: PositiveFloat = 5.0
    """Seconds that Redis has to answer a command."""
    lease_s: PositiveFloat = 10.0
    """Seconds after its last sign of life at which a worker node's jobs are given to others."""

    def rows_of_history(self, params: int) -> int:
        """History rows kept for one job of a model with that number of params."""
        return min(self.max_history_rows, self.max_history_numbers // (2 + 2 * params))
