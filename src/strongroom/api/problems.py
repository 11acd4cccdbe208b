"""The one table from errors to HTTP answers."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from strongroom.api.operations import Reply
from strongroom.kernel.errors import (
    Conflict,
    ErrorCode,
    Forbidden,
    Integrity,
    Internal,
    Invalid,
    LimitReached,
    NotFound,
    StrongroomError,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Upstream,
)
from strongroom.kernel.secret import scrub

T = TypeVar("T")

_BY_CATEGORY: Final[dict[type[StrongroomError], int]] = {
    Invalid: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    LimitReached: 400,
    TooLarge: 413,
    Unavailable: 503,
    Upstream: 502,
    Integrity: 500,
    Internal: 500,
}
_BY_CODE: Final[dict[ErrorCode, int]] = {
    ErrorCode.AMBIGUOUS_NAME: 300,
    ErrorCode.SECRET_VERSION_LOCKED: 412,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: 415,
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.NOT_ACCEPTABLE: 406,
    ErrorCode.TOO_MANY_ATTEMPTS: 429,
}
_HIDDEN: Final = (Integrity, Internal)
"""Their details stay in the log."""


async def bugs_hidden(work: Awaitable[T], crashed: Callable[[Exception], None]) -> T:
    """Await the work; a bug in it is told to ``crashed`` and becomes `Internal`.

    Raises:
        StrongroomError: what the work refuses, or `Internal` in the place of any other exception.
    """
    try:
        return await work
    except StrongroomError as error:
        if isinstance(error, _HIDDEN):
            # Their details leave the process in the log alone.
            crashed(error)
        raise
    except Exception as error:  # noqa: BLE001  (the last line of defence)
        crashed(error)
        raise Internal(ErrorCode.INTERNAL, "unexpected error") from None


def status_of(error: StrongroomError) -> int:
    """Return the HTTP status of an error."""
    by_code = _BY_CODE.get(error.code)
    if by_code is not None:
        return by_code
    return next(status for category, status in _BY_CATEGORY.items() if isinstance(error, category))


def retry_headers(error: StrongroomError) -> dict[str, str]:
    """Return ``Retry-After`` in whole seconds where the error knows it."""
    if error.retry_after is None:
        return {}
    return {"Retry-After": str(max(1, math.ceil(error.retry_after.total_seconds())))}


def visible_detail(error: StrongroomError) -> str:
    """Return the sentence that may leave the process."""
    if isinstance(error, _HIDDEN):
        return "The server could not complete the request. Give the trace id to its operator."
    # A detail may name what was sent, and people put keys and tokens into the wrong fields.
    return scrub(error.detail)


def errors_reply(error: StrongroomError, trace: str, base_url: str = "") -> Reply:
    """Render the envelope of API v2 and of the identity operations (api-v2 section 1.7)."""
    status = status_of(error)
    headers = retry_headers(error)
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="strongroom"'
    causes = error.causes if error.causes and not isinstance(error, _HIDDEN) else (error,)
    body = {
        "errors": [_one(cause, base_url) for cause in causes],
        "trace": trace,
        "status_code": status,
    }
    return Reply(body=body, status=status, headers=headers)


def _one(error: StrongroomError, base_url: str) -> dict[str, Any]:
    detail = visible_detail(error)
    item: dict[str, Any] = {"code": error.code.value, "message": detail}
    if isinstance(error, _HIDDEN):
        return item
    if error.hint:
        item["message"] = f"{detail} {error.hint}"
    if error.field:
        # Members of the API are written in lower case, headers are not.
        item["target"] = {"type": "header" if error.field[0].isupper() else "field", "name": scrub(error.field)}
    if error.reference_code:
        item["reference_code"] = error.reference_code
    if error.help_page:
        item["more_info"] = f"{base_url}/docs/guide/{error.help_page}"
    return item
