"""Answers: JSON that is written as fast as it can be, and the views of jobs and offices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

from scheduler.api.etags import etag, is_known
from scheduler.domain.job import JobExecution
from scheduler.domain.office import Office, as_json


def answer(body: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK, **headers: str) -> Response:
    """A JSON answer; of ``headers`` an underscore is written as a dash."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(orjson.dumps(body), status, named, "application/json")


def tagged(body: Mapping[str, Any], tag: str, asked: str | None) -> Response:
    """What was asked for with its tag; 304 where who asks has it already."""
    if is_known(asked, tag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": tag})
    return answer(body, ETag=tag)


def office_view(office: Office) -> dict[str, Any]:
    """An office as it is shown."""
    return {"name": office.name, "revision": office.revision, "config": as_json(office.config)}


def office_tag(office: Office) -> str:
    """The tag of an office's configuration: its revision."""
    return etag(office.revision)


def execution_view(execution: JobExecution) -> dict[str, Any]:
    """A try to run a job as it is shown."""
    shown = asdict(execution)
    del shown["job"]
    return {**shown, "agents": list(execution.agents), "status": str(execution.status)}
