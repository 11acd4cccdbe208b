from __future__ import annotations

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.pki.members import Members
from strongroom.pki.names import NameProblem
from strongroom.pki.san import AltNames, OtherSan, build_alt_names, check_other_san, join_common_name, read_alt_names


def _read(**values: object) -> AltNames:
    members = Members(values, what="a test")
    found = read_alt_names(members)
    members.problems.raise_any()
    return found


def _refused(**values: object) -> list[tuple[str | None, ErrorCode]]:
    with pytest.raises(Invalid) as caught:
        _read(**values)
    return [(error.field, error.code) for error in caught.value.causes or (caught.value,)]


def test_members_may_be_lists_or_strings_with_commas() -> None:
    as_lists = _read(
        alt_names=["www.example.com", "ops@example.com"],
        ip_sans=["192.0.2.1", "2001:DB8::0:1"],
        uri_sans=["spiffe://example.com/a", "https://example.com/a,b"],
        other_sans=["1.2.3.4;UTF8:x"],
    )
    as_text = _read(
        alt_names="www.example.com, ops@example.com",
        ip_sans="192.0.2.1,2001:DB8::0:1,",
        uri_sans="spiffe://example.com/a",
        other_sans="1.2.3.4:utf-8:x",
    )
    assert as_lists.uris == ("spiffe://example.com/a", "https://example.com/a,b")
    assert as_text.uris == ("spiffe://example.com/a",)
    assert as_lists.hosts_and_emails == as_text.hosts_and_emails == ("www.example.com", "ops@example.com")
    assert as_lists.addresses == as_text.addresses == ("192.0.2.1", "2001:db8::1")
    assert as_lists.others == as_text.others == (OtherSan(oid="1.2.3.4", value="x"),)


def test_absent_and_null_members_mean_no_names() -> None:
    assert _read() == _read(alt_names=None, ip_sans=None, uri_sans=None, other_sans=None) == AltNames()


def test_repeated_names_count_once() -> None:
    assert _read(alt_names=["a.example.com", "a.example.com"]).hosts_and_emails == ("a.example.com",)


def test_every_wrong_name_is_reported_with_its_place() -> None:
    assert _refused(
        alt_names=["ok.example.com", "not ok"], ip_sans="192.0.2.256", uri_sans=["relative"], other_sans=["1.2.3=x", 5]
    ) == [
        ("alt_names[1]", ErrorCode.INVALID_FIELD),
        ("ip_sans", ErrorCode.INVALID_FIELD),
        ("uri_sans[0]", ErrorCode.INVALID_FIELD),
        ("other_sans[0]", ErrorCode.INVALID_FIELD),
        ("other_sans[1]", ErrorCode.INVALID_FIELD),
    ]


def test_there_are_limits() -> None:
    assert len(_read(alt_names=[f"h{n}.example.com" for n in range(99)]).hosts_and_emails) == 99
    assert _refused(alt_names=[f"h{n}.example.com" for n in range(100)]) == [("alt_names", ErrorCode.INVALID_FIELD)]
    assert len(_read(other_sans=[f"1.2.3;UTF8:{n}" for n in range(100)]).others) == 100
    assert _refused(other_sans=[f"1.2.3;UTF8:{n}" for n in range(101)]) == [("other_sans", ErrorCode.INVALID_FIELD)]
    assert _refused(ip_sans="192.0.2.1," * 300) == [("ip_sans", ErrorCode.INVALID_FIELD)]
    assert _refused(uri_sans={"a": 1}) == [("uri_sans", ErrorCode.INVALID_FIELD)]


@pytest.mark.parametrize(
    "text", ["1.2.3;UTF8:x", "1.2.3:UTF8:x", "1.2.3;utf8:x", "1.2.3;UTF-8:x", "1.2.3;UTF8String:x"]
)
def test_spellings_of_other_names(text: str) -> None:
    assert str(check_other_san(text)) == "1.2.3;UTF8:x"


@pytest.mark.parametrize(
    "text", ["", "1.2.3", "1.2.3;x", "1.2.3;IA5:x", "3.2.1;UTF8:x", "1.2.3;UTF8:", "1.2.3;UTF8:a\x00b", "x;UTF8:y"]
)
def test_other_names_that_are_none(text: str) -> None:
    with pytest.raises(NameProblem):
        check_other_san(text)


@pytest.mark.parametrize(
    ("common_name", "exclude", "expected"),
    [
        ("www.example.com", False, ("www.example.com", "a.example.com")),
        ("www.example.com", True, ("a.example.com",)),
        ("ops@example.com", False, ("ops@example.com", "a.example.com")),
        ("localhost", False, ("localhost", "a.example.com")),
        ("Example Service", False, ("a.example.com",)),
        ("192.0.2.1", False, ("a.example.com",)),
        ("A.Example.com", False, ("A.Example.com",)),
        ("", False, ("a.example.com",)),
        ("bücher.example.com", False, ("xn--bcher-kva.example.com", "a.example.com")),
    ],
)
def test_the_common_name_joins_the_names_if_it_is_one(
    common_name: str, exclude: bool, expected: tuple[str, ...]
) -> None:
    assert join_common_name(common_name, ["a.example.com"], exclude=exclude) == expected


def test_names_are_built_as_their_kinds() -> None:
    found = _read(
        alt_names="www.example.com,ops@example.com", ip_sans="192.0.2.1", uri_sans="urn:x:y", other_sans="1.2.3;UTF8:ä"
    )
    kinds = [type(name) for name in build_alt_names(found)]
    assert kinds == [x509.DNSName, x509.RFC822Name, x509.IPAddress, x509.UniformResourceIdentifier, x509.OtherName]
    assert build_alt_names(found)[-1].value == "ä".encode().join([b"\x0c\x02", b""])


@given(
    st.dictionaries(
        st.sampled_from(["alt_names", "ip_sans", "uri_sans", "other_sans"]), st.text() | st.lists(st.text())
    )
)
def test_any_text_is_read_or_refused(values: dict[str, object]) -> None:
    try:
        found = _read(**values)
    except Invalid:
        return
    if found != AltNames():
        assert x509.SubjectAlternativeName(build_alt_names(found)).public_bytes()
