"""Request bodies: size, time, type, encoding, and JSON that readers could understand differently."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.api.bodies import read_body
from strongroom.api.operations import FORM_BODY, MERGE_PATCH, Call, Reply, decode_json
from strongroom.domain.limits import Limits
from strongroom.kernel.errors import ErrorCode, Invalid
from tests.unit.api.asgi import Answer, Server, echo, operation

LIMIT = Limits(request_bytes=1000).request_bytes


def post(body: Any, headers: dict[str, str] | None = None, **changes: Any) -> Answer:
    server = Server([operation(echo, method="POST", **changes)])
    return server.ask("POST", "/things", body, headers={"Content-Type": "application/json", **(headers or {})})


def refused(answer: Answer, status: int, code: str) -> str:
    assert (answer.status, answer.error["code"]) == (status, code)
    message: str = answer.error["message"]
    return message


def test_a_body_may_come_in_parts() -> None:
    assert post([b'{"a"', b"", b":1}"]).json["body"] == {"a": 1}


def test_a_body_that_never_ends_is_incomplete() -> None:
    server = Server([operation(echo, method="POST")])

    answer = server.ask("POST", "/things", b'{"a"', disconnects=True)

    assert "ended" in refused(answer, 400, "malformed_request")


def test_a_body_that_does_not_arrive_in_time_is_refused() -> None:
    async def never() -> Any:
        await asyncio.Event().wait()

    call = Call(
        operation=operation(echo, method="POST"),
        services=Server([]).services(),
        principal=Server([]).authenticator.known["manager-token"],
        path={},
        query={},
        headers={},
        address=None,
        request_id="",
        base_url="",
        target=None,  # type: ignore[arg-type]  # not asked for
    )

    with pytest.raises(Invalid, match="did not arrive within 0.01 seconds"):
        asyncio.run(read_body(call, never, LIMIT, within_s=0.01))


# --- size


def test_a_body_of_just_the_limit_is_read() -> None:
    text = json.dumps({"a": "x" * (LIMIT - len('{"a": ""}'))}).encode()

    assert len(text) == LIMIT
    assert post(text).status == 200


def test_a_body_over_the_limit_is_413_however_it_comes() -> None:
    assert "1000 bytes" in refused(post(b"x" * (LIMIT + 1)), 413, "request_too_large")
    refused(post([b"x" * 600, b"x" * 600]), 413, "request_too_large")


@pytest.mark.parametrize("length", ["1001", "0001001", "9" * 10_000])
def test_an_announced_length_over_the_limit_is_413_unread(length: str) -> None:
    refused(post([], {"Content-Length": length}), 413, "request_too_large")


@pytest.mark.parametrize("length", ["-1", "abc", "", "1 2", "\u00b2"])
def test_a_length_that_is_no_number_is_400(length: str) -> None:
    refused(post(b"{}", {"Content-Length": length}), 400, "malformed_request")


# --- gzip


def test_a_gzip_body_is_unpacked() -> None:
    assert post(gzip.compress(b'{"a":1}', mtime=0), {"Content-Encoding": "GZIP"}).json["body"] == {"a": 1}


def test_a_gzip_bomb_is_413() -> None:
    bomb = gzip.compress(b" " * 100_000, mtime=0)
    assert len(bomb) < LIMIT

    refused(post(bomb, {"Content-Encoding": "gzip"}), 413, "request_too_large")


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b"\x1f\x8b",
        gzip.compress(b"{}", mtime=0)[:-3],
        gzip.compress(b"{}", mtime=0) + b"x",
        gzip.compress(b"{}", mtime=0) * 2,
        b"\x78\x9c\x03",
    ],
)
def test_broken_gzip_is_400(raw: bytes) -> None:
    assert "gzip" in refused(post(raw, {"Content-Encoding": "gzip"}), 400, "malformed_request")


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "identity, gzip"])
def test_another_encoding_is_415(encoding: str) -> None:
    answer = post(b"{}", {"Content-Encoding": encoding})

    refused(answer, 415, "unsupported_media_type")
    assert answer.error["target"] == {"type": "header", "name": "Content-Encoding"}


@pytest.mark.parametrize("encoding", ["identity", ""])
def test_no_encoding_may_be_named(encoding: str) -> None:
    assert post(b"{}", {"Content-Encoding": encoding}).status == 200


@given(st.binary(max_size=200))
def test_any_bytes_called_gzip_are_unpacked_or_refused(raw: bytes) -> None:
    assert post(raw, {"Content-Encoding": "gzip"}).status in {200, 400, 413}


# --- types


@pytest.mark.parametrize("given_type", ["application/json", "APPLICATION/JSON; charset=utf-8"])
def test_json_is_read(given_type: str) -> None:
    assert post(b"{}", {"Content-Type": given_type}).status == 200


@pytest.mark.parametrize("given_type", ["text/plain", "", "application/jsonp", "application/merge-patch+json"])
def test_another_type_is_415(given_type: str) -> None:
    assert "application/json" in refused(post(b"{}", {"Content-Type": given_type}), 415, "unsupported_media_type")


def test_a_patch_takes_both_of_its_types() -> None:
    server = Server([operation(echo, method="PATCH", media_types=MERGE_PATCH)])

    for media_type in MERGE_PATCH:
        assert server.ask("PATCH", "/things", b"{}", headers={"Content-Type": media_type}).status == 200


def test_a_form_is_no_json() -> None:
    refused(post(b"a=1", {"Content-Type": "application/json"}, media_types=FORM_BODY), 415, "unsupported_media_type")


def test_an_optional_body_may_be_absent_and_then_has_no_type() -> None:
    server = Server([operation(lambda _: Reply(body={}), method="POST", body_required=False)])

    assert server.ask("POST", "/things").status == 200


# --- JSON


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"{}}",
        b"{} {}",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":01}',
        b'{"a":1,}',
        b'{"a":1,"a":2}',
        b'{"x":[{"a":1,"a":1}]}',
        b'{"a":1,"\\u0061":2}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\udc00\\ud800"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\xff"}',
        b'{"a":"\n"}',
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        b"[" * 101 + b"]" * 101,
        b'{"a":' * 200 + b"1" + b"}" * 200,
        b"[" * 200_000,
        b"[" * 200_000 + b"]" * 200_000,
        b"{'a':1}",
        b"// x\n{}",
    ],
)
def test_what_is_not_json_for_everybody_is_refused(text: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        decode_json(text)

    assert caught.value.code is ErrorCode.MALFORMED_REQUEST
    assert len(caught.value.detail) < 200


def test_a_refused_text_is_never_shown() -> None:
    with pytest.raises(Invalid) as caught:
        decode_json(b'{"password":"planted-secret",}')

    assert "planted" not in caught.value.detail


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b" {} ", {}),
        (b"null", None),
        (b'"\\u0000"', "\0"),
        (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        (b"18446744073709551616", 18446744073709551616),
        (b"-0.5e-3", -0.0005),
        (b"[" * 100 + b"]" * 100, None),
        (b'{"a":{"a":1}}', {"a": {"a": 1}}),
    ],
)
def test_what_is_json_is_read(text: bytes, value: Any) -> None:
    found = decode_json(text)

    assert value is None or found == value


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(_JSON)
def test_every_json_value_is_read_as_it_was_meant(value: Any) -> None:
    assert decode_json(json.dumps(value).encode()) == value


@given(st.binary(max_size=100))
def test_any_bytes_are_json_or_refused(raw: bytes) -> None:
    try:
        decode_json(raw)
    except Invalid as error:
        assert error.code is ErrorCode.MALFORMED_REQUEST  # noqa: PT017  (both ways are right)


@pytest.mark.parametrize("text", [b"[]", b'"text"', b"1", b"null"])
def test_a_body_must_be_an_object_where_one_is_asked_for(text: bytes) -> None:
    server = Server([operation(lambda call: Reply(body=call.json_object()), method="POST")])

    refused(server.ask("POST", "/things", text), 400, "malformed_request")
