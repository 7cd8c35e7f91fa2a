"""Every limit and switch. Each is an environment variable `DESCENT_<NAME>` too."""

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
    """API keys that are let in, as `name:sha256` with commas between; none asks nobody."""
    keys_file: Path | None = None
    """A file of the same, one a line: `descent key NAME` prints it. Read anew when it changes."""
    max_requests_per_minute: PositiveInt = 60_000
    """Requests a minute that one API key may make."""
    max_jobs_per_key: PositiveInt = 128
    """Jobs of one API key that may be queued or running."""
    open_metrics: bool = False
    """Whether /metrics is shown without an API key, where there are keys."""
    allowed_hosts: str = ""
    """Host names that are answered to, with commas between; `*`, the default, is any. `local` is
    names without a dot and addresses, the default on a loopback address."""
    cors_origins: str = ""
    """Origins whose pages may call the service from a browser, with commas between; `*` is any.
    From all others what is no GET is refused."""
    log_format: Literal["console", "json"] = "console"
    """How the log is written to stderr: lines for a person, or JSON objects."""
    access_log: bool = False
    """Whether each request is logged."""
    otel: bool = False
    """Whether requests are traced with OpenTelemetry; its own variables say whereto."""
    workers: int = Field(default=0, ge=0, le=256)
    """Worker processes; 0 is one a core."""
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    """Where fits are done: `cuda` is all of them on the GPU, `auto` there the groups and long data,
    where there is one."""
    kernel_cache: Path | None = None
    """The folder of the kernel's machine code; by default it lies in the package's own folder, or
    in the user's cache."""
    kernel_cpu: Literal["native", "portable"] = "native"
    """What the kernel's machine code is for: this processor, or most of its kind."""
    max_connections: PositiveInt = 1000
    """Connections open at once."""
    max_connections_per_client: PositiveInt = 500
    """Connections that one address may have open; a proxy in `FORWARDED_ALLOW_IPS` may have all."""
    max_head_bytes: PositiveInt = 32 * 2**10
    """The longest request line and headers."""
    head_timeout_s: PositiveFloat = 10.0
    """Seconds in which a connection's request line and headers have to come."""
    body_timeout_s: PositiveFloat = 30.0
    """Seconds in which a body has to come, and longer by its bytes at the least rate."""
    min_body_rate: PositiveFloat = 16 * 2**10
    """Bytes a second that a long body has to come at, on average."""
    read_timeout_s: PositiveFloat = 60.0
    """Seconds in which something of an answer has to be read, where much of it is unread."""
    max_body_bytes: PositiveInt = 64 * 2**20
    """The largest body that is read."""
    max_bodies_bytes: PositiveInt = 256 * 2**20
    """Bytes of large bodies that are read and parsed at once; one address may hold half."""
    max_rows: PositiveInt = 10_000_000
    """The longest column."""
    max_columns: PositiveInt = 1000
    """The most columns of one body."""
    max_labels: PositiveInt = 1_000_000
    """The most distinct texts of one column."""
    max_data_bytes: PositiveInt = 256 * 2**20
    """Bytes that the columns of one body may take, unpacked."""
    max_groups: PositiveInt = 100_000
    """The most groups that one request may ask to fit."""
    max_params: PositiveInt = 4096
    """The most params of one model. (A formula has at most 64, whatever this says.)"""
    max_epochs: PositiveInt = 10**8
    """The most epochs a fit may ask for."""
    max_operations: PositiveFloat = 1e13
    """The budget of one fit: epochs × rows × the formula's operations."""
    max_surface_points: PositiveInt = 250_000
    """The largest grid of losses."""
    max_profile_operations: PositiveFloat = 1e10
    """The budget of profile intervals: some thousand trial steps × params × rows × operations."""
    max_surface_operations: PositiveFloat = 1e9
    """The budget of one grid of losses: points × rows × the formula's operations."""
    max_answer_operations: PositiveFloat = 1e10
    """The budget of a prediction, a loss or a gradient: evaluations × rows × the formula's
    operations."""
    max_answer_bytes: PositiveInt = 256 * 2**20
    """The longest answer, by what its numbers take at most in the form that is asked for."""
    max_answers_bytes: PositiveInt = 768 * 2**20
    """Bytes that long answers which are made or sent, and the columns that they are made of, may
    take at once; one address may hold half, and always one request."""
    max_wait_s: PositiveFloat = 60.0
    """How long a synchronous fit is waited for before it is answered with 202."""
    keep_alive_s: PositiveFloat = 15.0
    """Seconds of silence after which an event stream says that it is alive."""
    max_streams: PositiveInt = 512
    """Event streams open at once."""
    max_streams_per_client: PositiveInt = 64
    """Event streams that one address may have open."""
    max_time_limit_s: PositiveFloat = 3600.0
    """The longest `time_limit_s`, and the default."""
    max_queued_jobs: PositiveInt = 256
    """Jobs that may wait for a worker."""
    max_jobs: PositiveInt = 10_000
    """Jobs that the store remembers."""
    max_store_bytes: PositiveInt = 512 * 2**20
    """Bytes of data, history and results that the store holds."""
    max_job_age_s: PositiveFloat = 24 * 3600.0
    """Seconds for which a finished job is remembered."""
    max_history_rows: PositiveInt = 10_000
    """History rows kept for one job; more are thinned."""
    max_history_numbers: PositiveInt = 2_000_000
    """History numbers kept for one job, two a row and two a param and row: fewer rows of a wide
    model."""
    max_pictures: PositiveInt = 32
    """Pictures and long tables that are made or wait for it; one address may hold half."""
    max_picture_pixels: PositiveInt = 4_000_000
    """The largest picture: width × height."""
    cancel_grace_s: PositiveFloat = 2.0
    """Seconds a worker has to hear a cancel before it is killed."""
    result_grace_s: PositiveFloat = 30.0
    """Seconds in which a fit that took its last step has to reckon its answer."""
    shutdown_grace_s: PositiveFloat = 10.0
    """Seconds that running jobs have at SIGTERM before they are cancelled."""

    def rows_of_history(self, params: int) -> int:
        """History rows kept for one job of so many params."""
        return min(self.max_history_rows, self.max_history_numbers // (2 + 2 * params))
