"""The document of the API: what FastAPI finds, with keys and problems."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from scheduler.api.models.common import Problem

TITLE: Final = "session-scheduler"
_SAYS: Final = (
    "Offices and their jobs over HTTP. Every request shows an API key, which"
    " `scheduler key create` makes: `Authorization: Bearer sk_ID_SECRET`."
    " Errors are problems (RFC 9457): one sentence, and a status that says whose mistake it was."
)


def document(app: FastAPI) -> dict[str, Any]:
    """The document, made once."""
    if app.openapi_schema is None:
        found = get_openapi(title=TITLE, version=app.version, description=_SAYS, routes=app.routes)
        parts = found.setdefault("components", {})
        schemas = parts.setdefault("schemas", {})
        for ours in ("HTTPValidationError", "ValidationError"):
            schemas.pop(ours, None)
        schemas["Problem"] = Problem.model_json_schema()
        parts["securitySchemes"] = {
            "key": {"type": "http", "scheme": "bearer", "description": "`sk_ID_SECRET`"}
        }
        found["security"] = [{"key": []}]
        app.openapi_schema = found
    return app.openapi_schema
