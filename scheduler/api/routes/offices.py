"""Offices: made, configured, looked at, processed by hand."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from scheduler.api.answers import answer, office_tag, office_view, tagged
from scheduler.api.etags import expected_revision
from scheduler.api.models.common import NOT_MODIFIED, problems
from scheduler.api.models.offices import (
    ConfigChange,
    ConfigView,
    NewOffice,
    OfficeList,
    OfficeView,
    ProcessedView,
    StatsView,
)
from scheduler.api.routing import (
    GuardedRoute,
    IfMatch,
    IfNoneMatch,
    KeyOf,
    OfficeId,
    StoreOf,
    filters,
    needs,
)
from scheduler.domain.api_key import Role
from scheduler.operations.office_time import process_office
from scheduler.operations.offices import delete_office, office_stats

#: How long a request waits for the leaders to have looked, s.
PATIENCE_S = 2.0

router = APIRouter(prefix="/api/offices", tags=["offices"], route_class=GuardedRoute)


@router.get("", response_model=OfficeList, responses=problems(), openapi_extra=filters(Role.VIEWER))
def list_offices(store: StoreOf, key: KeyOf) -> Response:
    """The offices that the key may speak of."""
    names = store.offices.names()
    return answer({"items": [name for name in names if key.office in ("", name)]})


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    response_model=OfficeView,
    responses=problems(400, 409, 413, 415),
    openapi_extra=needs(Role.ADMIN),
)
def create_office(body: NewOffice, store: StoreOf) -> Response:
    """Make an office; what its configuration does not name is as by default."""
    changes: dict[str, Any] = dict(body)
    office = store.offices.create(changes.pop("name"), changes)
    where = f"{router.prefix}/{office.name}"
    return answer(office_view(office), HTTPStatus.CREATED, Location=where, ETag=office_tag(office))


@router.get(
    "/{office_id}",
    response_model=OfficeView,
    responses=problems(404) | NOT_MODIFIED,
    openapi_extra=needs(Role.VIEWER),
)
def show_office(office_id: OfficeId, store: StoreOf, if_none_match: IfNoneMatch = None) -> Response:
    """An office with its configuration; its revision is its ETag."""
    office = store.offices.read(office_id)
    return tagged(office_view(office), office_tag(office), if_none_match)


@router.delete(
    "/{office_id}",
    name="delete_office",
    status_code=HTTPStatus.NO_CONTENT,
    responses=problems(404, 409),
    openapi_extra=needs(Role.ADMIN),
)
def remove_office(
    office_id: OfficeId,
    store: StoreOf,
    *,
    forget: Annotated[
        bool, Query(description="Its ended jobs first, with logs, results and idempotency keys.")
    ] = False,
) -> Response:
    """Delete an office of which no job is left, and revoke its API keys.

    An office of the same name that is made later gets nothing of it.
    """
    delete_office(store, office_id, forget=forget)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.get(
    "/{office_id}/scheduler/stats",
    response_model=StatsView,
    responses=problems(404),
    openapi_extra=needs(Role.VIEWER),
)
def show_stats(office_id: OfficeId, store: StoreOf) -> Response:
    """How an office's queue stands."""
    return answer(office_stats(store, office_id).as_json())


@router.post(
    "/{office_id}/scheduler/process",
    response_model=ProcessedView,
    responses=problems(404),
    openapi_extra=needs(Role.OPERATOR),
)
def process(office_id: OfficeId, store: StoreOf) -> Response:
    """Have all jobs of an office decided anew now, whatever they were refused for.

    The leaders do so by themselves whenever something changes, and each 5 s.
    """
    return answer(process_office(store, office_id, within=PATIENCE_S).as_json())


@router.get(
    "/{office_id}/scheduler/config",
    response_model=ConfigView,
    responses=problems(404) | NOT_MODIFIED,
    openapi_extra=needs(Role.VIEWER),
)
def show_config(office_id: OfficeId, store: StoreOf, if_none_match: IfNoneMatch = None) -> Response:
    """What an office allows its jobs, and what they get where they do not say."""
    office = store.offices.read(office_id)
    return tagged(office_view(office)["config"], office_tag(office), if_none_match)


@router.patch(
    "/{office_id}/scheduler/config",
    response_model=ConfigView,
    responses=problems(400, 404, 412, 413, 415),
    openapi_extra=needs(Role.ADMIN),
)
def change_config(
    office_id: OfficeId, body: ConfigChange, store: StoreOf, if_match: IfMatch = None
) -> Response:
    """Change what is named; the limits hold from now on, and kill nothing that runs."""
    expected = None
    if if_match is not None:
        expected = expected_revision(if_match, store.offices.read(office_id).revision)
    office = store.offices.change(office_id, body, expected)
    return answer(office_view(office)["config"], ETag=office_tag(office))
