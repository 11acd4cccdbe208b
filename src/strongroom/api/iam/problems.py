"""Errors of the token endpoint, in the form that IAM clients read."""

from __future__ import annotations

from typing import Final

from strongroom.api.operations import Reply
from strongroom.api.problems import retry_headers, status_of, visible_detail
from strongroom.kernel.errors import ErrorCode, StrongroomError

_REFERENCE_CODES: Final = {ErrorCode.CREDENTIAL_REFUSED: "BXNIM0415E"}
"""Codes that clients of the reference look for; all others are our own words."""


def iam_problem(error: StrongroomError, trace: str) -> Reply:
    """Render ``{errorCode, errorMessage, errorDetails}`` (design, section 8, "401")."""
    details = "; ".join(visible_detail(cause) for cause in error.causes) or error.hint or visible_detail(error)
    body = {
        "errorCode": _REFERENCE_CODES.get(error.code, error.code.value),
        "errorMessage": visible_detail(error),
        "errorDetails": details,
        "context": {"requestId": trace},
    }
    return Reply(body=body, status=status_of(error), headers=retry_headers(error))
