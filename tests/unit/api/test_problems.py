"""The table from errors to answers is complete, and hides what must stay inside."""

from __future__ import annotations

from datetime import timedelta

import pytest

from strongroom.api import problems
from strongroom.api.problems import errors_reply, status_of
from strongroom.kernel.errors import (
    Conflict,
    ErrorCode,
    Forbidden,
    Integrity,
    Internal,
    Invalid,
    LimitReached,
    NotFound,
    Problems,
    StrongroomError,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Upstream,
)

# Whoever imported the commands before has one more, which never meets the table.
CATEGORIES = [kind for kind in StrongroomError.__subclasses__() if kind.__module__ == StrongroomError.__module__]
PLANTED = "planted-secret-value"


def test_every_category_has_a_status() -> None:
    assert set(problems._BY_CATEGORY) == set(CATEGORIES)


@pytest.mark.parametrize("code", list(ErrorCode))
@pytest.mark.parametrize("category", CATEGORIES)
def test_every_error_has_an_answer(category: type[StrongroomError], code: ErrorCode) -> None:
    reply = errors_reply(category(code, "A sentence."), "trace-id")

    assert reply.status is not None
    assert reply.status == 300 or 400 <= reply.status <= 503
    assert reply.body["status_code"] == reply.status
    assert reply.body["trace"] == "trace-id"
    assert reply.body["errors"][0]["code"] == code.value
    assert reply.body["errors"][0]["message"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Invalid(ErrorCode.INVALID_FIELD, ""), 400),
        (LimitReached(ErrorCode.LIMIT_REACHED, ""), 400),
        (Unauthenticated(ErrorCode.TOKEN_MISSING, ""), 401),
        (Forbidden(ErrorCode.FORBIDDEN, ""), 403),
        (NotFound(ErrorCode.NOT_FOUND, ""), 404),
        (Conflict(ErrorCode.METHOD_NOT_ALLOWED, ""), 405),
        (Invalid(ErrorCode.NOT_ACCEPTABLE, ""), 406),
        (Conflict(ErrorCode.ALREADY_EXISTS, ""), 409),
        (Conflict(ErrorCode.SECRET_VERSION_LOCKED, ""), 412),
        (TooLarge(ErrorCode.REQUEST_TOO_LARGE, ""), 413),
        (Invalid(ErrorCode.UNSUPPORTED_MEDIA_TYPE, ""), 415),
        (LimitReached(ErrorCode.TOO_MANY_ATTEMPTS, ""), 429),
        (Internal(ErrorCode.INTERNAL, ""), 500),
        (Integrity(ErrorCode.INTEGRITY_FAILED, ""), 500),
        (Upstream(ErrorCode.UPSTREAM_REFUSED, ""), 502),
        (Unavailable(ErrorCode.UNAVAILABLE, ""), 503),
    ],
)
def test_the_statuses_are_those_of_the_contract(error: StrongroomError, status: int) -> None:
    assert status_of(error) == status


@pytest.mark.parametrize("category", [Internal, Integrity])
def test_nothing_of_an_internal_error_leaves(category: type[StrongroomError]) -> None:
    cause = Invalid(ErrorCode.INVALID_FIELD, PLANTED)
    error = category(ErrorCode.INTERNAL, PLANTED, field=PLANTED, hint=PLANTED, help_page=PLANTED, causes=[cause, cause])

    reply = errors_reply(error, "trace-id", "https://strongroom.example.com")

    assert PLANTED not in str(reply)
    assert len(reply.body["errors"]) == 1


def test_every_broken_rule_is_listed_with_its_field() -> None:
    found = Problems()
    found.add("name", "name is too long.")
    found.add("labels[2]", "A label is too short.", hint="Use two characters or more.")
    with pytest.raises(Invalid) as caught:
        found.raise_any()

    body = errors_reply(caught.value, "t").body

    assert [(one["target"]["name"], one["message"]) for one in body["errors"]] == [
        ("name", "name is too long."),
        ("labels[2]", "A label is too short. Use two characters or more."),
    ]


def test_a_help_page_becomes_a_link_below_the_base() -> None:
    error = Invalid(ErrorCode.CERTIFICATE_UNREADABLE, "No.", help_page="import-problems")

    (item,) = errors_reply(error, "t", "https://strongroom.example.com").body["errors"]

    assert item["more_info"] == "https://strongroom.example.com/docs/guide/import-problems"


@pytest.mark.parametrize(("wait", "seconds"), [(0.2, "1"), (1.2, "2"), (60, "60"), (-5, "1")])
def test_retry_after_is_whole_seconds_and_at_least_one(wait: float, seconds: str) -> None:
    error = LimitReached(ErrorCode.TOO_MANY_ATTEMPTS, "Wait.", retry_after=timedelta(seconds=wait))

    assert errors_reply(error, "t").headers["Retry-After"] == seconds


def test_the_number_of_the_reference_stands_beside_the_code() -> None:
    cause = Invalid(ErrorCode.ACME_ACCOUNT_NOT_FOUND, "The CA knows no account of it.", reference_code="07023")

    reply = errors_reply(cause, "trace-id")

    assert reply.body["errors"] == [
        {"code": "acme_account_not_found", "message": "The CA knows no account of it.", "reference_code": "07023"}
    ]
    hidden = errors_reply(Internal(ErrorCode.INTERNAL, "a bug", reference_code="07023"), "trace-id")
    assert "reference_code" not in hidden.body["errors"][0]


def test_one_of_several_problems_keeps_its_number_in_front() -> None:
    found = Problems()
    found.note(Invalid(ErrorCode.KEY_UNREADABLE, "No key.", field="key", reference_code="07021"))
    found.add("name", "Too short.")

    with pytest.raises(Invalid) as raised:
        found.raise_any()
    assert raised.value.reference_code == "07021"
    assert [cause.reference_code for cause in raised.value.causes] == ["07021", None]
