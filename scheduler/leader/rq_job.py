"""The RQ job that carries an order's id, as the installed RQ itself would write it."""

from __future__ import annotations

import json
from typing import Any, cast

from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from scheduler.protocol.names import ENTRY_FUNCTION, queue_name

ORDER, AGENT = "@order@", "@agent@"


def template(namespace: str) -> list[str]:
    """Names and values of an RQ job's hash, with places for order and agent that the commit script fills.

    Made from the installed RQ's own ``Job``, so that stock workers, ``rq info`` and dashboards read
    it whatever that version's fields are. ``data`` is plain JSON: RQ reads it compressed or not.
    """
    job = Job.create(
        func=ENTRY_FUNCTION,
        args=(AGENT, ORDER),
        connection=cast("Redis", _NoConnection()),
        origin=queue_name(namespace, AGENT),
        # RQ logs the description, which would else hold the arguments.
        description=f"order {ORDER}",
        serializer=JSONSerializer,
        timeout=180,
        result_ttl=0,
    )
    fields: dict[str, Any] = job.to_dict()
    fields["data"] = json.dumps([ENTRY_FUNCTION, None, [AGENT, ORDER], {}])
    fields["status"] = "queued"
    flat: list[str] = []
    for name, value in fields.items():
        # RQ reads a field that is empty and one that is missing the same, and ten of fifteen are.
        if text := value.decode() if isinstance(value, bytes) else str(value):
            flat += [name, text]
    return flat


class _NoConnection:
    """A job is only described here, never saved; RQ wants something to hold all the same."""
