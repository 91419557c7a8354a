"""Takes orders: claims them in batches, checks them, has them run or stopped."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from agents.held import Held
from agents.identity import Identity
from agents.post import Claimed, NotAdmittedError, Post
from agents.sender import Sender
from agents.supervisor import Supervisor
from scheduler.domain.errors import BadMessage, InvalidSpec, RedisFull, StoreUnavailable
from scheduler.domain.monitor import done_line
from scheduler.protocol import order as orders
from scheduler.protocol import report as reports
from scheduler.protocol.names import STOP_PREFIX, parse_order_id
from scheduler.protocol.report import EndReason, ReportKind

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 1.0
_LOST: Final = "The answer to its claim was lost, so nothing was started."
_NEVER_RAN: Final = "It was stopped before this agent knew of it, so nothing was started."


class Caller(Protocol):
    """Who asks, and may want to leave meanwhile."""

    @property
    def ending(self) -> threading.Event:
        """Set when it wants to leave."""
        ...

    def interruptible(self) -> AbstractContextManager[None]:
        """Around what may hang and may be left."""
        ...


class Orders:
    """From the ids RQ hands over to kernels."""

    def __init__(
        self, identity: Identity, post: Post, held: Held, sender: Sender, supervisor: Supervisor
    ) -> None:
        self._identity = identity
        self._post = post
        self._held = held
        self._sender = sender
        self._supervisor = supervisor
        self._bad_stops: set[str] = set()
        self._log = identity.log()

    def take(self, ids: Sequence[str], caller: Caller) -> bool:
        """Carry out what the ids stand for; False when this boot is not admitted (any more).

        What is no id of ours is dropped.
        """
        wanted = []
        for text in dict.fromkeys(ids):
            if text.startswith(STOP_PREFIX) and parse_order_id(text.removeprefix(STOP_PREFIX)):
                self._fetch_stop(text.removeprefix(STOP_PREFIX))
            elif parse_order_id(text) is None:
                self._log.warning("order.no_id", text=text[:64])
            elif not self._held.knows(text):
                wanted.append(text)
        try:
            if wanted:
                self._start(wanted, caller)
        except NotAdmittedError:
            return False  # the orders stay where they are, and their ids are gone
        return True

    def lying(self) -> list[str] | None:
        """Orders that lie on the agent's keys, whether or not their ids are still queued.

        Where the connection broke in the middle of a pop, Redis may have taken ids away that never
        came here; the leader would withdraw their orders after the group's claim timeout. None where
        Redis does not tell now.
        """
        try:
            lying = self._post.lying()
        except (StoreUnavailable, RedisFull):
            return None
        return [order for order in lying if parse_order_id(order) and not self._held.knows(order)]

    def _start(self, wanted: Sequence[str], caller: Caller) -> None:
        answer, in_doubt = self._claim(wanted, caller)
        if answer is None:
            return
        self._held.take((claimed.order, claimed.number) for claimed in answer)
        for claimed in answer:
            self._begin(claimed)
        if in_doubt:
            # An order that is not there any more was withdrawn, or claimed by the call whose answer
            # never came. Saying its end is right for the second and dropped for the first.
            for order in set(wanted) - {claimed.order for claimed in answer}:
                self._tell_end(order, EndReason.AGENT_LEFT, _LOST)

    def _claim(
        self, wanted: Sequence[str], caller: Caller
    ) -> tuple[Sequence[Claimed] | None, bool]:
        """Claim until Redis answers; and whether an answer was lost. Raises NotAdmittedError."""
        identity = self._identity
        claims = [identity.report(order, ReportKind.CLAIMED) for order in wanted]
        report = reports.encode_many(claims, identity.key)
        pause = 0.0
        while not caller.ending.is_set():
            try:
                with caller.interruptible():
                    return self._post.claim(identity.boot, wanted, report), pause > 0
            except (StoreUnavailable, RedisFull) as error:
                pause = min(_LONGEST_PAUSE_S, max(_FIRST_PAUSE_S, pause * 2))
                self._log.warning(
                    "orders.claim_waits", why=str(error), orders=len(wanted), again_in=pause
                )
                caller.ending.wait(pause)
        return None, True

    def _begin(self, claimed: Claimed) -> None:
        try:
            order, work = self._read(claimed)
        except (BadMessage, ValueError, TypeError, KeyError, AttributeError) as error:
            self._log.error("order.bad", **_named(claimed.order), why=str(error))
            self._tell_end(claimed.order, EndReason.BAD_ORDER, str(error))
            return
        self._supervisor.run(order, claimed.text.partition("\n")[2].encode(), work)

    def _read(self, claimed: Claimed) -> tuple[orders.StartOrder, dict[str, Any]]:
        """The order and its work, which is JSON but need not make sense. Raises BadMessage."""
        identity = self._identity
        order, said = orders.decode(
            claimed.text, identity.key, agent=identity.agent, boot=identity.boot
        )
        work: Any = said
        if not isinstance(order, orders.StartOrder) or order.id != claimed.order:
            raise BadMessage(why="it is another order than its id says")
        if not isinstance(work, dict) or ("command" in work) == ("callable" in work):
            raise BadMessage(why="its payload names neither a callable nor a command")
        env, words = work.get("env", {}), work.get("command", ["-"])
        if not isinstance(env, dict) or not isinstance(words, list) or not words:
            raise BadMessage(why="its payload is not of the form a session has")
        if not all(isinstance(text, str) for text in (*env.values(), *words)):
            raise BadMessage(why="its words and variables are not all texts")
        _check_pattern(order.done_pattern)
        return order, work

    def _fetch_stop(self, order: str) -> None:
        try:
            text = self._post.stop_order(order)
        except (StoreUnavailable, RedisFull):
            return  # it stands on the agent's keys, so the next beat brings it
        if text is not None:
            self.stop(order, text)

    def stop(self, order: str, text: str) -> None:
        """Carry out what stands on its keys for one order, to stop or another deadline, however often it comes."""
        identity = self._identity
        try:
            found, _ = orders.decode(text, identity.key, agent=identity.agent, boot=identity.boot)
            if isinstance(found, orders.StartOrder) or found.order != order:
                raise BadMessage(why="it is another order than its id says")  # noqa: TRY301 - one way out
        except (BadMessage, ValueError, TypeError, KeyError, AttributeError) as error:
            if order not in self._bad_stops:  # each beat brings it again
                self._bad_stops.add(order)
                self._log.error("stop.bad", **_named(order), why=str(error))
            return
        if isinstance(found, orders.DeadlineOrder):
            self._supervisor.let_run(order, found.timeout_ms)
        elif self._held.knows(order):
            self._supervisor.stop(order, EndReason.STOPPED, f"It was stopped: {found.reason}.")
        else:
            # Claimed, as the leader stops nothing else, and unknown here: the answer was lost.
            self._tell_end(order, EndReason.STOPPED, _NEVER_RAN)

    def _tell_end(self, order: str, reason: EndReason, error: str) -> None:
        self._held.take([(order, 0)])
        self._sender.report(
            self._identity.report(order, ReportKind.ENDED, reason=reason, error=error)
        )


def _check_pattern(pattern: str) -> None:
    """What compiled for the app need not for this Python. Raises BadMessage."""
    try:
        if pattern:
            done_line(pattern)
    except InvalidSpec as error:
        raise BadMessage(why=str(error)) from error


def _named(order: str) -> dict[str, str]:
    """How log lines name an order."""
    return {"session": order.partition("-")[0], "order": order}
