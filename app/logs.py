"""One JSON object per line on stdout, each with the request it belongs to.

An exception is written as its class and the places it passed, never its message: drivers put the row's
values there. URL credentials and tokens are masked in whatever else is written.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

import orjson

from app import metrics

_request_id: ContextVar[str] = ContextVar("request_id", default="-")

# user:password@ in a URL · a compact JWT · an Authorization value
_SECRETS = re.compile(
    r"(?<=://)[^/\s@]+@|eyJ[\w-]+\.[\w-]+\.[\w-]*|(?i:(?<=bearer )\S+|(?<=password=)\S+)", re.ASCII
)
FRAMES = 12  # chosen: enough to pass the framework's own frames


def request_id() -> str:
    """Of the request being served; `-` outside of one."""
    return _request_id.get()


def bind_request_id(value: str) -> None:
    """Everything logged by this task from now on carries `value`."""
    _request_id.set(value)


def mask(message: str) -> str:
    """The message without credentials."""
    return _SECRETS.sub("***", message)


def _failure(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> dict[str, object]:
    places = [f"{frame.filename}:{frame.lineno}:{frame.name}" for frame in traceback.extract_tb(trace)]
    cause = error.__cause__ or error.__context__
    failure: dict[str, object] = {"type": f"{kind.__module__}.{kind.__qualname__}", "at": places[-FRAMES:]}
    sqlstate = getattr(error, "sqlstate", None) or getattr(getattr(error, "orig", None), "sqlstate", None)
    if sqlstate:
        failure["sqlstate"] = str(sqlstate)
    if cause is not None:
        failure["cause"] = f"{type(cause).__module__}.{type(cause).__qualname__}"
    return failure


class JsonFormatter(logging.Formatter):
    """Fields: at (UTC), level, logger, message, request_id, slot; further ones from `extra={"fields": …}`."""

    def __init__(self, slot: str | None) -> None:
        super().__init__()
        self._slot = slot

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": mask(record.getMessage()),
            "request_id": request_id(),
        }
        if self._slot:
            line["slot"] = self._slot
        line.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[0] is not None and record.exc_info[1] is not None:
            line["error"] = _failure(record.exc_info[0], record.exc_info[1], record.exc_info[2])
        return orjson.dumps(line, default=str).decode()


class _Counter(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelname.lower()
        if level in metrics.LOG_LEVELS:
            metrics.log_messages.labels(level).inc()


def configure(level: str, slot: str | None = None, *, stream: TextIO | None = None) -> None:
    """Send every logger of the process, uvicorn's too, as JSON to stdout, or to `stream` instead."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter(slot))
    root = logging.getLogger()
    root.handlers[:] = [handler, _Counter()]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.WARNING if name != "asyncio" else logging.NOTSET)
    logging.captureWarnings(capture=True)
