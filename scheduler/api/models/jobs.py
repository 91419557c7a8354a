"""Jobs, as they are asked for and as they are shown."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, Required

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    WithJsonSchema,
    with_config,
)
from typing_extensions import TypedDict

from scheduler.api.forms import form
from scheduler.api.models.common import (
    NO_OTHERS,
    PRINTABLE_WORD,
    STRICT,
    WHOLE,
    Duration,
    Label,
    Name,
    View,
)
from scheduler.api.problems import CALLABLE, COMMAND, GRAPH
from scheduler.api.routing import JOB_PATTERN
from scheduler.domain.constraints import MOST_LABELS
from scheduler.domain.spec import (
    HIGHEST_PRIORITY,
    MAX_DEPENDENCIES,
    MAX_KERNELS,
    MAX_RETRIES,
)
from scheduler.domain.states import SessionState

_CALLABLE: Final = form(
    r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$",
    "it must name a function as package.module:function",
)
_NO_NUL: Final = form("^[^\\x00]*$", "it has a NUL character in it, which no argument can have")
_LABEL: Final = form(
    "^[A-Za-z0-9_.-]{1,256}$", "a label has letters, digits, _ . and - only, at most 256"
)
_LABELS: Final = form(
    "^[A-Za-z0-9_.-]+(\\|[A-Za-z0-9_.-]+)*$",
    "it must be a value, or several with | between them: letters, digits, _ . and - only",
)
_VARIABLE: Final = form(
    "^[A-Za-z_][A-Za-z0-9_]*$", "it is no name of a variable: letters, digits and _, no digit first"
)
_MANY: Final = 10_000
_MOST_DEVICES: Final = 1_000
_NUMBER: Final = r"(0\.[0-9]{0,2}[1-9]|[1-9][0-9]{0,5}(\.[0-9]{1,3})?)"
_CORES: Final = f"^{_NUMBER}m?$"
_BYTES: Final = f"^{_NUMBER}(KiB|MiB|GiB|TiB)$"
_DEVICE: Final = r"^[a-bd-ln-z][a-z0-9_]{0,30}\.device$|^cuda\.device$"
# What a schema can tell to be a regular expression; the command line and Python take any.
_LINES: Final = form(
    r"^(\||([A-Za-z0-9 _:;,=/@#%&!<>~'\"-]|\.|\\[dDwWsS.*+?|()$^])[*+?]?){1,60}$",
    "it must be a regular expression without groups and sets, of at most 60 characters, each perhaps with * + or ?",
)
_SLOT: Final = form(
    f"^(cpu|mem|disk)$|{_DEVICE}",
    "it is no slot; there are cpu, mem, disk, and devices such as cuda.device",
)


def _written_out(moment: object) -> object:
    """A time is a text; a number, or one in quotes, would be taken for seconds since 1970."""
    if not isinstance(moment, str) or not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]", moment):
        raise ValueError("it must be a time such as 2026-12-01T09:00:00+09:00")
    return moment


def _as_documented(slots: dict[str, str | int]) -> dict[str, str | int]:
    """Amounts are written in one way here; that of the command line takes more."""
    if not slots:
        raise ValueError("a kernel asks for something, such as cpu")
    for name, amount in slots.items():
        pattern = {"cpu": _CORES, "mem": _BYTES, "disk": _BYTES}.get(name)
        if pattern is None:
            if not isinstance(amount, int) or not 1 <= amount <= _MOST_DEVICES:
                raise ValueError(f"{name} is a whole number of devices, from 1 to {_MOST_DEVICES}")
        elif not isinstance(amount, str) or not re.fullmatch(pattern, amount):
            raise ValueError(f"{name} is a text such as {'500m' if name == 'cpu' else '256MiB'}")
    return slots


Priority = Annotated[
    int, Field(ge=0, le=HIGHEST_PRIORITY, description="0 to 100, higher first."), WHOLE
]
Moment = Annotated[
    AwareDatetime,
    Field(strict=False, examples=["2026-12-01T09:00:00+09:00"]),
    BeforeValidator(_written_out),
]
Word = Annotated[str, Field(pattern=_NO_NUL)]
JobIds = Annotated[
    list[Annotated[str, Field(pattern=JOB_PATTERN)]], Field(max_length=MAX_DEPENDENCIES)
]
Slots = Annotated[
    dict[Annotated[str, Field(pattern=_SLOT)], str | Annotated[int, WHOLE]],
    AfterValidator(_as_documented),
    WithJsonSchema(
        {
            "type": "object",
            "description": "What a kernel asks for: cpu in cores or milli (500m), mem and disk with a"
            " unit, FAMILY.device whole accelerators.",
            "properties": {
                "cpu": {"type": "string", "pattern": _CORES},
                "mem": {"type": "string", "pattern": _BYTES},
                "disk": {"type": "string", "pattern": _BYTES},
            },
            "patternProperties": {
                _DEVICE: {"type": "integer", "minimum": 1, "maximum": _MOST_DEVICES}
            },
            "additionalProperties": False,
            "minProperties": 1,
            "examples": [{"cpu": "500m", "mem": "256MiB"}],
        }
    ),
]
Labels = Annotated[
    dict[
        Annotated[str, Field(pattern=_LABEL)],
        Annotated[
            str,
            Field(pattern=_LABELS, max_length=256),
        ],
    ],
    Field(
        max_length=MOST_LABELS,
        description="Only agents with these labels; a|b accepts either.",
        examples=[{"zone": "a"}],
        json_schema_extra=NO_OTHERS,
    ),
]
Variables = Annotated[
    dict[Annotated[str, Field(pattern=_VARIABLE)], Word],
    Field(
        description="Its environment, beside what agents give all kernels.",
        examples=[{"LANG": "C.UTF-8"}],
        json_schema_extra=NO_OTHERS,
    ),
]


DonePattern = Annotated[
    str,
    Field(
        pattern=_LINES,
        description="A whole line of output that says that its work is done: a regular expression without"
        " groups and sets, of at most 60 characters each of which * + or ? may follow.",
        examples=["Saved model .*"],
    ),
]
NodeName = Annotated[str, Field(pattern=PRINTABLE_WORD)]
Policy = Literal["cancel", "ignore", "hold"]


class _Job(TypedDict, total=False):
    """What every job may say; what it does not, its office does, or the defaults of a session."""

    role: Annotated[Name, Field(description="One of the office's roles; none by default.")]
    priority: Priority
    slots: Slots
    cluster_size: Annotated[int, Field(ge=1, le=MAX_KERNELS), WHOLE]
    cluster_mode: Literal["single-node", "multi-node"]
    labels: Labels
    env: Variables
    timeout: Annotated[
        Duration, Field(description="How long it may run; by default as its office says.")
    ]
    retries: Annotated[
        int,
        Field(ge=0, le=MAX_RETRIES, description="After a failure; by default as its office says."),
        WHOLE,
    ]
    on_lost: Literal["rerun", "fail", "keep"]
    done_pattern: DonePattern
    silence_timeout: Annotated[
        Duration, Field(description="It is stopped when it has printed nothing for so long.")
    ]


class _Command(TypedDict):
    command: Annotated[
        list[Word],
        Field(
            min_length=1,
            max_length=_MANY,
            json_schema_extra={
                "prefixItems": [{"type": "string", "minLength": 1, "pattern": _NO_NUL}],
                "examples": [["python3", "train.py"]],
            },
        ),
    ]


class _Callable(TypedDict, total=False):
    callable: Required[Annotated[str, Field(pattern=_CALLABLE, examples=["package.module:run"])]]
    args: list[JsonValue]
    kwargs: dict[str, JsonValue]


class _Single(_Job, total=False):
    name: Annotated[Label, Field(description="For people.")]
    group: Annotated[Name, Field(description="The scaling group; `default` by default.")]
    depends_on: Annotated[
        JobIds, Field(description="Jobs of the office that must have succeeded before.")
    ]
    not_before: Annotated[Moment, Field(description="It runs no earlier; with a time zone.")]


class _Node(_Job, total=False):
    name: Required[Annotated[NodeName, Field(description="Its name in the graph.")]]
    needs: Annotated[
        list[NodeName] | Annotated[dict[NodeName, Policy], Field(json_schema_extra=NO_OTHERS)],
        Field(
            description="Names of the jobs it waits for; with a policy each, what it means that one"
            " of them did not succeed: cancel this one too (as by default), ignore it, or hold."
        ),
    ]


@with_config(STRICT)
class CommandJob(_Single, _Command):
    """A program with its arguments."""


@with_config(STRICT)
class CallableJob(_Single, _Callable):
    """A Python callable with JSON arguments."""


@with_config(STRICT)
class CommandNode(_Node, _Command):
    """A program, as a job of a graph."""


@with_config(STRICT)
class CallableNode(_Node, _Callable):
    """A Python callable, as a job of a graph."""


def _kind(found: Any) -> str:
    """What a body means to be: errors speak of that kind only."""
    if not isinstance(found, dict):
        return COMMAND
    return GRAPH if "jobs" in found else CALLABLE if "callable" in found else COMMAND


Node = Annotated[
    Annotated[CommandNode, Tag(COMMAND)] | Annotated[CallableNode, Tag(CALLABLE)],
    Discriminator(_kind),
]


@with_config(STRICT)
class Graph(TypedDict, total=False):
    """Jobs that depend on each other by their names, submitted all or none."""

    jobs: Required[Annotated[list[Node], Field(min_length=1)]]
    name: Annotated[Label, Field(description="For people.")]
    group: Annotated[Name, Field(description="The scaling group of all; `default` by default.")]


Submission = Annotated[
    Annotated[CommandJob, Tag(COMMAND)]
    | Annotated[CallableJob, Tag(CALLABLE)]
    | Annotated[Graph, Tag(GRAPH)],
    Discriminator(_kind),
]


@with_config(STRICT)
class NewPriority(TypedDict):
    """Another priority for a job."""

    priority: Priority


@with_config(STRICT)
class Handoff(TypedDict):
    """Another role for a job."""

    role: Annotated[Name, Field(description="One of the office's roles.", examples=["reviewer"])]


@with_config(STRICT)
class Reason(TypedDict, total=False):
    """Why something is done, for people."""

    reason: Annotated[Label, Field(examples=["the data was wrong"])]


@with_config(STRICT)
class Again(TypedDict, total=False):
    """How a job is to run again."""

    with_dependents: Annotated[
        bool, Field(description="All below it that its failure cancelled runs again, too.")
    ]


class Job(View):
    """A job as it stands. Times are ms of Redis' clock."""

    id: str = Field(examples=["01kaz3v9m2r4t6w8y0b1d3f5h7"])
    office: str
    role: str = Field(description='"" is none.')
    name: str
    work: str = Field(description="What it runs, as one short line.")
    state: SessionState
    priority: int
    group: str
    attempt: int = Field(description="The try it is in, or was in last; 0 before the first.")
    retry_count: int = Field(
        description="Further tries since it was submitted, or asked for again."
    )
    retries: int = Field(description="How many of those it has.")
    timeout_ms: int
    agents: list[str] = Field(description="Where it is, or was last.")
    reason: str = Field(description="Why it ended, or is being stopped.")
    unmet: int = Field(description="Dependencies it still waits for.")
    submitted_at: int
    not_before: int | None
    running_at: int | None
    ended_at: int | None
    cancelled_at: int | None
    cancel_requested: bool = Field(description="It is to be stopped, and is not yet.")


