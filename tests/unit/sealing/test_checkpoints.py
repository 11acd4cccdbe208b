from __future__ import annotations

import base64

import pytest

from strongroom.kernel.errors import Integrity
from strongroom.pki.signatures import verify_ed25519
from strongroom.sealing.checkpoints import CheckpointSigner, generate_checkpoint_key

# RFC 8032 section 7.1, test 2.
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def test_the_published_vector_is_reproduced() -> None:
    signer = CheckpointSigner(SEED)
    assert base64.b64decode(signer.public_key_b64) == PUBLIC
    assert base64.b64decode(signer.sign(b"\x72")) == SIGNATURE


def test_a_signature_verifies() -> None:
    signer = CheckpointSigner(generate_checkpoint_key())
    verify_ed25519(signer.public_key_b64, b"heads", signer.sign(b"heads"))


def test_the_key_id_belongs_to_the_key_and_shows_nothing_of_it() -> None:
    signer = CheckpointSigner(SEED)
    assert signer.key_id == CheckpointSigner(SEED).key_id != CheckpointSigner(generate_checkpoint_key()).key_id
    assert repr(signer) == f"CheckpointSigner({signer.key_id})"


def test_a_damaged_private_key_is_refused() -> None:
    with pytest.raises(Integrity, match="31 bytes"):
        CheckpointSigner(SEED[:-1])
