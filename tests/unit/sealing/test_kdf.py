from __future__ import annotations

import argon2.low_level
import pytest
from argon2.exceptions import HashingError

from strongroom.kernel.errors import ErrorCode, Unavailable
from strongroom.sealing.kdf import Argon2Cost, derive_key


def test_argon2id_gives_the_published_tag() -> None:
    # The reference implementation's test: argon2id, v=19, m=65536 KiB, t=2, p=1, "password", "somesalt".
    key = derive_key(b"password", salt=b"somesalt", cost=Argon2Cost(memory_kib=65536, passes=2, lanes=1), length=32)
    assert key.hex() == "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"


def test_too_little_memory_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> bytes:
        raise HashingError("Memory allocation error")

    monkeypatch.setattr(argon2.low_level, "hash_secret_raw", fail)
    with pytest.raises(Unavailable, match="Memory allocation") as refusal:
        derive_key(b"a passphrase", salt=bytes(16), cost=Argon2Cost(), length=32)
    assert refusal.value.code is ErrorCode.UNAVAILABLE
    assert "a passphrase" not in refusal.value.detail
