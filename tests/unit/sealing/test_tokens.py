from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import RSAKey

from strongroom.domain.identity.ports import TokenSigner
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import ErrorCode, Integrity, Internal, Unauthenticated
from strongroom.sealing.tokens import MAX_TOKEN_BYTES, SigningKey, TokenAuthority, generate_signing_key
from tests.conftest import START_OF_TESTS

ISSUER = "https://secrets.example.com/identity"
PEM = generate_signing_key()
OTHER_PEM = generate_signing_key()
ED25519_PEM = Ed25519PrivateKey.from_private_bytes(bytes(32)).private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
)
KEY = SigningKey.from_pem(PEM, created_at=START_OF_TESTS)
OTHER = SigningKey.from_pem(OTHER_PEM, created_at=START_OF_TESTS + timedelta(days=1))
NOW = int(START_OF_TESTS.timestamp())
CLAIMS: dict[str, Any] = {"iss": ISSUER, "iat": NOW, "exp": NOW + 3600, "iam_id": "iam-ServiceId-1", "name": "é"}


def authority(*keys: SigningKey, clock: FrozenClock | None = None, skew: timedelta = timedelta()) -> TokenAuthority:
    return TokenAuthority(keys or (KEY,), issuer=ISSUER, clock=clock or FrozenClock(START_OF_TESTS), clock_skew=skew)


def signed(header: dict[str, Any], claims: Any = None, *, pem: bytes = PEM) -> str:
    """Sign anything with a good key, as no library would."""
    text = b".".join(segment(json.dumps(part).encode()) for part in (header, CLAIMS if claims is None else claims))
    key = load_pem_private_key(pem, None)
    assert isinstance(key, RSAPrivateKey)
    return (text + b"." + segment(key.sign(text, PKCS1v15(), SHA256()))).decode()


def segment(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def refusal(token: str, checker: TokenAuthority | None = None) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as raised:
        (checker or authority()).verify(token)
    assert len(token) < 10 or token[:10] not in raised.value.detail
    return raised.value


def test_claims_survive_signing_and_verifying() -> None:
    signer: TokenSigner = authority()
    assert signer.verify(signer.sign(CLAIMS)) == CLAIMS


def test_the_claims_given_are_left_alone() -> None:
    given_claims = dict(CLAIMS)
    authority().sign(given_claims)
    assert given_claims == CLAIMS


def test_the_header_names_algorithm_and_key() -> None:
    header = json.loads(base64.urlsafe_b64decode(authority().sign(CLAIMS).split(".")[0] + "=="))
    assert header == {"typ": "JWT", "alg": "RS256", "kid": KEY.kid}


def test_the_key_id_is_the_thumbprint_of_the_rfc() -> None:
    [jwk] = authority().jwks()["keys"]
    required = json.dumps({name: jwk[name] for name in ("e", "kty", "n")}, separators=(",", ":"), sort_keys=True)
    assert segment(hashlib.sha256(required.encode()).digest()).decode() == KEY.kid


def test_the_key_set_holds_public_members_only() -> None:
    keys = authority(KEY, OTHER).jwks()["keys"]
    assert [key["kid"] for key in keys] == [OTHER.kid, KEY.kid]
    assert all(set(key) == {"kty", "n", "e", "kid", "alg", "use"} for key in keys)
    assert all((key["alg"], key["use"], key["kty"]) == ("RS256", "sig", "RSA") for key in keys)


def test_a_client_verifies_with_the_key_set() -> None:
    [jwk] = authority().jwks()["keys"]
    token = jwt.decode(authority().sign(CLAIMS), RSAKey.import_key(jwk), algorithms=["RS256"])
    assert token.claims == CLAIMS


def test_the_newest_key_signs_and_the_older_still_verify() -> None:
    old = authority(KEY).sign(CLAIMS)
    both = authority(KEY, OTHER)
    assert both.verify(old) == CLAIMS
    assert refusal(both.sign(CLAIMS), authority(KEY)).code is ErrorCode.TOKEN_INVALID


def test_a_token_expires_at_its_second() -> None:
    clock = FrozenClock(START_OF_TESTS)
    checker = authority(clock=clock)
    token = checker.sign(CLAIMS)
    clock.advance(timedelta(seconds=3599, milliseconds=999))
    checker.verify(token)
    clock.advance(timedelta(milliseconds=1))
    assert refusal(token, checker).code is ErrorCode.TOKEN_EXPIRED


def test_a_token_from_the_future_is_refused_beyond_the_skew() -> None:
    token = authority().sign({**CLAIMS, "iat": NOW + 2})
    assert refusal(token).code is ErrorCode.TOKEN_INVALID
    assert authority(skew=timedelta(seconds=2)).verify(token)


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://other.example.com/identity"},
        {"iss": None},
        {"iss": [ISSUER]},
        {"exp": None},
        {"exp": str(NOW + 60)},
        {"exp": True},
        {"exp": float(NOW + 60)},
        {"exp": 1e400},
        {"iat": None},
        {"iat": True},
    ],
)
def test_a_signed_token_with_wrong_claims_is_refused(change: dict[str, Any]) -> None:
    token = signed({"alg": "RS256", "kid": KEY.kid}, {**CLAIMS, **change})
    assert refusal(token).code is ErrorCode.TOKEN_INVALID


