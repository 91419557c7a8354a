"""Structured logs: one line of JSON (or, on a terminal, of colour) per event, secrets taken out."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, TextIO

# Imported when something is logged: it brings rich and pygments along, which is a fifth of the time
# that a short command takes, and most of them log nothing.
if TYPE_CHECKING:
    import structlog

_SECRET_NAME = re.compile(r"secret|password|token|authorization|agent_key|^mac$", re.IGNORECASE)
#: A key of the HTTP API; its id may be told, which stands in logs of its own.
_API_KEY = re.compile(r"\bsk_[0-9a-f]+_[\w-]+")
_URL_PASSWORD = re.compile(r"(\w+://[^/\s:@]*):[^@\s]+@")


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take secrets out of a log line: by the name of the field, and from URLs inside texts."""
    for name, value in event.items():
        if _SECRET_NAME.search(name):
            event[name] = "***"
        elif isinstance(value, str):
            event[name] = _API_KEY.sub("sk_***", _URL_PASSWORD.sub(r"\1:***@", value))
    return event


def configure(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Set logging up for a process; called once, by its entry point."""
    import structlog  # noqa: PLC0415

    out = stream or sys.stderr
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if out.isatty() else structlog.processors.JSONRenderer()
    )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=True,
    )
    # RQ and python-redis-lock speak through the standard library, and RQ's lines hold arguments.
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for noisy in ("rq", "redis_lock"):
        logging.getLogger(noisy).setLevel(logging.ERROR)


def get_logger(**context: Any) -> structlog.typing.FilteringBoundLogger:
    """A logger whose every line carries the context, such as agent, group or term."""
    import structlog  # noqa: PLC0415

    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(**context)
    return logger
