from __future__ import annotations

import functools
import hashlib
import hmac
import re
import string
import time
import zlib
from datetime import timedelta
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.domain.identity.ports import Digests
from strongroom.kernel.errors import ErrorCode, Integrity, Invalid, Unavailable
from strongroom.sealing import digests
from strongroom.sealing.digests import (
    PepperedDigests,
    api_key_digest,
    hash_password,
    new_api_key,
    new_pepper,
    verify_password,
)


def test_a_new_key_has_the_form_that_scanners_look_for_and_is_new() -> None:
    keys = {new_api_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch(r"sr_[0-9A-Za-z]{49}", key) for key in keys)


def test_the_last_characters_of_a_key_are_the_checksum_of_the_rest() -> None:
    key = new_api_key()
    digits = string.digits + string.ascii_uppercase + string.ascii_lowercase
    checksum = functools.reduce(lambda number, digit: number * 62 + digits.index(digit), key[-6:], 0)
    assert checksum == zlib.crc32(key[3:-6].encode())


def test_the_digest_is_a_keyed_hash() -> None:
    expected = hmac.new(b"p" * 32, b"sr_key", hashlib.sha256).hexdigest()
    assert api_key_digest(b"p" * 32, "sr_key") == expected
    assert api_key_digest(b"q" * 32, "sr_key") != expected


@given(st.text())
def test_any_text_has_a_digest(text: str) -> None:
    assert len(api_key_digest(b"p" * 32, text)) == 64


def test_text_with_lone_surrogates_has_a_digest() -> None:
    assert len(api_key_digest(b"p" * 32, "\ud800")) == 64


def test_peppers_are_random() -> None:
    assert len(new_pepper()) == 32
    assert new_pepper() != new_pepper()


def test_a_password_verifies_against_its_hash_only() -> None:
    stored = hash_password("correct horse")
    assert stored.startswith("$argon2id$")
    assert "correct" not in stored
    assert verify_password(stored, "correct horse")
    assert not verify_password(stored, "correct horse ")


@pytest.mark.parametrize("password", ["", "anything", "x" * 2000, "\ud800"])
def test_nobody_has_no_password(password: str) -> None:
    assert not verify_password(None, password)


@pytest.mark.parametrize("password", ["x" * 1025, "\ud800"])
def test_a_password_that_cannot_be_stored_is_refused(password: str) -> None:
    with pytest.raises(Invalid) as refusal:
        hash_password(password)
    assert refusal.value.code is ErrorCode.INVALID_FIELD
    assert refusal.value.field == "password"
    assert password not in refusal.value.detail


@pytest.mark.parametrize("stored", ["", "plain", "$argon2id$v=19$m=65536,t=3,p=4$AAAA$AAAA"])
@pytest.mark.parametrize("password", ["", "anything"])
def test_a_damaged_hash_is_said(stored: str, password: str) -> None:
    with pytest.raises(Integrity) as refusal:
        verify_password(stored, password)
    assert refusal.value.code is ErrorCode.INTEGRITY_FAILED
    assert stored == "" or stored not in refusal.value.detail


def test_the_rules_about_identities_get_what_they_ask_for() -> None:
    digests_of_server: Digests = PepperedDigests(b"p" * 32)
    key = digests_of_server.new_api_key()
    assert key.startswith("sr_")
    assert digests_of_server.api_key_digest(key) == api_key_digest(b"p" * 32, key)
    assert digests_of_server.verify_password(digests_of_server.hash_password("correct horse"), "correct horse")
    assert "p" * 8 not in repr(digests_of_server)


def test_at_most_two_checks_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    running: list[int] = []
    most: list[int] = []

    class Slow:
        def hash(self, _: bytes) -> str:
            running.append(1)
            most.append(len(running))
            time.sleep(0.005)
            running.pop()
            return ""

    monkeypatch.setattr(digests, "_hasher", Slow)
    threads = [Thread(target=hash_password, args=("password",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 8
    assert max(most) <= 2


def test_who_waits_too_long_is_asked_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "PASSWORD_WAIT", timedelta())
    with digests._Place(), digests._Place(), pytest.raises(Unavailable) as refusal:
        hash_password("password")
    assert refusal.value.code is ErrorCode.UNAVAILABLE
    assert refusal.value.retry_after == timedelta(seconds=1)
    monkeypatch.undo()
    assert hash_password("password")