class JobWithResult(Job):
    """A job with what its callable returned."""

    result: JsonValue = Field(description="null for a command, and before it has succeeded.")


class JobList(View):
    """A page of jobs, the last submitted first."""

    items: list[Job]
    cursor: str | None = Field(description="Asks for the next page; null where there is none.")


class Execution(View):
    """One try to run a job. Times are ms of Redis' clock."""

    attempt: int
    agents: list[str]
    started_at: int
    timeout_at: int | None
    ended_at: int | None
    status: str = Field(examples=["succeeded"])
    error: str


class ExecutionList(View):
    """The tries to run a job, oldest first."""

    items: list[Execution]


class Submitted(View):
    """What was submitted: a job, or a graph of them."""

    id: str | None = Field(description="Of the job; null for a graph.")
    graph: str | None = Field(description="Of the graph; null for a job.")
    jobs: int = Field(description="How many.")


class Cancelled(View):
    """What became of a request to cancel."""

    outcome: Literal["cancelled", "accepted", "ended"] = Field(
        description="cancelled at once; accepted where it must be stopped first; ended before."
    )


class CancelledAll(View):
    """How many jobs were cancelled, or are being stopped."""

    cancelled: int


class Retried(View):
    """The job, and its dependents that were taken along."""

    jobs: list[str]
