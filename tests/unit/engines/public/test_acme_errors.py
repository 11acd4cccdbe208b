"""What ACME servers say went wrong."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from strongroom.domain.orders.acme import AcmeProblem
from strongroom.engines.public.acme_errors import MAX_TEXT, clean, read_problem, refusal
from strongroom.kernel.errors import Unavailable

URN = "urn:ietf:params:acme:error:"


def refused(status: int, document: Any) -> AcmeProblem:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    problem = refusal("acme.example.com", status, body, None)
    assert isinstance(problem, AcmeProblem)
    return problem


@pytest.mark.parametrize(
    ("urn", "expected"),
    [
        (f"{URN}rateLimited", "rateLimited"),
        ("urn:acme:error:badNonce", "badNonce"),
        ("https://acme.example.com/problems/tooSlow", "tooSlow"),
        ("https://acme.example.com/problems#quota", "quota"),
        (f"{URN}caa", "caa"),
    ],
)
def test_type_is_the_last_part(urn: str, expected: str) -> None:
    assert refused(403, {"type": urn, "detail": "no"}).problem_type == expected


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<html>Forbidden</html>",
        b"\xff\xfe",
        b"[" * 100_000,
        b"9" * 10_000,
        [],
        "text",
        None,
        {},
        {"type": 7},
        {"type": "about blank"},
        {"type": f"{URN}"},
        {"type": f"{URN}two words"},
        {"type": f"{URN}{'x' * 100}"},
        {"detail": "no type"},
    ],
    ids=range(15),
)
def test_answer_that_is_no_problem_document_is_malformed(document: Any) -> None:
    problem = refused(403, document)
    assert problem.problem_type == "malformed"
    assert "acme.example.com" in problem.detail
    assert "403" in problem.detail


def test_too_many_requests_need_no_document() -> None:
    problem = refusal("acme.example.com", 429, b"slow down", timedelta(minutes=5))
    assert isinstance(problem, AcmeProblem)
    assert problem.problem_type == "rateLimited"
    assert problem.retry_after == timedelta(minutes=5)
    assert not problem.is_final


def test_subproblems_are_told_after_their_names() -> None:
    problem = refused(
        403,
        {
            "type": f"{URN}rejectedIdentifier",
            "detail": "Some names are refused",
            "subproblems": [
                {
                    "type": f"{URN}rejectedIdentifier",
                    "detail": "forbidden by policy",
                    "identifier": {"type": "dns", "value": "A.example.com"},
                },
                {"type": f"{URN}caa", "identifier": {"type": "dns", "value": "b.example.com"}},
                {"detail": "about nobody"},
                "nonsense",
                {"type": f"{URN}dns", "detail": 7, "identifier": "nonsense"},
            ],
        },
    )
    expected = "Some names are refused; a.example.com: forbidden by policy; b.example.com: caa; about nobody; dns"
    assert problem.detail == expected
    assert problem.identifiers == ("a.example.com", "b.example.com")


@pytest.mark.parametrize(
    ("inner", "expected"),
    [(["caa", "caa"], "caa"), (["caa", "dns"], "compound"), ([], "compound")],
)
def test_compound_problem_has_the_type_that_all_its_parts_share(inner: list[str], expected: str) -> None:
    subproblems = [{"type": f"{URN}{name}", "detail": "no"} for name in inner]
    assert refused(400, {"type": f"{URN}compound", "subproblems": subproblems}).problem_type == expected


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504, 599])
def test_server_that_is_busy_is_unavailable(status: int) -> None:
    body = json.dumps({"type": f"{URN}serverInternal", "detail": "the database\nsleeps"}).encode()
    problem = refusal("acme.example.com", status, body, timedelta(seconds=9))
    assert isinstance(problem, Unavailable)
    assert problem.retry_after == timedelta(seconds=9)
    assert "the database sleeps" in problem.detail
    assert str(status) in problem.detail


def test_redirect_is_not_followed_and_said() -> None:
    problem = refused(302, b"")
    assert problem.problem_type == "malformed"
    assert "redirect" in problem.detail


def test_texts_are_put_on_one_line_without_control_characters() -> None:
    assert clean("a\x00b\r\n\tc\x1b[31m\u202ed\u2028e  f\x7f") == "a b c [31m d e f"
    assert clean(None) == ""
    assert clean({"no": "text"}) == ""


def test_long_texts_are_cut() -> None:
    text = clean("x" * 10_000)
    assert len(text) == MAX_TEXT
    assert text.endswith("…")
    huge = {"type": f"{URN}dns", "detail": "y" * 5000, "subproblems": [{"detail": "z" * 5000}] * 5000}
    problem = read_problem(huge)
    assert problem is not None
    assert len(problem.text) == MAX_TEXT


@pytest.mark.parametrize("document", [None, [], "x", 3, {"detail": "x"}])
def test_what_is_no_problem_is_none(document: object) -> None:
    assert read_problem(document) is None
