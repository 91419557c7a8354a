"""First in, first out, within priority bands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from pydantic import Field

from scheduler.cycle.sequencers.bands import BandOptions
from scheduler.cycle.sequencers.queue import QueueScheduler
from scheduler.plugins.interfaces import Candidate
from scheduler.plugins.options import SCHEDULER_OPTS, read_options

#: Kinds of request whose refusals are counted; the count begun first is forgotten first.
_COUNTED: Final = 10_000


class FifoOptions(BandOptions):
    """What FIFO may be told."""

    #: Refusals in a row after which a kind of request is stepped over once; 0: it never is.
    num_retries_to_skip: int = Field(0, ge=0, le=1_000_000)


class FifoScheduler(QueueScheduler):
    """Higher priority first; within a band in the order of submission. All bands are served.

    A refused session stops nobody here, with or without ``num_retries_to_skip``: it sleeps until
    something happens that could cure its refusal. Being the oldest it is then tried first again, each
    time at the cost of a search, and takes the room once there is enough. With the option, sessions with
    equal requests that were refused that often since the last of them was placed go behind all others of their
    band in their next cycle, once, and are counted anew: in every so many tries the younger ones
    choose first.
    """

    name: ClassVar[str] = "fifo"

    def __init__(self, opts: Mapping[str, Any]) -> None:
        options = read_options(FifoOptions, opts, self.name, SCHEDULER_OPTS)
        super().__init__(options)
        self._skip_at = options.num_retries_to_skip
        # Who is stepped over stands behind the others for one cycle only.
        self.resumes = not self._skip_at
        self._refusals: dict[str, int] = {}  #: by request

    def detach(self) -> None:
        super().detach()
        self._refusals = dict(self._refusals)

    def stepped_over(self, head: Candidate) -> int:
        if self._refusals and self._refusals.get(head.request.id, 0) >= self._skip_at:
            del self._refusals[head.request.id]
            return 1
        return 0

    def update_refusal(self, refused: Candidate) -> None:
        if not self._skip_at:
            return
        request = refused.request.id
        self._refusals[request] = self._refusals.get(request, 0) + 1
        if len(self._refusals) > _COUNTED:
            del self._refusals[next(iter(self._refusals))]

    def update_allocation(self, placed: Candidate, successor: Candidate | None) -> None:
        self._refusals.pop(placed.request.id, None)
        super().update_allocation(placed, successor)