@pytest.mark.parametrize("claims", [[], "text", 1, None, [[]]])
def test_a_signed_token_without_a_claims_object_is_refused(claims: Any) -> None:
    token = signed({"alg": "RS256", "kid": KEY.kid}, [claims])
    assert refusal(token).code is ErrorCode.TOKEN_INVALID


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "kid": KEY.kid},
        {"alg": "RS384", "kid": KEY.kid},
        {"alg": "PS256", "kid": KEY.kid},
        {"alg": ["RS256"], "kid": KEY.kid},
        {"kid": KEY.kid},
        {"alg": "RS256"},
        {"alg": "RS256", "kid": None},
        {"alg": "RS256", "kid": [KEY.kid]},
        {"alg": "RS256", "kid": "unknown"},
        {"alg": "RS256", "kid": KEY.kid, "crit": ["exp"], "exp": 1},
        {"alg": "RS256", "kid": KEY.kid, "b64": False, "crit": ["b64"]},
    ],
)
def test_a_header_of_another_kind_is_refused(header: dict[str, Any]) -> None:
    assert refusal(signed(header)).code is ErrorCode.TOKEN_INVALID


def test_a_key_inside_the_token_is_not_believed() -> None:
    public = RSAKey.import_key(OTHER_PEM).as_dict(private=False)
    for kid in (KEY.kid, OTHER.kid):
        token = signed({"alg": "RS256", "kid": kid, "jwk": public}, pem=OTHER_PEM)
        assert refusal(token).code is ErrorCode.TOKEN_INVALID


def test_the_public_key_is_not_taken_for_a_shared_secret() -> None:
    key = load_pem_private_key(PEM, None).public_key()
    assert isinstance(key, RSAPublicKey)
    public = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header, claims = (segment(json.dumps(p).encode()) for p in ({"alg": "HS256", "kid": KEY.kid}, CLAIMS))
    mac = hmac.new(public, header + b"." + claims, "sha256").digest()
    token = b".".join((header, claims, segment(mac))).decode()
    assert refusal(token).code is ErrorCode.TOKEN_INVALID


def test_every_part_of_a_token_counts() -> None:
    header, claims, signature = authority().sign(CLAIMS).split(".")
    changed = segment(json.dumps({**CLAIMS, "iam_id": "iam-ServiceId-2"}).encode()).decode()
    other = authority(OTHER).sign(CLAIMS).split(".")[2]
    for token in (
        f"{header}.{changed}.{signature}",
        f"{header}.{claims}.{other}",
        f"{header}.{claims}.",
        f"{header}.{claims}",
        f"{header}..{signature}",
        f".{claims}.{signature}",
        f"{header}.{claims}.{signature}.",
        f"{header}.{claims}.{signature[:-4]}",
    ):
        assert refusal(token).code is ErrorCode.TOKEN_INVALID


def test_an_oversized_token_is_refused_unread() -> None:
    assert "longer than" in refusal("a" * (MAX_TOKEN_BYTES + 1)).detail


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_a_deeply_nested_token_is_refused(opening: bytes) -> None:
    deep = segment(opening * (11000 // len(opening))).decode()
    assert refusal(f"{deep}.e30.e30").code is ErrorCode.TOKEN_INVALID
    good = segment(json.dumps({"alg": "RS256", "kid": KEY.kid}).encode()).decode()
    assert refusal(f"{good}.{deep}.e30").code is ErrorCode.TOKEN_INVALID


@given(st.text(max_size=200) | st.lists(st.text(max_size=40), min_size=3, max_size=5).map(".".join))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    assert refusal(text).code is ErrorCode.TOKEN_INVALID


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.dictionaries(st.text(), s)))
def test_no_header_does_more_than_be_refused(value: Any) -> None:
    for header in (value, {"alg": "RS256", "kid": value}, {"alg": value, "kid": KEY.kid}):
        token = f"{segment(json.dumps(header).encode()).decode()}.e30.e30"
        assert refusal(token).code is ErrorCode.TOKEN_INVALID


def test_no_key_is_in_the_text_of_key_and_authority() -> None:
    assert "PRIVATE" not in repr(KEY) + str(authority())
    assert KEY.kid in repr(authority())


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"nonsense",
        RSAKey.import_key(PEM).as_pem(private=False),
        ED25519_PEM,
    ],
    ids=["empty", "nonsense", "public", "ed25519"],
)
def test_a_stored_key_of_another_kind_is_refused(pem: bytes) -> None:
    with pytest.raises(Integrity) as raised:
        SigningKey.from_pem(pem, created_at=START_OF_TESTS)
    assert raised.value.code is ErrorCode.INTEGRITY_FAILED


def test_an_authority_without_keys_is_a_bug() -> None:
    with pytest.raises(Internal):
        TokenAuthority([], issuer=ISSUER, clock=FrozenClock(START_OF_TESTS))


def test_keys_of_one_age_have_a_fixed_order() -> None:
    twin = replace(OTHER, created_at=KEY.created_at)
    assert authority(KEY, twin).jwks() == authority(twin, KEY).jwks()
