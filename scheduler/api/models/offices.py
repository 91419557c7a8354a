"""Offices: their configuration, and how many of their jobs are where."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Required

from pydantic import Field, with_config
from typing_extensions import TypedDict

from scheduler.api.models.common import NO_OTHERS, STRICT, Name, View
from scheduler.domain.slots import LARGEST
from scheduler.domain.spec import MAX_RETRIES

_LONGEST_MS: Final = 100 * 365 * 86_400_000
_MOST_ROLES: Final = 30

Milliseconds = Annotated[int, Field(ge=1, le=_LONGEST_MS, strict=True)]
Waits = Annotated[int, Field(ge=0, le=_LONGEST_MS, strict=True)]
Limit = Annotated[int, Field(ge=0, le=LARGEST, strict=True)]


def _by_role(example: dict[str, int]) -> Any:
    return Field(max_length=_MOST_ROLES, examples=[example], json_schema_extra=NO_OTHERS)


@with_config(STRICT)
class Backoff(TypedDict, total=False):
    """How long a job waits before each further attempt."""

    kind: Literal["exponential", "linear", "constant"]
    initial_ms: Waits
    factor: Annotated[float, Field(ge=1, le=1_000)]
    maximum_ms: Annotated[Waits, Field(description="At least initial_ms.")]
    jitter: Annotated[float, Field(ge=0, le=1)]


@with_config(STRICT)
class ConfigChange(TypedDict, total=False):
    """What an office allows its jobs; what is not named stays as it is."""

    max_concurrent_jobs: Annotated[Limit, Field(examples=[3])]
    max_concurrent_by_role: Annotated[dict[Name, Limit], _by_role({"developer": 2})]
    max_retries: Annotated[int, Field(ge=0, le=MAX_RETRIES)]
    backoff: Backoff
    timeout_ms: Milliseconds
    timeout_ms_by_role: Annotated[dict[Name, Milliseconds], _by_role({"developer": 600_000})]
    roles: Annotated[
        list[Name], Field(max_length=_MOST_ROLES, description="Further roles.", examples=[["qa"]])
    ]


@with_config(STRICT)
class NewOffice(ConfigChange, total=False):
    """An office to be made; what is not named is as by default."""

    name: Required[Annotated[Name, Field(examples=["acme"])]]


class BackoffView(View):
    """How long a job waits before each further attempt."""

    kind: str
    initial_ms: int
    factor: float
    maximum_ms: int
    jitter: float


class ConfigView(View):
    """What an office allows its jobs, and what they get where they do not say."""

    max_concurrent_jobs: int
    max_concurrent_by_role: dict[str, int]
    max_retries: int
    backoff: BackoffView
    timeout_ms: int
    timeout_ms_by_role: dict[str, int]
    roles: list[str]


class OfficeView(View):
    """An office as it stands."""

    name: str = Field(examples=["acme"])
    revision: int = Field(description="Its ETag, too.", examples=[7])
    config: ConfigView


class OfficeList(View):
    """The offices that the key may speak of, by name."""

    items: list[str] = Field(examples=[["acme", "globex"]])


class Processed(View):
    """What processing an office by hand did."""

    woken: list[str] = Field(description="Scaling groups whose leaders look at it now.")
