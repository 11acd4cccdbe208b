from __future__ import annotations

import base64

import pytest

from strongroom.kernel.errors import ErrorCode, Integrity
from strongroom.pki.signatures import verify_ed25519

# RFC 8032 section 7.1, test 2.
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def test_the_published_vector_verifies() -> None:
    verify_ed25519(base64.b64encode(PUBLIC).decode(), b"\x72", base64.b64encode(SIGNATURE).decode())


@pytest.mark.parametrize(
    ("public", "payload", "signature"),
    [
        (PUBLIC, b"\x73", SIGNATURE),
        (PUBLIC, b"\x72", SIGNATURE[:-1] + b"\x01"),
        (PUBLIC, b"\x72", SIGNATURE[:-1]),
        (PUBLIC, b"\x72", b""),
        (PUBLIC[:-1], b"\x72", SIGNATURE),
        (bytes(32), b"\x72", SIGNATURE),
    ],
)
def test_anything_changed_is_refused(public: bytes, payload: bytes, signature: bytes) -> None:
    with pytest.raises(Integrity) as refusal:
        verify_ed25519(base64.b64encode(public).decode(), payload, base64.b64encode(signature).decode())
    assert refusal.value.code is ErrorCode.INTEGRITY_FAILED


@pytest.mark.parametrize("text", ["%%%", "é", "AAA"])
def test_text_that_is_no_base64_is_refused(text: str) -> None:
    good = base64.b64encode(PUBLIC).decode()
    with pytest.raises(Integrity):
        verify_ed25519(good, b"\x72", text)
    with pytest.raises(Integrity):
        verify_ed25519(text, b"\x72", base64.b64encode(SIGNATURE).decode())
