"""From a request to its answer: who is asking, what may be asked, and what is never told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from strongroom.api.app import build_app
from strongroom.api.client_address import ClientAddress
from strongroom.api.edge import Edge
from strongroom.api.operations import Call, Pending, Reply, Work
from strongroom.domain.access.actions import Action
from strongroom.domain.audit.record import Outcome, Target
from strongroom.domain.change import Refused
from strongroom.kernel.errors import (
    Conflict,
    ErrorCode,
    Integrity,
    Invalid,
    NotFound,
    StrongroomError,
    Unavailable,
)
from tests.unit.api.asgi import READER, URL, Ears, FakeStorage, Server, echo, operation

PLANTED = "planted-secret-value"


def raises(error: BaseException) -> Any:
    def handler(_: Call) -> Reply:
        raise error

    return handler


# --- who is asking


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "token_missing"),
        ({"Authorization": ""}, "token_missing"),
        ({"Authorization": "Bearer"}, "token_invalid"),
        ({"Authorization": "Bearer  "}, "token_invalid"),
        ({"Authorization": "Basic Yng6Yng="}, "token_invalid"),
        ({"Authorization": "Bearer nobody"}, "token_invalid"),
        ({"Authorization": "Bearer old-token"}, "token_expired"),
        ({"Authorization": "Bearer " + "x" * 20_000}, "token_invalid"),
    ],
)
def test_a_caller_without_a_good_token_is_401(headers: dict[str, str], code: str) -> None:
    server = Server([operation(raises(AssertionError("reached")))])

    answer = server.ask("GET", "/things", token=None, headers=headers)

    assert (answer.status, answer.error["code"]) == (401, code)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert server.storage.trail[0].outcome is Outcome.DENIED


def test_the_word_bearer_counts_in_any_case() -> None:
    assert (
        Server([operation(echo)]).ask("GET", "/things", headers={"Authorization": "bEARER manager-token"}).status == 200
    )


def test_a_caller_without_the_action_is_403_before_the_body_is_read() -> None:
    server = Server([operation(echo, method="POST", action=Action.SECRET_DELETE)])

    answer = server.ask("POST", "/things", [], token=READER)

    assert (answer.status, answer.error["code"]) == (403, "forbidden")


def test_the_guard_refuses_before_the_body_is_read() -> None:
    server = Server([operation(echo, method="POST", guard=raises(NotFound(ErrorCode.NOT_FOUND, "No such thing.")))])

    answer = server.ask("POST", "/things", [])

    assert (answer.status, answer.error["message"]) == (404, "No such thing.")


def test_a_public_operation_asks_nobody() -> None:
    server = Server([operation(echo, action="public")])

    assert server.ask("GET", "/things", token="nobody").json["who"] == "anonymous"


def test_the_address_of_the_caller_reaches_the_authenticator() -> None:
    server = Server([operation(echo)])

    server.ask("GET", "/things", token=READER)

    assert server.authenticator.addresses == ["192.0.2.7"]


# --- paths and methods


def test_an_unknown_path_is_404_for_everybody() -> None:
    answer = Server([operation(echo)]).ask("GET", "/nothing", token=None)

    assert (answer.status, answer.error["code"]) == (404, "not_found")


def test_a_slash_at_the_end_makes_another_path() -> None:
    assert Server([operation(echo)]).ask("GET", "/things/").status == 404


def test_an_unknown_method_is_405_and_lists_the_known_ones() -> None:
    server = Server([operation(echo), operation(echo, method="POST", name="other")])

    answer = server.ask("DELETE", "/things")

    assert (answer.status, answer.error["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, POST"


def test_a_nul_in_the_path_is_404() -> None:
    server = Server([operation(echo, path="/things/{id}")])

    assert server.ask("GET", "/things/a\0b").status == 404


def test_head_answers_as_get_without_the_body() -> None:
    server = Server([operation(echo)])

    get, head = server.ask("GET", "/things"), server.ask("HEAD", "/things")

    assert head.status == 200
    assert head.raw == b""
    assert head.headers["content-length"] == get.headers["content-length"]


def test_a_websocket_is_closed() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    server = Server([operation(echo)])
    edge = Edge(server.services(), Ears(), ClientAddress(URL))
    asyncio.run(build_app(edge, server.operations)({"type": "websocket", "path": "/things"}, receive, send))
    edge.close()

    assert sent == [{"type": "websocket.close", "code": 1003}]


# --- queries


@pytest.mark.parametrize(
    "query",
    ["a=%FF", "a=%C3%28", "a=1&a=2", "a=%00", "%00=1", "a=\xff", "&".join(f"p{i}=1" for i in range(101))],
)
def test_a_query_that_cannot_be_read_is_refused_and_not_read_around(query: str) -> None:
    server = Server([operation(echo)])

    answer = server.ask("GET", f"/things?{query}")

    assert (answer.status, answer.error["code"]) == (400, "malformed_request")


def test_a_broken_query_tells_a_stranger_nothing() -> None:
    assert Server([operation(echo)]).ask("GET", "/things?a=%FF", token=None).status == 401


def test_a_query_is_decoded_once() -> None:
    answer = Server([operation(echo)]).ask("GET", "/things?a=%252C+x&b=")

    assert answer.json["query"] == {"a": "%2C x", "b": ""}


# --- what is answered


@pytest.mark.parametrize(
    "accept", ["*/*", "application/json", "application/*", "text/html, */*;q=0.1", "APPLICATION/JSON"]
)
def test_an_accept_header_that_includes_json_is_fine(accept: str) -> None:
    server = Server([operation(echo, response=dict)])

    assert server.ask("GET", "/things", headers={"Accept": accept}).status == 200


def test_an_accept_header_that_excludes_the_answer_is_406() -> None:
    answer = Server([operation(echo, response=dict)]).ask("GET", "/things", headers={"Accept": "text/html"})

    assert (answer.status, answer.error["code"]) == (406, "not_acceptable")
    assert answer.error["target"] == {"type": "header", "name": "Accept"}


def test_every_answer_names_its_request_and_is_not_kept() -> None:
    server = Server([operation(echo)])

    first, second = server.ask("GET", "/things"), server.ask("GET", "/nothing")

    assert first.headers["x-global-transaction-id"] != second.headers["x-global-transaction-id"]
    for answer in (first, second):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["strict-transport-security"].startswith("max-age=")


def test_the_request_id_is_ours_whatever_the_client_sends() -> None:
    answer = Server([operation(echo)]).ask("GET", "/things", headers={"X-Global-Transaction-ID": "mine"})

    assert answer.headers["x-global-transaction-id"] != "mine"


def test_204_has_neither_body_nor_length() -> None:
    answer = Server([operation(lambda _: Reply(), method="DELETE", status=204)]).ask("DELETE", "/things")

    assert (answer.status, answer.raw) == (204, b"")
    assert not {"content-length", "content-type"} & answer.headers.keys()


def test_a_line_break_in_a_header_begins_no_other_header() -> None:
    reply = Reply(body={}, headers={"X-Name": "a\r\nSet-Cookie: b"})

    assert Server([operation(lambda _: reply)]).ask("GET", "/things").headers["x-name"] == "a  Set-Cookie: b"


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("other.example.com:9443", "https://other.example.com:9443"),
        ("[::1]:8443", "https://[::1]:8443"),
        ("evil.example.com/path", URL),
        ("user@evil.example.com", URL),
        ("a b", URL),
        ("", URL),
        ("evil.example.com\r\nx: y", URL),
        ("x" * 300, URL),
    ],
)
def test_links_use_the_host_only_if_it_is_one(host: str, base: str) -> None:
    assert Server([operation(echo)]).ask("GET", "/things", headers={"Host": host}).json["base_url"] == base


def test_a_stream_is_sent_part_by_part_and_let_go_of() -> None:
    closed = []

    def parts() -> Iterator[bytes]:
        try:
            yield b"one\n"
            yield b"two\n"
        finally:
            closed.append(True)

    server = Server([operation(lambda _: Reply(stream=parts(), content_type="application/x-ndjson"))])

    assert server.ask("GET", "/things").raw == b"one\ntwo\n"
    assert server.ask("HEAD", "/things").raw == b""
    assert closed == [True]


def test_a_stream_that_breaks_is_let_go_of_too() -> None:
    closed = []

    class Parts:
        def __iter__(self) -> Iterator[bytes]:
            return self

        def __next__(self) -> bytes:
            raise Unavailable(ErrorCode.UNAVAILABLE, "gone")

        def close(self) -> None:
            closed.append(True)

    server = Server([operation(lambda _: Reply(stream=Parts()))])

    with pytest.raises(Unavailable):
        server.ask("GET", "/things")
    assert closed == [True]


# --- bugs and refusals


@pytest.mark.parametrize("inline", [True, False])
def test_a_bug_is_a_500_that_tells_nothing(*, inline: bool) -> None:
    server = Server([operation(raises(ValueError(PLANTED)))], storage=FakeStorage(reads_inline=inline))

    answer = server.ask("GET", "/things")

    assert (answer.status, answer.error["code"]) == (500, "internal_error")
    assert PLANTED.encode() not in answer.raw
    assert [str(crash) for crash in server.ears.crashes] == [PLANTED]
    assert PLANTED not in str(server.storage.trail)


def test_a_value_that_cannot_be_encoded_is_a_500() -> None:
    server = Server([operation(lambda _: Reply(body={"text": "\ud800"}))])

    assert server.ask("GET", "/things").status == 500
    assert len(server.ears.crashes) == 1


def test_what_fails_to_decrypt_says_nothing_about_it() -> None:
    error = Integrity(ErrorCode.INTEGRITY_FAILED, f"row {PLANTED}", field=PLANTED, hint=PLANTED, causes=())
    answer = Server([operation(raises(error))]).ask("GET", "/things")

    assert (answer.status, answer.error["code"]) == (500, "integrity_failed")
    assert PLANTED.encode() not in answer.raw


def test_a_refusal_that_the_trail_cannot_hold_is_503() -> None:
    storage = FakeStorage()
    storage.refuses_records = Unavailable(ErrorCode.UNAVAILABLE, "The trail cannot be written.")
    server = Server([operation(raises(NotFound(ErrorCode.NOT_FOUND, "No.")))], storage=storage)

    assert server.ask("GET", "/things").status == 503


def test_a_read_that_the_trail_cannot_hold_is_not_answered() -> None:
    storage = FakeStorage()
    storage.refuses_records = Unavailable(ErrorCode.UNAVAILABLE, "The trail cannot be written.")

    answer = Server([operation(echo)], storage=storage).ask("GET", "/things")

    assert (answer.status, answer.error["message"]) == (503, "The trail cannot be written.")


def test_an_operation_renders_errors_in_its_own_form() -> None:
    def render(error: StrongroomError, trace: str) -> Reply:
        return Reply(body={"errorCode": error.code, "trace": trace}, status=418)

    server = Server([operation(raises(Invalid(ErrorCode.INVALID_FIELD, "No.")), problems=render)])

    answer = server.ask("GET", "/things")

    assert (answer.status, answer.json["errorCode"]) == (418, "invalid_field")


# --- commits and the trail


def test_a_change_is_answered_after_its_commit_and_recorded_with_it() -> None:
    storage = FakeStorage()
    order: list[str] = []

    def handler(call: Call) -> Pending:
        call.target = Target(type="secret", id="1", name="one")

        def commit(_: Any) -> str:
            order.append("committed")
            return "result"

        def reply(result: str) -> Reply:
            order.append(f"answered {result}")
            return Reply(body={"result": result})

        return Pending(commit=commit, reply=reply)

    answer = Server([operation(handler, method="POST", status=201, work=Work.WRITE)], storage=storage).ask(
        "POST", "/things", b"{}"
    )

    assert (answer.status, order) == (201, ["committed", "answered result"])
    (entry,) = storage.trail
    assert (entry.outcome, entry.target.name, entry.action) == (Outcome.SUCCESS, "one", "secrets-manager.secrets.list")
    assert entry.request_id == answer.headers["x-global-transaction-id"]


def test_a_commit_that_fails_is_refused_and_recorded_once() -> None:
    def handler(_: Call) -> Pending:
        return Pending(commit=raises(Conflict(ErrorCode.ALREADY_EXISTS, "It already exists.")), reply=lambda _: Reply())

    server = Server([operation(handler)])

    assert server.ask("GET", "/things").status == 409
    assert [entry.outcome for entry in server.storage.trail] == [Outcome.FAILURE]


def test_a_refusal_that_had_to_be_committed_is_a_failure() -> None:
    refused = Refused(Conflict(ErrorCode.SECRET_VERSION_LOCKED, "It is locked."))
    server = Server([operation(lambda _: Pending(commit=lambda _: refused, reply=lambda _: Reply()))])

    assert server.ask("GET", "/things").status == 412
    assert [entry.outcome for entry in server.storage.trail] == [Outcome.FAILURE]


def test_a_full_queue_makes_the_answer_wait_and_loses_nothing() -> None:
    storage = FakeStorage()
    storage.full = True

    assert Server([operation(echo)], storage=storage).ask("GET", "/things").status == 200
    assert len(storage.trail) == 1


def test_an_operation_that_is_not_audited_leaves_no_record() -> None:
    server = Server([operation(echo, audit=False), operation(raises(ValueError()), audit=False, path="/x", name="x")])

    server.ask("GET", "/things")
    server.ask("GET", "/x")

    assert server.storage.trail == []


def test_what_the_client_chose_is_made_storable_for_the_trail() -> None:
    def handler(call: Call) -> Reply:
        call.target = Target(type="secret", id="a\0b", name="n\n" * 1000)
        return Reply(body={})

    server = Server([operation(handler)])

    server.ask("GET", "/things")

    (entry,) = server.storage.trail
    assert entry.target.id == "a\N{REPLACEMENT CHARACTER}b"
    assert entry.target.name is not None
    assert len(entry.target.name) == 512
    assert entry.target.name.isprintable()


def test_a_refused_request_leaves_no_secret_of_a_wrong_field_in_the_trail() -> None:
    key = "sr_" + "k" * 40

    def handler(call: Call) -> Reply:
        call.target = Target(type="secret", id=key, name="pass word!", secret_group_id="default")
        raise Invalid(ErrorCode.UNKNOWN_FIELD, f"x\0y {key} is not a field.", field=key)

    server = Server([operation(handler)])

    answer = server.ask("GET", "/things")

    (entry,) = server.storage.trail
    assert entry.target == Target(type="secret", secret_group_id="default")
    assert entry.reason is not None
    assert "\0" not in entry.reason.message
    assert key not in entry.reason.message
    assert key.encode() not in answer.raw


def test_the_observer_hears_every_answer() -> None:
    server = Server([operation(echo)])

    server.ask("GET", "/things")
    server.ask("GET", "/nothing")
    server.ask("PUT", "/things")

    assert server.ears.answers == [("do_it", 200), ("no_such_path", 404), ("no_such_method", 405)]
