"""Offices: their configuration, and how many of their jobs are where."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Required

from pydantic import Field, with_config
from typing_extensions import TypedDict

from scheduler.api.models.common import NO_OTHERS, STRICT, WHOLE, Name, View
from scheduler.domain.slots import LARGEST
from scheduler.domain.spec import MAX_RETRIES

LONGEST_MS: Final = 100 * 365 * 86_400_000
_MOST_ROLES: Final = 30

Milliseconds = Annotated[int, Field(ge=1, le=LONGEST_MS), WHOLE]
Waits = Annotated[int, Field(ge=0, le=LONGEST_MS), WHOLE]
Limit = Annotated[int, Field(ge=0, le=LARGEST), WHOLE]


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
    max_retries: Annotated[int, Field(ge=0, le=MAX_RETRIES), WHOLE]
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


class RoleStatsView(View):
    """The jobs of one role."""

    running: int = Field(description="Placed on agents.")
    waiting: int
    limit: int | None = Field(description="At once; null: only the office limits it.")


class StatsView(View):
    """How an office's queue stands. Jobs that ended are counted until retention forgets them."""

    office: str
    limit: int = Field(description="How many jobs may be placed at once.")
    available_slots: int = Field(description="How many more may be placed now.")
    running: int = Field(description="Placed on agents.")
    waiting: int = Field(description="Neither placed nor over.")
    ready: int
    pending: int = Field(description="Wait for other jobs, or for a time.")
    retrying: int = Field(description="Wait for their back-off.")
    succeeded: int
    failed: int
    timed_out: int
    cancelled: int
    oldest_waiting_ms: int | None = Field(description="null where nothing waits.")
    roles: dict[str, RoleStatsView]


class ProcessedView(View):
    """How an office stands after its leaders were asked to look at it."""

    office: str
    ready: int
    running: int
    free_slots: int
    looked: bool = Field(description="false where a leader was too busy to look in two seconds.")
    no_leader: list[str] = Field(description="Scaling groups that nobody leads.")
