"""Settings of an agent: read once from SCHEDULER_* and the command line, checked, then frozen."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from agents.limits import MIB, MemoryLimit
from scheduler.domain.errors import InvalidSetting
from scheduler.domain.ids import is_name
from scheduler.domain.spelling import refuse_mistyped
from scheduler.protocol import signing

_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)?")
_UNIT_S: Final = {"ms": 0.001, "s": 1, None: 1, "m": 60, "h": 3600, "d": 86_400}
_SIZE: Final = re.compile(r"([0-9]+)(KiB|MiB|GiB)?")
_UNIT_BYTES: Final = {None: 1, "KiB": 1024, "MiB": MIB, "GiB": 1024 * MIB}
_PREFIX: Final = "SCHEDULER_"
_SYSTEM_STATE: Final = Path("/var/lib")


def _seconds(value: object) -> object:
    """Read ``"30s"``, ``"500ms"`` or a number of seconds."""
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip())
    if not match:
        raise ValueError(f"expected a duration such as 30s, 500ms or 7d, got {value!r}")
    return float(match[1]) * _UNIT_S[match[2]]


def _bytes(value: object) -> object:
    """Read ``"1MiB"`` or a number of bytes."""
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value.strip())
    if not match:
        raise ValueError(f"expected a size such as 64KiB or 1MiB, got {value!r}")
    return int(match[1]) * _UNIT_BYTES[match[2]]


Duration = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=10 * 365 * 86_400)]
Size = Annotated[int, BeforeValidator(_bytes), Field(ge=0)]


class AgentSettings(BaseSettings):
    """What holds for an agent process; each may be set as SCHEDULER_<NAME>."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="ignore")

    redis_url: str = "redis://localhost:6379/0"  #: where Redis is
    namespace: str = "scheduler"  #: all keys begin with it
    secret: SecretStr | None = None  #: the cluster's; an agent needs only its own key
    secret_file: Path | None = None  #: a file with the secret, instead
    agent_key: SecretStr | None = None  #: as `scheduler agent key` prints it
    agent_key_file: Path | None = None  #: a file with the agent's key, instead
    lease: Duration = 30.0  #: how long kernels run on without an acknowledged beat
    kill_grace: Duration = 3.0  #: between SIGTERM and SIGKILL
    beat_interval: Duration = 2.0  #: how often the lease is renewed
    log_cap: Size = MIB  #: output kept of each kernel
    retention: Duration = 7 * 86_400.0  #: how long logs are kept
    warm_children: int = Field(default=16, ge=0, le=4096)  #: idle warm children kept
    warm_idle: Duration = 60.0  #: how long one of them waits for work
    memory_limit: MemoryLimit = MemoryLimit.AUTO  #: auto, cgroup, watch, rlimit or none
    state_dir: Path | None = None  #: where an agent keeps its lock, its lease and scratch
    log_level: str = "INFO"  #: DEBUG, INFO, WARNING or ERROR

    @field_validator("namespace")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if not is_name(value):
            raise ValueError(f"expected letters, digits, _ and -, at most 63, got {value!r}")
        return value

    @field_validator("log_level")
    @classmethod
    def _is_a_level(cls, value: str) -> str:
        if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
            raise ValueError(f"expected DEBUG, INFO, WARNING, ERROR or CRITICAL, got {value!r}")
        return value.upper()


def read_settings(**given: Any) -> AgentSettings:
    """The environment's, overridden by what was given and is not None. Raises InvalidSetting."""
    refuse_mistyped(os.environ, AgentSettings.model_fields, _PREFIX)
    try:
        settings = AgentSettings(
            **{name: value for name, value in given.items() if value is not None}
        )
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise InvalidSetting(
            name=name, problem=first["msg"].removeprefix("Value error, ")
        ) from error
    # Three beats may be lost before kernels die of it.
    if settings.beat_interval * 3 > settings.lease:
        most = f"a third of lease ({settings.lease:g} s)"
        problem = f"expected at most {most}, got {settings.beat_interval:g} s"
        raise InvalidSetting(name="beat_interval", problem=problem)
    return settings


def key_of(settings: AgentSettings, agent: str) -> str:
    """The agent's key, as given or derived from the cluster's secret. Raises InvalidSetting."""
    own = _secret(settings.agent_key, settings.agent_key_file, "agent_key_file")
    if own:
        signing.sign(own, b"")  # says so now when it is no key
        return own
    secret = _secret(settings.secret, settings.secret_file, "secret_file")
    if secret:
        return signing.agent_key(secret, settings.namespace, agent)
    raise InvalidSetting(
        name="agent_key",
        problem="none is given; set SCHEDULER_AGENT_KEY or --key-file to what `scheduler agent key`"
        " prints, or SCHEDULER_SECRET or --secret-file to the cluster's secret",
    )


def secret_of(settings: AgentSettings) -> str:
    """The cluster's secret. Raises InvalidSetting."""
    if secret := _secret(settings.secret, settings.secret_file, "secret_file"):
        return secret
    raise InvalidSetting(
        name="secret", problem="none is given; set SCHEDULER_SECRET or --secret-file"
    )


def _secret(value: SecretStr | None, path: Path | None, name: str) -> str:
    if value is not None and value.get_secret_value():
        return value.get_secret_value().strip()
    if path is None:
        return ""
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(name=name, problem=f"{path} cannot be read: {error}") from error


def state_directory(settings: AgentSettings) -> Path:
    """Where run directories lie: as set, else the system's place for root, else the user's."""
    if settings.state_dir is not None:
        return settings.state_dir
    if os.access(_SYSTEM_STATE, os.W_OK):
        return _SYSTEM_STATE / "session-scheduler"
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "session-scheduler"
