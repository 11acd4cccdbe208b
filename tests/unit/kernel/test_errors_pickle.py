from __future__ import annotations

import pickle
from datetime import timedelta

import pytest

from strongroom.kernel.errors import Conflict, ErrorCode, Invalid, LimitReached, Problems, StrongroomError


def test_an_error_keeps_every_field_across_processes() -> None:
    cause = Invalid(ErrorCode.KEY_UNREADABLE, "cannot read it", field="private_key", hint="convert it")
    error = LimitReached(
        ErrorCode.LIMIT_REACHED,
        "too many",
        field="labels",
        hint="send fewer",
        help_page="limits",
        retry_after=timedelta(seconds=3),
        causes=[cause],
        reference_code="07002",
    )

    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes

    assert type(copy) is LimitReached
    assert str(copy) == "too many"
    assert (copy.code, copy.detail, copy.field, copy.hint) == (error.code, "too many", "labels", "send fewer")
    assert (copy.help_page, copy.retry_after) == ("limits", timedelta(seconds=3))
    assert copy.reference_code == "07002"
    assert [(type(c), c.code, c.field, c.hint) for c in copy.causes] == [
        (Invalid, ErrorCode.KEY_UNREADABLE, "private_key", "convert it")
    ]


@pytest.mark.parametrize("kind", [Invalid, Conflict, StrongroomError])
def test_the_kind_of_error_survives_pickling(kind: type[StrongroomError]) -> None:
    assert type(pickle.loads(pickle.dumps(kind(ErrorCode.INTERNAL, "x")))) is kind  # noqa: S301 - our own bytes


def test_problems_found_together_keep_the_help_page_of_the_first() -> None:
    problems = Problems()
    problems.note(Invalid(ErrorCode.KEY_UNREADABLE, "a", field="private_key", help_page="import-problems"))
    problems.add("name", "b")
    with pytest.raises(Invalid) as caught:
        problems.raise_any()
    assert caught.value.help_page == "import-problems"
    assert [cause.field for cause in caught.value.causes] == ["private_key", "name"]
