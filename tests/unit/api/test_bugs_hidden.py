"""What clients do not get to see goes to the log."""

from __future__ import annotations

import asyncio

import pytest

from strongroom.api.problems import bugs_hidden
from strongroom.kernel.errors import ErrorCode, Integrity, Internal, NotFound, StrongroomError


async def _broken(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "told", "raised"),
    [
        (ValueError("bug"), True, Internal),
        (Integrity(ErrorCode.INTEGRITY_FAILED, "The sealed value was moved."), True, Integrity),
        (Internal(ErrorCode.INTERNAL, "The index is out of step."), True, Internal),
        (NotFound(ErrorCode.NOT_FOUND, "There is none."), False, NotFound),
    ],
)
def test_details_that_are_hidden_from_clients_are_logged(
    error: Exception, told: bool, raised: type[StrongroomError]
) -> None:
    heard: list[Exception] = []
    with pytest.raises(raised):
        asyncio.run(bugs_hidden(_broken(error), heard.append))
    assert heard == ([error] if told else [])
