from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from strongroom.domain.ports import Binding
from strongroom.kernel.errors import ErrorCode, Integrity, Internal
from strongroom.sealing.envelope import (
    HEADER_BYTES,
    OVERHEAD_BYTES,
    associated_data,
    kek_id_of,
    open_under,
    seal_under,
)

KEK = AESGCM(bytes(range(32)))
PLACE = Binding(table="payloads", row="41f8", column="sealed")


def read_back(blob: bytes) -> bytes:
    assert kek_id_of(blob, PLACE) == 1
    return open_under(KEK, blob, PLACE)


names = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
bindings = st.builds(Binding, table=names, row=names, column=names)


@given(plaintext=st.binary(max_size=5000), place=bindings, kek_id=st.integers(1, 2**32 - 1))
def test_what_was_sealed_opens_in_its_place(plaintext: bytes, place: Binding, kek_id: int) -> None:
    blob = seal_under(KEK, kek_id, plaintext, place)
    assert kek_id_of(blob, place) == kek_id
    assert open_under(KEK, blob, place) == plaintext
    assert len(blob) == len(plaintext) + OVERHEAD_BYTES


@given(one=bindings, other=bindings)
def test_two_places_never_share_a_binding(one: Binding, other: Binding) -> None:
    assert (associated_data(one) == associated_data(other)) == (one == other)


def test_two_seals_of_one_value_have_nothing_in_common() -> None:
    one, other = (seal_under(KEK, 1, b"same", PLACE) for _ in range(2))
    assert one[:5] == other[:5]
    assert one[5:] != other[5:]
    assert not {one[i : i + 12] for i in (5, 65)} & {other[i : i + 12] for i in (5, 65)}


@pytest.mark.parametrize(
    "other",
    [
        Binding(table="versions", row="41f8", column="sealed"),
        Binding(table="payloads", row="41f9", column="sealed"),
        Binding(table="payloads", row="41f8", column="next_key"),
    ],
)
def test_a_value_moved_to_another_place_is_refused(other: Binding) -> None:
    blob = seal_under(KEK, 1, b"payload", PLACE)
    with pytest.raises(Integrity) as refusal:
        open_under(KEK, blob, other)
    assert refusal.value.code is ErrorCode.INTEGRITY_FAILED
    assert "payload" not in refusal.value.detail.replace("payloads", "")


def test_every_changed_byte_behind_the_kek_id_is_noticed() -> None:
    blob = seal_under(KEK, 1, b"payload", PLACE)
    for at in range(5, len(blob)):
        changed = bytearray(blob)
        changed[at] ^= 1
        with pytest.raises(Integrity):
            open_under(KEK, bytes(changed), PLACE)


def test_layers_of_two_values_cannot_be_mixed() -> None:
    one = seal_under(KEK, 1, b"one", PLACE)
    other = seal_under(KEK, 1, b"two", PLACE)
    with pytest.raises(Integrity):
        open_under(KEK, one[:HEADER_BYTES] + other[HEADER_BYTES:], PLACE)


def test_every_truncation_is_noticed() -> None:
    blob = seal_under(KEK, 1, b"payload", PLACE)
    for size in range(len(blob)):
        with pytest.raises(Integrity):
            read_back(blob[:size])


def test_a_value_shorter_than_any_sealed_one_is_said_to_be_cut_off() -> None:
    blob = seal_under(KEK, 1, b"", PLACE)
    for size in range(len(blob)):
        with pytest.raises(Integrity, match="cut off"):
            kek_id_of(blob[:size], PLACE)


def test_another_kek_is_refused() -> None:
    with pytest.raises(Integrity):
        open_under(AESGCM(os.urandom(32)), seal_under(KEK, 1, b"payload", PLACE), PLACE)


def test_an_unknown_format_is_named() -> None:
    blob = seal_under(KEK, 1, b"payload", PLACE)
    with pytest.raises(Integrity, match="format 2"):
        kek_id_of(b"\x02" + blob[1:], PLACE)


def test_a_binding_with_a_nul_is_refused() -> None:
    with pytest.raises(Internal) as refusal:
        seal_under(KEK, 1, b"payload", Binding(table="a\0b", row="1", column="c"))
    assert refusal.value.code is ErrorCode.INTERNAL
