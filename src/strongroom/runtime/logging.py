"""Logs: one JSON object per line on standard error, and nothing secret in any of them.

Three nets, because one slip would be enough: values of type `Secret` and members with a telling name
become stars; whatever looks like a private key, a token or an API key inside a text does too; and of
an unexpected error only the types and places are kept, its text only where it cannot hold user data.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from collections.abc import Mapping, MutableMapping
from datetime import datetime, timedelta
from enum import Enum
from pathlib import PurePath
from types import TracebackType
from typing import Any, Final

from strongroom.kernel.clock import SystemClock
from strongroom.kernel.errors import StrongroomError
from strongroom.kernel.secret import STARS, Secret, scrub

_TELLING: Final = (
    "private_key",
    "privatekey",
    "payload",
    "apikey",
    "api_key",
    "token",
    "password",
    "passphrase",
    "authorization",
    "cookie",
    "secret_data",
    "credential",
)
_HARMLESS_TEXT: Final = (StrongroomError, OSError, ImportError, AttributeError, NameError, AssertionError)
"""Errors whose text names files, attributes or rules, never values that somebody sent."""
_CHATTY: Final = ("alembic", "httpcore2")
"""Libraries that tell at every start what nobody asked, or what other servers answered."""
_DEEPEST: Final = 6
_MOST_FRAMES: Final = 40
_MOST_CAUSES: Final = 5

_ErrorInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class Log:
    """Writes the lines of one part of the server.

    Args:
        component: stands in every line.
    """

    __slots__ = ("_component",)

    _level = logging.INFO
    _clock: Final = SystemClock()

    def __init__(self, component: str) -> None:
        self._component = component

    @classmethod
    def set_level(cls, level: int) -> None:
        """Write lines of this level and above, whoever has the logger already."""
        cls._level = level

    def is_enabled_for(self, level: int) -> bool:
        """Tell whether a line of this level would be written; for lines that cost something to make."""
        return level >= self._level

    def debug(self, event: str, **fields: Any) -> None:
        """Write what only somebody who looks for a fault wants to see."""
        self.log(logging.DEBUG, event, **fields)

    def info(self, event: str, **fields: Any) -> None:
        """Write what happened."""
        self.log(logging.INFO, event, **fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Write what went wrong and is being dealt with."""
        self.log(logging.WARNING, event, **fields)

    def error(self, event: str, **fields: Any) -> None:
        """Write what went wrong and needs somebody."""
        self.log(logging.ERROR, event, **fields)

    def log(self, level: int, event: str, **fields: Any) -> None:
        """Write one line.

        Args:
            level: a number of `logging`.
            event: a constant sentence; what varies belongs into fields.
            fields: become members; ``exc_info`` is described by types and places only.
        """
        if level < self._level:
            return
        line = {
            "timestamp": self._clock.now().isoformat(),
            "level": logging.getLevelName(level).lower(),
            "component": self._component,
            "event": event,
            **fields,
        }
        sys.stderr.write(_serialise(drop_secrets(describe_error(line))) + "\n")
        sys.stderr.flush()


def configure_logging(level: str) -> None:
    """Send every log of the process to standard error.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``; what is below it is not written.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    Log.set_level(number)
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, StandardLogs):
            root.removeHandler(handler)
    root.addHandler(StandardLogs())
    root.setLevel(number)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    logging.captureWarnings(capture=True)
    threading.excepthook = _log_dead_thread


def logger(name: str) -> Log:
    """Return the logger of one part of the server; usable before `configure_logging`."""
    return Log(name)


class StandardLogs(logging.Handler):
    """Hands the records of `logging` (uvicorn, warnings, the store) to our logger."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record like one of ours."""
        fields: dict[str, Any] = {"exc_info": record.exc_info} if record.exc_info else {}
        try:
            logger(record.name).log(record.levelno, record.getMessage(), **fields)
        except Exception:  # noqa: BLE001  (a log line must never break what it tells about)
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (the name is logging's)
        """Say that a record could not be written, without its arguments."""
        sys.stderr.write(json.dumps({"event": "a log record could not be written", "component": record.name}) + "\n")


def describe_error(event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace ``exc_info`` by types and places, without local variables."""
    info = _error_info(event.pop("exc_info", None))
    if info is not None:
        event["error"] = _describe(info[1])
    return event


def drop_secrets(event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace whatever is or may be secret by stars."""
    for name, value in event.items():
        event[name] = _cleaned(name, value, 0)
    return event


def _cleaned(name: str, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Secret) or _is_telling(name) or depth > _DEEPEST:
        return STARS
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, Mapping):
        return {str(key): _cleaned(str(key), item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_cleaned("", item, depth + 1) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, PurePath):
        return str(value)
    # Neither bytes nor objects are written: their text may show what they hold.
    return f"<{type(value).__name__}>"


def _is_telling(name: str) -> bool:
    lowered = name.lower().replace("-", "_")
    return any(word in lowered for word in _TELLING)


def _error_info(value: Any) -> _ErrorInfo | None:
    if isinstance(value, BaseException):
        return type(value), value, value.__traceback__
    if isinstance(value, tuple) and len(value) == 3 and isinstance(value[1], BaseException):
        return value
    if value:
        current = sys.exc_info()
        return current if current[0] is not None else None
    return None


def _describe(error: BaseException) -> dict[str, Any]:
    text = str(error) if isinstance(error, _HARMLESS_TEXT) else None
    frames = traceback.extract_tb(error.__traceback__)[-_MOST_FRAMES:]
    described: dict[str, Any] = {
        "type": type(error).__name__,
        "at": [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames],
    }
    if text:
        described["message"] = text
    if isinstance(error, StrongroomError):
        described["code"] = error.code.value
    causes: list[str] = []
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    while cause is not None and len(causes) < _MOST_CAUSES:
        causes.append(type(cause).__name__)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    if causes:
        described["causes"] = causes
    return described


def _short(filename: str) -> str:
    """Return the path from the package on; where it is installed is nobody's business."""
    parts = PurePath(filename).parts
    for anchor in ("site-packages", "src"):
        if anchor in parts:
            return "/".join(parts[len(parts) - parts[::-1].index(anchor) :])
    return "/".join(parts[-2:])


def _serialise(event: Any) -> str:
    return json.dumps(event, ensure_ascii=False, default=lambda value: f"<{type(value).__name__}>")


def _log_dead_thread(arguments: threading.ExceptHookArgs) -> None:
    name = arguments.thread.name if arguments.thread is not None else "unknown"
    logger("threads").error("a thread ended by an error", thread=name, exc_info=arguments.exc_value)
