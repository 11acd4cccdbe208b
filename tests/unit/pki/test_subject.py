from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.pki.members import Members
from strongroom.pki.subject import (
    SUBJECT_LIMITS,
    SUBJECT_MEMBERS,
    Subject,
    build_subject,
    find_common_name,
    read_common_name,
    read_serial_number,
    read_subject,
    subject_of,
    subject_view,
)


def _read(**values: object) -> tuple[Subject, str, str]:
    members = Members(values, what="a test")
    read = read_subject(members), read_common_name(members, required=False), read_serial_number(members)
    members.problems.raise_any()
    return read


def _refused(**values: object) -> list[str | None]:
    with pytest.raises(Invalid) as caught:
        _read(**values)
    assert all(error.code is ErrorCode.INVALID_FIELD for error in caught.value.causes)
    return [error.field for error in caught.value.causes or (caught.value,)]


def test_a_name_has_its_parts_in_one_order() -> None:
    subject, common_name, serial_number = _read(
        common_name="Example CA",
        serial_number="43:5c:f4",
        ou=["One", "Two"],
        organization=["Example, Inc."],
        country=["de"],
        locality=["Berlin"],
        province=["Berlin"],
        street_address=["Street 1"],
        postal_code=["10115"],
    )
    name = build_subject(subject, common_name, serial_number=serial_number)
    assert [(attribute.oid, attribute.value) for attribute in name] == [
        (NameOID.COUNTRY_NAME, "DE"),
        (NameOID.STATE_OR_PROVINCE_NAME, "Berlin"),
        (NameOID.LOCALITY_NAME, "Berlin"),
        (NameOID.STREET_ADDRESS, "Street 1"),
        (NameOID.POSTAL_CODE, "10115"),
        (NameOID.ORGANIZATION_NAME, "Example, Inc."),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "One"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "Two"),
        (NameOID.COMMON_NAME, "Example CA"),
        (NameOID.SERIAL_NUMBER, "43:5c:f4"),
    ]
    assert find_common_name(name) == "Example CA"
    assert find_common_name(x509.Name([])) == ""


def test_members_are_shown_as_they_were_sent() -> None:
    subject, _, _ = _read(country=["de"], ou=["One"])
    assert subject_view(subject) == {name: [] for name in SUBJECT_MEMBERS} | {"country": ["de"], "ou": ["One"]}
    assert subject_of(subject) == subject


def test_every_broken_member_is_named() -> None:
    too_long = {name: ["x" * (limit + 1)] for name, limit in SUBJECT_LIMITS.items()}
    assert _refused(**too_long) == [f"{name}[0]" for name in SUBJECT_LIMITS]
    assert _refused(country=["DEU"], ou=[" "], locality=["a\nb"], province="text", postal_code=["1"] * 11) == [
        "ou[0]",
        "locality[0]",
        "province",
        "postal_code",
        "country[0]",
    ]
    assert _refused(common_name="x" * 129, serial_number="x" * 65) == ["common_name", "serial_number"]
    assert _refused(common_name="a\x00b", serial_number="ä") == ["common_name", "serial_number"]
    assert _refused(common_name=5) == ["common_name"]


def test_a_required_common_name_must_be_there() -> None:
    members = Members({"common_name": " "}, what="a test")
    read_common_name(members, required=True)
    with pytest.raises(Invalid, match="common_name is required") as caught:
        members.problems.raise_any()
    assert caught.value.code is ErrorCode.MISSING_FIELD


def test_a_common_name_may_have_128_characters_of_any_script() -> None:
    name = build_subject(Subject(), "ж" * 128)
    assert find_common_name(name) == "ж" * 128
    assert len(name.public_bytes()) > 256


@given(
    st.dictionaries(
        st.sampled_from([*SUBJECT_MEMBERS, "common_name", "serial_number"]), st.text() | st.lists(st.text(), max_size=3)
    )
)
def test_any_text_is_refused_or_becomes_a_name(values: dict[str, object]) -> None:
    try:
        subject, common_name, serial_number = _read(**values)
    except Invalid:
        return
    name = build_subject(subject, common_name, serial_number=serial_number)
    assert find_common_name(name) == common_name
    assert name.public_bytes()
