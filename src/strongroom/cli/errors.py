"""How a command ends: exit codes and what is printed about a failure.

====  =====================================================================
code  meaning
====  =====================================================================
0     done
1     the server refused (anything not listed below), or a false result
2     usage: unknown option, bad value, exclusive options, bad JSON, no target
3     not authenticated or not allowed (401, 403)
4     not found (404, 410)
5     conflict or locked (409, 412, 423)
6     cannot reach the server: name, connection, TLS, time-out
7     waiting ran out of time
8     the work that was waited for ended badly
130   interrupted
====  =====================================================================
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from strongroom.kernel.errors import (
    Conflict,
    ErrorCode,
    Forbidden,
    Invalid,
    NotFound,
    StrongroomError,
    Unauthenticated,
    Unavailable,
)


class Exit(IntEnum):
    """Exit codes that scripts may rely on."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    NOT_ALLOWED = 3
    NOT_FOUND = 4
    CONFLICT = 5
    UNREACHABLE = 6
    WAITED_TOO_LONG = 7
    WORK_FAILED = 8
    INTERRUPTED = 130


_BY_STATUS = {
    401: Exit.NOT_ALLOWED,
    403: Exit.NOT_ALLOWED,
    404: Exit.NOT_FOUND,
    410: Exit.NOT_FOUND,
    409: Exit.CONFLICT,
    412: Exit.CONFLICT,
    423: Exit.CONFLICT,
}

_BY_CATEGORY: tuple[tuple[type[StrongroomError], Exit], ...] = (
    (Invalid, Exit.USAGE),
    (Unauthenticated, Exit.NOT_ALLOWED),
    (Forbidden, Exit.NOT_ALLOWED),
    (NotFound, Exit.NOT_FOUND),
    (Conflict, Exit.CONFLICT),
    (Unavailable, Exit.UNREACHABLE),
)


class CommandError(StrongroomError):
    """A command cannot go on; it knows its exit code.

    Args:
        detail: one sentence for the user; never a secret value.
        exit_code: how the process ends.
        code: stable word, for ``--output json``.
        field: option at fault (``--service-url``).
        hint: what to try next.
    """

    def __init__(
        self,
        detail: str,
        *,
        exit_code: Exit,
        code: ErrorCode = ErrorCode.INVALID_FIELD,
        field: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(code, detail, field=field, hint=hint)
        self.exit_code = exit_code


class ServerRefused(CommandError):
    """The server answered with an error.

    Args:
        status: HTTP status.
        body: the error body as it came, an object; printed unchanged with ``--output json``.
        hint: what to try next.
    """

    def __init__(self, *, status: int, body: dict[str, Any], hint: str | None = None) -> None:
        problems = problems_of(body)
        super().__init__(
            problems[0].message if problems else f"The server answered with status {status}.",
            exit_code=_BY_STATUS.get(status, Exit.REFUSED),
            code=known_code(problems[0].code if problems else None),
            field=problems[0].field if problems else None,
            hint=hint,
        )
        self.status = status
        self.body = body
        self.problems = problems


class Problem:
    """One entry of an error body."""

    __slots__ = ("code", "field", "message", "more_info")

    def __init__(self, *, message: str, code: str | None, field: str | None, more_info: str | None) -> None:
        self.message = message
        self.code = code
        self.field = field
        self.more_info = more_info

    def line(self) -> str:
        """Return field, sentence and code on one line."""
        start = f"{self.field}: " if self.field and self.field not in self.message else ""
        end = f" ({self.code})" if self.code else ""
        return f"{start}{self.message}{end}"


def problems_of(body: dict[str, Any]) -> list[Problem]:
    """Read the errors out of any of the error forms that a server or a proxy before it uses."""
    listed = body.get("errors")
    found: list[Problem] = []
    for entry in listed if isinstance(listed, list) else []:
        if not isinstance(entry, dict):
            continue
        target = entry.get("target")
        name = target.get("name") if isinstance(target, dict) else None
        found.append(
            Problem(
                message=_text(entry.get("message")) or "No reason was given.",
                code=_text(entry.get("code")),
                field=_text(name),
                more_info=_text(entry.get("more_info")),
            )
        )
    if found:
        return found
    # The token endpoint answers in the identity service's own form.
    details = _text(body.get("errorDetails"))
    for key in ("errorMessage", "error", "message"):
        message = _text(body.get(key))
        if message:
            whole = f"{message} {details}" if details and details != message else message
            return [Problem(message=whole, code=_text(body.get("errorCode")), field=None, more_info=None)]
    return []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def known_code(word: str | None) -> ErrorCode:
    """Return the code of this name; a newer server may use words this client does not know."""
    try:
        return ErrorCode(word or "")
    except ValueError:
        return ErrorCode.UPSTREAM_REFUSED


def exit_code_of(error: StrongroomError) -> Exit:
    """Return the exit code for an error of any layer."""
    if isinstance(error, CommandError):
        return error.exit_code
    for category, code in _BY_CATEGORY:
        if isinstance(error, category):
            return code
    return Exit.REFUSED


def error_lines(error: StrongroomError) -> list[str]:
    """Return what a person should read about an error, most important first."""
    if isinstance(error, ServerRefused):
        lines = [problem.line() for problem in error.problems] or [error.detail]
        lines += [f"See {link}" for link in dict.fromkeys(p.more_info for p in error.problems) if link]
        trace = _text(error.body.get("trace"))
        if trace:
            lines.append(f"Trace: {trace}")
    else:
        start = f"{error.field}: " if error.field and error.field not in error.detail else ""
        lines = [start + error.detail]
        lines += [f"{cause.field}: {cause.detail}" if cause.field else cause.detail for cause in error.causes]
    if error.hint:
        lines.append(error.hint)
    return lines


def error_body(error: StrongroomError) -> dict[str, Any]:
    """Return the object that stands on stderr with ``--output json`` or ``yaml``."""
    if isinstance(error, ServerRefused):
        return error.body
    entry: dict[str, Any] = {"code": str(error.code), "message": error.detail}
    if error.field:
        entry["option"] = error.field
    if error.hint:
        entry["hint"] = error.hint
    return {"errors": [entry], "status_code": None, "exit_code": int(exit_code_of(error))}
