"""Settings, read once from the environment, frozen, checked at the edge."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from scheduler.domain.errors import InvalidSetting, InvalidSpec
from scheduler.domain.ids import is_name, shown
from scheduler.domain.spec import duration_ms
from scheduler.domain.spelling import refuse_mistyped
from scheduler.protocol.signing import SHORTEST_SECRET
from scheduler.store.connection import open_client
from scheduler.store.retrying import RepeatPolicy


def _milliseconds(value: Any) -> int:
    try:
        return duration_ms(value, "it")
    except InvalidSpec as error:
        raise ValueError(str(error.facts["problem"])) from error


#: ``"30s"``, ``"7d"``, or seconds as a number; kept in ms.
Duration = Annotated[int, BeforeValidator(_milliseconds)]


def duration(text: str) -> Any:
    """A default as people write it, which the field's own validator turns into ms."""
    return Field(default=text, validate_default=True)


PREFIX = "SCHEDULER_"

_RATE = re.compile(r"[1-9][0-9]{0,8} ?/ ?(second|minute|hour|day)")


class Settings(BaseSettings):
    """What every process of the scheduler may be told; ``SCHEDULER_<NAME>`` in the environment."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    #: Where Redis is; with Sentinel redis+sentinel://HOST:PORT,HOST:PORT/PRIMARY/DB.
    redis_url: str = "redis://localhost:6379/0"
    #: With Sentinel: how long calls of apps and operators wait for a primary.
    failover_patience: Duration = duration("10s")
    #: How often a command whose connection broke is tried again, and a change that met another one.
    repeats: int = Field(default=3, ge=0, le=100)
    #: The wait before the first of them, doubled each time, with jitter.
    repeat_initial: Duration = duration("20ms")
    #: The longest wait between two of them.
    repeat_longest: Duration = duration("500ms")
    #: All keys begin with it but those of locks, lock:NAMESPACE:*, and RQ's, rq:*, of which rq:queues and
    #: rq:workers are common to all; namespaces that share a Redis do not see each other's sessions.
    namespace: str = "scheduler"
    #: The cluster's secret, which replicas hold; agents' keys are derived from it.
    secret: str = ""
    #: A file with the secret, instead.
    secret_file: Path | None = None
    #: How long a leader that went silent keeps the lock.
    leader_ttl: Duration = duration("3s")
    #: How often the lock is renewed.
    leader_renew: Duration = duration("1s")
    #: How often a follower looks whether there is a leader.
    follower_poll: Duration = duration("100ms")
    #: Silence of an agent after which it gets nothing new.
    not_ready_after: Duration = duration("5s")
    #: Added to lease and kill grace before an agent's sessions are run elsewhere.
    rescue_margin: Duration = duration("2s")
    #: How long nothing is rescued after many agents fell silent at once.
    storm_pause: Duration = duration("60s")
    #: The slow sweep, the safety net below all wake-ups.
    sweep: Duration = duration("5s")
    #: A graph nobody loads any more, as its app died, is deleted after this long.
    graph_patience: Duration = duration("10m")
    #: How long ended sessions, their results and logs are kept.
    retention: Duration = duration("7d")
    #: How many events the stream keeps.
    events_cap: int = Field(default=100_000, ge=1_000, le=10_000_000)
    #: Back-off after a failure: the first wait, doubled each time up to a minute.
    retry_initial: Duration = duration("1s")
    #: Hosts that callbacks of sessions may go to: names, addresses or patterns, with commas; empty: any
    #: but link-local and metadata addresses.
    callback_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    #: How long a callback that fails is tried before it is parked.
    callback_patience: Duration = duration("4h")
    #: How often a parked subscriber or callback is given another chance.
    redelivery_every: Duration = duration("15m")
    #: How long after its first failure it is given one; after that only by an operator.
    redelivery_within: Duration = duration("3d")
    #: HTTP API: requests per key and time, as 600/minute.
    api_rate: str = "6000/minute"
    #: HTTP API: the largest body, in bytes.
    api_body_limit: int = Field(default=4_194_304, ge=1_024, le=1_073_741_824)
    #: HTTP API: streams of events and logs that may be open at once.
    api_streams: int = Field(default=100, ge=1, le=10_000)
    #: HTTP API: streams that one key may have open at once.
    api_streams_per_key: int = Field(default=10, ge=1, le=10_000)
    #: DEBUG, INFO, WARNING or ERROR.
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")

    @field_validator("callback_hosts", mode="before")
    @classmethod
    def _are_hosts(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = tuple(part.strip().lower() for part in value.split(",") if part.strip())
        for host in found:
            if "/" in host or any(char.isspace() for char in host):
                raise ValueError(
                    f"{shown(host)} is no host: name it as ci.example.org or *.example.org"
                )
        return found

    @field_validator("namespace")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if not is_name(value):
            raise ValueError(
                f"{shown(value)} is no name: letters, digits, _ and - only, at most 63"
            )
        return value

    @field_validator("redis_url")
    @classmethod
    def _is_a_redis_url(cls, value: str) -> str:
        try:
            open_client(value)
        except InvalidSetting as error:
            raise ValueError(str(error.facts["problem"])) from error
        return value

    @field_validator("api_rate")
    @classmethod
    def _is_a_rate(cls, value: str) -> str:
        if not _RATE.fullmatch(value):
            raise ValueError(f"{shown(value)} is no rate; write it as 600/minute")
        return value

    @field_validator("leader_ttl")
    @classmethod
    def _is_whole_seconds(cls, value: int) -> int:
        if value % 1000:
            raise ValueError(f"it must be whole seconds, got {value} ms")
        return value

    @field_validator("leader_renew")
    @classmethod
    def _renews_in_time(cls, value: int, others: ValidationInfo) -> int:
        ttl = others.data.get("leader_ttl", value * 2)
        if value * 2 > ttl:
            raise ValueError(f"it must be at most half of leader_ttl ({ttl} ms), got {value} ms")
        return value

    @property
    def repeat_policy(self) -> RepeatPolicy:
        """The three of them as a value."""
        return RepeatPolicy(self.repeats, self.repeat_initial / 1000, self.repeat_longest / 1000)

    def cluster_secret(self) -> str:
        """The secret, from the setting or its file. Raises InvalidSetting where there is none."""
        secret = self.secret
        if not secret and self.secret_file is not None:
            try:
                secret = self.secret_file.read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                why = error.strerror if isinstance(error, OSError) else "it is no text"
                raise InvalidSetting(
                    name="secret_file", problem=f"{self.secret_file} cannot be read: {why}"
                ) from error
        if len(secret) < SHORTEST_SECRET:
            raise InvalidSetting(
                name="secret",
                problem=f"set SCHEDULER_SECRET or --secret-file to at least {SHORTEST_SECRET} characters,"
                " the same on every replica; `python3 -c 'import secrets; print(secrets.token_hex(32))'` makes one",
            )
        return secret


def load(**overrides: Any) -> Settings:
    """Read the settings; overrides that are None are left to the environment. Raises InvalidSetting."""
    refuse_mistyped(os.environ, Settings.model_fields, PREFIX)
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise InvalidSetting(
            name=name, problem=first["msg"].removeprefix("Value error, ")
        ) from error
