from __future__ import annotations

from typing import Any

import pytest

from strongroom.hsm.reference import parse_reference
from strongroom.kernel.errors import ErrorCode, Invalid

PROVIDER = {"type": "pkcs11", "token_label": "authorities", "pin_secret_id": "the-pin"}


def refused(reference: dict[str, Any]) -> dict[str | None, str]:
    with pytest.raises(Invalid) as caught:
        parse_reference(reference)
    assert caught.value.code is ErrorCode.INVALID_FIELD
    return {cause.field: cause.detail for cause in caught.value.causes or (caught.value,)}


def test_a_reference_is_read_and_written_again() -> None:
    reference = {"label": "issuing", "id": "01a7", "provider": PROVIDER}
    parsed = parse_reference({**reference, "allow_generate_key": True})
    assert (parsed.label, parsed.key_id, parsed.allow_generate) == ("issuing", b"\x01\xa7", True)
    assert parsed.to_mapping() == reference
    assert str(parsed) == "label 'issuing' and id 01a7"


def test_a_label_or_an_id_is_enough() -> None:
    assert parse_reference({"label": "issuing", "provider": PROVIDER}).key_id is None
    by_id = parse_reference({"id": "AB", "provider": PROVIDER})
    assert (by_id.label, by_id.key_id, by_id.allow_generate) == (None, b"\xab", False)
    assert by_id.to_mapping() == {"id": "ab", "provider": PROVIDER}


def test_a_key_without_any_name_is_refused() -> None:
    assert list(refused({"provider": PROVIDER})) == ["crypto_key.label"]


@pytest.mark.parametrize("key_id", ["", "0", "xyz0", "01 a7", "0x01", "ab" * 65, 17])
def test_an_id_that_is_no_hexadecimal_is_refused(key_id: Any) -> None:
    assert "hexadecimal" in refused({"id": key_id, "provider": PROVIDER})["crypto_key.id"]


@pytest.mark.parametrize("label", ["", " issuing", "issuing\n", "a\0b", "x" * 256, 17])
def test_a_label_that_cannot_be_shown_is_refused(label: Any) -> None:
    assert list(refused({"label": label, "provider": PROVIDER})) == ["crypto_key.label"]


def test_every_missing_part_of_the_provider_is_told_at_once() -> None:
    missing = refused({"label": "issuing", "provider": {}})
    assert set(missing) == {f"crypto_key.provider.{name}" for name in ("type", "token_label", "pin_secret_id")}
    assert set(refused({"label": "issuing"})) == set(missing)


def test_a_token_label_has_at_most_32_bytes() -> None:
    assert parse_reference({"label": "a", "provider": PROVIDER | {"token_label": "t" * 32}}).token_label == "t" * 32
    for label in ("t" * 33, "ü" * 17):
        assert "32 bytes" in refused({"label": "a", "provider": PROVIDER | {"token_label": label}}).popitem()[1]
