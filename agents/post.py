"""What the rest of the agent may ask of the store: the mailbox, as a protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class Answer(Protocol):
    """What the leader's record says to a boot that beats."""

    @property
    def word(self) -> str:
        """ok, wait, refused, superseded or unknown."""
        ...

    @property
    def reason(self) -> str:
        """Why, in words for people."""
        ...

    @property
    def stops(self) -> Mapping[str, str]:
        """Order id to signed stop order, of every stop that stands."""
        ...


class Claimed(Protocol):
    """One order taken."""

    @property
    def order(self) -> str:
        """Its id."""
        ...

    @property
    def text(self) -> str:
        """The order, signed, with its payload."""
        ...

    @property
    def number(self) -> int:
        """The number of the claim."""
        ...


class NotAdmittedError(Exception):
    """The leader's record does not name this boot (any more): a beat tells why."""


class Post(Protocol):
    """Claims, reports, beats and logs of one agent. All methods raise StoreUnavailable."""

    def claim(
        self, boot: str, orders: Sequence[str], report: Mapping[str, str]
    ) -> Sequence[Claimed]:
        """Take orders, with an encoded report that claims them all. Raises NotAdmittedError."""
        ...

    def lying(self) -> Sequence[str]:
        """Ids of the orders that nobody has claimed yet."""
        ...

    def report(self, reports: Sequence[Mapping[str, str]]) -> None:
        """Append encoded reports, in order."""
        ...

    def beat(
        self, boot: str, ttl_ms: int, *, claims: int, running: Sequence[str], over: Sequence[str]
    ) -> Answer:
        """Say what runs and which stops are carried out, hear the answer."""
        ...

    def stop_order(self, order: str) -> str | None:
        """The signed stop order for one order, if one stands."""
        ...

    def log(self, order: str, stream: str, text: str, *, cap: int, ttl_s: int) -> bool:
        """Append output of a kernel; False once its log is full."""
        ...
