"""Whatever stands in the Authorization header, only a token that this server signed opens anything."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import given
from hypothesis import strategies as st

from tests.factories.certificates import rsa_key
from tests.fuzz.effort import MANY
from tests.fuzz.wire import Wire, wired

_HEADER_TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=200)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
_CLAIMS = [
    "iam_id",
    "id",
    "sub",
    "iss",
    "iat",
    "exp",
    "jti",
    "account",
    "apikey_id",
    "grant_type",
    "scope",
    "nbf",
    "aud",
]


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    with wired(tmp_path_factory.mktemp("tokens") / "data") as running:
        yield running


def _assert_refused(wire: Wire, authorization: str) -> None:
    answer = wire.exchange("GET", "/api/v2/secrets", {"authorization": authorization})
    assert answer.status == 401, (authorization, answer.raw, wire.bugs and wire.bugs.pop())
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert not wire.bugs, wire.bugs.pop()


def _parts(wire: Wire) -> tuple[dict[str, Any], dict[str, Any], str]:
    head, claims, signature = wire.server.administrator().split(".")
    return json.loads(_decode(head)), json.loads(_decode(claims)), signature


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _encode(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_the_right_token_is_accepted(wire: Wire) -> None:
    headers = {"authorization": f"Bearer {wire.server.administrator()}"}
    assert wire.exchange("GET", "/api/v2/secrets", headers).status == 200


@MANY
@given(scheme=st.sampled_from(["Bearer ", "bearer  ", "Basic ", "Digest ", ""]), text=_HEADER_TEXT)
def test_random_text_opens_nothing(wire: Wire, scheme: str, text: str) -> None:
    _assert_refused(wire, scheme + text)


@MANY
@given(
    at=st.integers(0, 2_000),
    insert=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=3),
    cut=st.integers(0, 3),
)
def test_a_token_with_a_character_changed_opens_nothing(wire: Wire, at: int, insert: str, cut: int) -> None:
    token = wire.server.administrator()
    at %= len(token)
    changed = token[:at] + insert + token[at + cut :]
    # The last character of each part may carry bits that mean nothing; spaces around a token are no part of it.
    if changed.strip() != token and not _means_the_same(changed.strip(), token):
        _assert_refused(wire, f"Bearer {changed}")


def _means_the_same(changed: str, token: str) -> bool:
    try:
        return [_decode(part) for part in changed.split(".")] == [_decode(part) for part in token.split(".")]
    except ValueError:
        return False


@MANY
@given(claim=st.sampled_from(_CLAIMS), value=_JSON)
def test_a_token_with_another_claim_opens_nothing(wire: Wire, claim: str, value: Any) -> None:
    head, claims, signature = _parts(wire)
    if claims.get(claim) != value or claim not in claims:
        _assert_refused(wire, f"Bearer {_encode(head)}.{_encode({**claims, claim: value})}.{signature}")


@MANY
@given(
    changes=st.fixed_dictionaries(
        {},
        optional={
            "alg": st.sampled_from(["none", "None", "HS256", "RS512", "PS256", "ES256", "RS256", "", 5, None]),
            "kid": _JSON,
            "typ": _JSON,
            "crit": st.just(["exp"]) | _JSON,
            "b64": st.just(False),
            "zip": st.just("DEF"),
            "jwk": _JSON,
            "jku": st.just("https://keys.example.com/"),
            "x5u": st.just("https://keys.example.com/"),
        },
    ),
    signed=st.sampled_from(["", "kept", "other"]),
)
def test_a_token_with_another_head_opens_nothing(wire: Wire, changes: dict[str, Any], signed: str) -> None:
    head, claims, signature = _parts(wire)
    start = f"{_encode({**head, **changes})}.{_encode(claims)}"
    if signed == "other":
        key = rsa_key(other=True)
        signature = _encode(key.sign(start.encode(), padding.PKCS1v15(), hashes.SHA256()))
    elif signed == "kept" and {**head, **changes} == head:
        return
    _assert_refused(wire, f"Bearer {start}.{signature if signed else ''}")


@MANY
@given(parts=st.lists(_JSON.map(_encode) | st.binary(max_size=40).map(_encode), max_size=6))
def test_whatever_looks_like_a_token_opens_nothing(wire: Wire, parts: list[str]) -> None:
    _assert_refused(wire, f"Bearer {'.'.join(parts)}")
