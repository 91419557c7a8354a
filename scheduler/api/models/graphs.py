"""Graphs, as they are shown."""

from __future__ import annotations

from pydantic import Field

from scheduler.api.models.common import View
from scheduler.domain.states import SessionState


class GraphMember(View):
    """A job of a graph."""

    name: str = Field(description="In the graph.", examples=["test"])
    id: str = Field(description="Of the job.", examples=["01kaz3v9m2r4t6w8y0b1d3f5h7"])
    state: str = Field(description='"" where it was forgotten.')
    reason: str
    needs: dict[str, str] = Field(
        description="Names in the graph, or ids of other jobs, with the policy; and held, where it is.",
        examples=[{"build": "cancel"}],
    )


class Graph(View):
    """A graph as it stands."""

    id: str = Field(examples=["g01kaz3v9m2r4t6w8y0b1d3f5h7"])
    name: str
    group: str
    office: str
    state: str = Field(description="sealed until its leader has made all jobs visible, then open.")
    jobs: int = Field(description="How many.")
    submitted_at: int | None = Field(description="ms of Redis' clock.")
    counts: dict[str, int] = Field(
        description="Jobs by state; forgotten ones in none.",
        examples=[{str(SessionState.SUCCEEDED): 2}],
    )
    members: list[GraphMember] = Field(description="Parents first, as many as were asked for.")
