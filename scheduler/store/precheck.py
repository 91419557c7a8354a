"""What would be refused, found out before the first of several scripts writes anything.

One script submits wholly or not at all. Where a submit takes more than one, a refusal by a later one
would leave behind what the earlier ones wrote; so what can be refused is looked up for all of them
first. The scripts decide nevertheless: what changes between the look and the write is theirs to see.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import redis

from scheduler.domain.quota import pending_count_refusal, pending_slots_refusal
from scheduler.domain.slots import Slots, covers
from scheduler.store.keys import Keys
from scheduler.store.scopes import ScopeRepository, pending_answer
from scheduler.store.submission import PARENT_BATCH, SUBMIT_BATCH, Checked, spec_digest

T = TypeVar("T")

#: Keys named by one command, and commands sent at once: a look at 100,000 keys holds up nobody.
_NAMES, _COMMANDS = 200, 50


@dataclass(frozen=True, slots=True)
class _Group:
    """What a group's submits are measured against; see session/submit.lua."""

    shapes: Sequence[Slots]  #: of its largest idle agents; none: anything is accepted
    full: str


def takes_one_script(checked: Sequence[Checked]) -> bool:
    """Whether a submit is written in one step, which needs no look before it."""
    return len(checked) <= SUBMIT_BATCH and all(
        len(each.parents) <= PARENT_BATCH for each in checked
    )


@dataclass(frozen=True, slots=True)
class Refusal:
    """What session/submit would answer."""

    answer: Sequence[str]
    of: Checked | None = None  #: the first that it refuses; None where it refuses all for the same


def refusal(client: redis.Redis, keys: Keys, checked: Sequence[Checked]) -> Refusal | None:
    """What session/submit would answer to the first session that it refuses; None where to none.

    Reads only. Sessions whose idempotency key is known are not looked at any further: they were
    accepted before.
    """
    groups = _groups(client, keys, {each.spec.group for each in checked})
    claimed = _claimed(client, keys, checked)
    strangers = _strangers(client, keys, {_job_of(each) for each in checked})
    fresh: list[Checked] = []
    fitting: set[tuple[str, str]] = set()
    for number, each in enumerate(checked, start=1):
        group, key = groups.get(each.spec.group), each.spec.idempotency_key
        if group is None:
            return Refusal(["unknown_group", each.spec.group])
        if key and (known := claimed.get(key)):
            session, digest = known
            if digest != spec_digest(each):
                return Refusal(["conflict", key, session])
            continue
        if key:
            claimed[key] = (f"number {number} of this call", spec_digest(each))
        if group.full:
            return Refusal(["full", group.full])
        kind = (each.spec.group, each.request.id)
        if kind not in fitting and (refused := strangers.get(_job_of(each)) or _unfit(group, each)):
            return Refusal(refused, each)
        fitting.add(kind)
        fresh.append(each)
    return _over_pending(client, keys, fresh) or _without_parent(client, keys, fresh)


def _job_of(each: Checked) -> tuple[str, str]:
    return each.request.office, each.request.role


def _strangers(
    client: redis.Redis, keys: Keys, wanted: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], list[str]]:
    """Of offices with roles those that do not exist, as lib/office_known answers."""
    asked = sorted(pair for pair in wanted if pair[0])
    with client.pipeline(transaction=False) as pipe:
        for office, role in asked:
            pipe.hmget(keys.office(office), "config", f"role:{role}")
        answers = pipe.execute()
    found: dict[tuple[str, str], list[str]] = {}
    for (office, role), (config, has) in zip(asked, answers, strict=True):
        if not config:
            found[office, role] = ["unknown_office", office]
        elif role and not has:
            found[office, role] = ["unknown_role", office, role]
    return found


def _unfit(group: _Group, each: Checked) -> list[str] | None:
    request = each.request
    if not group.shapes or any(covers(shape, request.need) for shape in group.shapes):
        return None
    return ["unsatisfiable", request.id, each.spec.group]


