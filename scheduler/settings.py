"""Settings, read once from the environment, frozen, checked at the edge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from scheduler.domain.errors import InvalidSetting, InvalidSpec
from scheduler.domain.ids import is_name
from scheduler.domain.spec import duration_ms
from scheduler.protocol.signing import SHORTEST_SECRET
from scheduler.store.connection import open_client


def _milliseconds(value: Any) -> int:
    try:
        return duration_ms(value, "a duration")
    except InvalidSpec as error:
        raise ValueError(str(error.facts["problem"])) from error


#: ``"30s"``, ``"7d"``, or seconds as a number; kept in ms.
Duration = Annotated[int, BeforeValidator(_milliseconds), Field(validate_default=True)]


class Settings(BaseSettings):
    """What every process of the scheduler may be told; ``SCHEDULER_<NAME>`` in the environment."""

    model_config = SettingsConfigDict(env_prefix="SCHEDULER_", frozen=True, extra="ignore")

    #: Where Redis is; with Sentinel redis+sentinel://HOST:PORT,HOST:PORT/PRIMARY/DB.
    redis_url: str = "redis://localhost:6379/0"
    #: With Sentinel: how long calls of apps and operators wait for a primary.
    failover_patience: Duration = Field(default="10s")  # type: ignore[assignment]
    #: All keys begin with it; two namespaces share a Redis without seeing each other.
    namespace: str = "scheduler"
    #: The cluster's secret, which replicas hold; agents' keys are derived from it.
    secret: str = ""
    #: A file with the secret, instead.
    secret_file: Path | None = None
    #: How long a leader that went silent keeps the lock.
    leader_ttl: Duration = Field(default="3s")  # type: ignore[assignment]
    #: How often the lock is renewed.
    leader_renew: Duration = Field(default="1s")  # type: ignore[assignment]
    #: How often a follower looks whether there is a leader.
    follower_poll: Duration = Field(default="100ms")  # type: ignore[assignment]
    #: Silence of an agent after which it gets nothing new.
    not_ready_after: Duration = Field(default="5s")  # type: ignore[assignment]
    #: Added to lease and kill grace before an agent's sessions are run elsewhere.
    rescue_margin: Duration = Field(default="2s")  # type: ignore[assignment]
    #: How long nothing is rescued after many agents fell silent at once.
    storm_pause: Duration = Field(default="60s")  # type: ignore[assignment]
    #: The slow sweep, the safety net below all wake-ups.
    sweep: Duration = Field(default="5s")  # type: ignore[assignment]
    #: How long ended sessions, their results and logs are kept.
    retention: Duration = Field(default="7d")  # type: ignore[assignment]
    #: How many events the stream keeps.
    events_cap: int = Field(default=100_000, ge=1_000, le=10_000_000)
    #: Back-off after a failure: the first wait, doubled each time up to a minute.
    retry_initial: Duration = Field(default="1s")  # type: ignore[assignment]
    #: DEBUG, INFO, WARNING or ERROR.
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not is_name(self.namespace):
            raise ValueError(
                f"namespace {self.namespace!r} is no name: letters, digits, _ and - only, at most 63"
            )
        try:
            open_client(self.redis_url)
        except InvalidSetting as error:
            raise ValueError(str(error.facts["problem"])) from error
        if self.leader_renew * 2 > self.leader_ttl:
            raise ValueError(
                f"expected leader_renew ({self.leader_renew} ms) to be at most half of"
                f" leader_ttl ({self.leader_ttl} ms)"
            )
        if self.leader_ttl % 1000:
            raise ValueError(f"leader_ttl must be whole seconds, got {self.leader_ttl} ms")
        return self

    def cluster_secret(self) -> str:
        """The secret, from the setting or its file. Raises InvalidSetting where there is none."""
        secret = self.secret
        if not secret and self.secret_file is not None:
            try:
                secret = self.secret_file.read_text().strip()
            except OSError as error:
                raise InvalidSetting(
                    name="secret_file",
                    problem=f"{self.secret_file} cannot be read: {error.strerror}",
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
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "settings"
        raise InvalidSetting(
            name=name, problem=first["msg"].removeprefix("Value error, ")
        ) from error
