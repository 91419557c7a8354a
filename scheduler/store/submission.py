"""New sessions on their way into Redis: in batches, the next made ready while the last is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from scheduler.domain.callback import callback_field
from scheduler.domain.clock import Clock
from scheduler.domain.dependency import edge_text, edges_of
from scheduler.domain.ids import new_session_id
from scheduler.domain.job import job_text
from scheduler.domain.request import Request, parse_request_text, request_of
from scheduler.domain.spec import SessionSpec
from scheduler.domain.work import payload_of, work_line
from scheduler.store.retrying import RepeatPolicy, execute_with_retry
from scheduler.store.script import Packed, Script, Sent

#: Sessions per submit script: two hundred take about 5 ms in Redis.
SUBMIT_BATCH = 200
#: Dependencies per script; what goes beyond is loaded before a seal.
PARENT_BATCH = 200

_SUBMIT = Script.load("session/submit")


@dataclass(frozen=True, slots=True)
class Checked:
    """A spec of which all is known that can be known without Redis."""

    spec: SessionSpec
    request: Request
    payload: str
    parents: Sequence[str]
    edges: Sequence[str]  #: the parents as scripts read them, each with its policy
    within: str = ""  #: the office whose jobs the parents must be; "" is any

    @classmethod
    def of(cls, spec: SessionSpec, within: str = "") -> Self:
        """Raises InvalidSpec, InvalidSlots."""
        found = edges_of(spec.depends_on)
        edges = [edge_text(parent, policy) for parent, policy in found.items()]
        return cls(spec, request_of(spec), payload_of(spec), list(found), edges, within)


def write(
    client: redis.Redis, root: str, checked: Sequence[Checked], clock: Clock
) -> Iterator[tuple[Sequence[Checked], list[Any]]]:
    """Each batch with what the script answered. A batch is sent when its predecessor's answer was taken."""
    if not checked:
        return
    batch = checked[:SUBMIT_BATCH]
    packed = pack(root, batch, clock)
    for start in range(SUBMIT_BATCH, len(checked), SUBMIT_BATCH):
        sent = _send(client, packed)
        following = checked[start : start + SUBMIT_BATCH]
        following_packed = pack(root, following, clock)
        yield batch, _answer(client, packed, sent)
        batch, packed = following, following_packed
    yield batch, _SUBMIT.run(client, packed)


def pack(root: str, batch: Sequence[Checked], clock: Clock) -> Packed:
    """A batch as it goes over the wire, with new ids: to send it again is to ask what became of it."""
    now_ms = clock.now_ms()
    return _SUBMIT.pack(
        root,
        requests={each.request.id: kind_of(each.request.text) for each in batch},
        sessions=[session_of(each, now_ms) for each in batch],
    )


def _send(client: redis.Redis, packed: Packed) -> Sent | None:
    """Let Redis begin; None where the connection broke."""
    with suppress(RedisConnectionError, RedisTimeoutError):
        return _SUBMIT.send(client, packed)
    return None


def _answer(client: redis.Redis, packed: Packed, sent: Sent | None) -> list[Any]:
    """The answer; where it was lost, that of a repeat, which finds what the first has written."""
    ways = [sent.answer] if sent is not None else []

    def ask() -> list[Any]:
        return ways.pop()() if ways else _SUBMIT.run(client, packed)

    # Once more at most: the repeat is a command, which the client tries as often as it was told to.
    return execute_with_retry(ask, RepeatPolicy(times=len(ways)))


@lru_cache(maxsize=4096)
def kind_of(text: str) -> Mapping[str, Any]:
    """A request as scripts that let sessions wait take it."""
    request = parse_request_text(text)
    kind = {
        "text": text,
        "need": request.need,
        "scopes": [list(scope) for scope in request.scopes],
        "slots": request.families,
    }
    job = job_text(request.scopes)
    return kind | {"job": job} if job else kind


def session_of(checked: Checked, now_ms: int) -> dict[str, Any]:
    """A new session as the script takes it; what was not asked for is left out."""
    spec, request = checked.spec, checked.request
    digest = _payload_digest(checked)
    row = ["group", spec.group, "priority", str(spec.priority), "request", request.id]
    row += ["digest", digest, "work", work_line(spec)]
    asked: dict[str, Any] = {
        "id": new_session_id(now_ms),
        "group": spec.group,
        "priority": spec.priority,
        "request": request.id,
        "payload": checked.payload,
        "row": row,
    }
    not_before = _not_before(spec)
    if spec.name:
        row += ["name", spec.name]
    if not_before > 0:
        asked["not_before"] = not_before
        row += ["not_before", str(not_before)]
    if spec.callback:
        row += ["callback", callback_field(spec.callback)]
    if checked.parents:
        asked["parents"] = checked.edges[:PARENT_BATCH]
        if checked.within:
            asked["within"] = checked.within
    if len(checked.parents) > PARENT_BATCH:
        asked["more"] = 1
    if spec.idempotency_key:
        asked["key"] = spec.idempotency_key
        asked["spec"] = spec_digest(checked)
        row += ["idempotency_key", spec.idempotency_key]
    return asked


def spec_digest(checked: Checked) -> str:
    """What an idempotency key stands for: of a repeat with the same spec it is the same."""
    spec = checked.spec
    identity: list[Any] = [checked.request.id, _payload_digest(checked), spec.group, spec.name]
    identity += [spec.priority, _not_before(spec), list(checked.edges)]
    if spec.callback:
        identity.append(spec.callback)
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]


def _payload_digest(checked: Checked) -> str:
    return hashlib.sha256(checked.payload.encode()).hexdigest()


def _not_before(spec: SessionSpec) -> int:
    return int(spec.not_before.timestamp() * 1000) if spec.not_before else 0