def _over_pending(client: redis.Redis, keys: Keys, fresh: Sequence[Checked]) -> Refusal | None:
    """The first that a scope would not let wait beside those that wait and those before it, as the script says it."""
    scopes = {scope for each in fresh for scope in each.request.scopes}
    found = ScopeRepository(client, keys).read(scopes)
    uses = {scope: use for scope, use in found.items() if use.limits.limit_waiting}
    for each in fresh if uses else ():
        asked = each.request.families
        own = {scope: uses[scope] for scope in each.request.scopes if scope in uses}
        over = pending_count_refusal(own)[1] or pending_slots_refusal(own, asked)[1]
        if over:
            answer = ["over_pending", each.request.id, *pending_answer(over[0], own[over[0]])]
            return Refusal(answer, each)
        uses |= {scope: use.awaiting(asked) for scope, use in own.items()}
    return None


def _without_parent(client: redis.Redis, keys: Keys, fresh: Sequence[Checked]) -> Refusal | None:
    """The first that depends on a session that is not known, or on none of its office where it may on no other."""
    free = dict.fromkeys(p for each in fresh if not each.within for p in each.parents)
    bound = dict.fromkeys((p, each.within) for each in fresh if each.within for p in each.parents)
    unknown = _unknown(client, keys, free) or _strange(client, keys, bound)
    if not unknown:
        return None
    return Refusal(["no_parent", unknown], next(each for each in fresh if unknown in each.parents))


def _groups(client: redis.Redis, keys: Keys, names: Iterable[str]) -> dict[str, _Group]:
    wanted = sorted(names)
    with client.pipeline(transaction=False) as pipe:
        for name in wanted:
            pipe.sismember(keys.groups(), name)
            pipe.hmget(keys.group(name), "grows", "reachable", "full")
        found = pipe.execute()
    return {
        name: _Group(() if grows == "1" else json.loads(reachable or "[]") or (), full or "")
        for name, known, (grows, reachable, full) in zip(
            wanted, found[::2], found[1::2], strict=True
        )
        if known
    }


def _claimed(
    client: redis.Redis, keys: Keys, checked: Sequence[Checked]
) -> dict[str, tuple[str, str]]:
    """Idempotency keys that are taken, with the session and the digest of what was asked for."""
    wanted = dict.fromkeys(each.spec.idempotency_key or "" for each in checked)
    wanted.pop("", None)
    found: dict[str, tuple[str, str]] = {}
    for names in _chunks(wanted, _NAMES):
        texts: Sequence[Any] = client.mget([keys.idempotency(name) for name in names])
        for name, text in zip(names, texts, strict=True):
            session, _, digest = (text or "").partition(" ")
            if session and digest:
                found[name] = (session, digest)
    return found


def _unknown(client: redis.Redis, keys: Keys, parents: Mapping[str, None]) -> str:
    """The first of the given sessions that does not exist, or ""."""
    for names in _chunks(parents, _NAMES * _COMMANDS):
        with client.pipeline(transaction=False) as pipe:
            some = list(_chunks(names, _NAMES))
            for few in some:
                pipe.exists(*map(keys.session, few))
            counts = pipe.execute()
        for few, count in zip(some, counts, strict=True):
            if count < len(few):
                return next(name for name in few if not client.exists(keys.session(name)))
    return ""


def _strange(client: redis.Redis, keys: Keys, parents: Iterable[tuple[str, str]]) -> str:
    """The first session that is no job of the office beside it, there or not, or ""."""
    for some in _chunks(parents, _NAMES * _COMMANDS):
        with client.pipeline(transaction=False) as pipe:
            for parent, _ in some:
                pipe.hget(keys.session(parent), "job")
            jobs = pipe.execute()
        for (parent, office), job in zip(some, jobs, strict=True):
            if (job or "").partition("/")[0] != office:
                return parent
    return ""


def _chunks(names: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(names)
    while chunk := list(islice(rest, size)):
        yield chunk
