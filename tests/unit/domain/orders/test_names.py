"""Which names an order may hold, rule by rule, and with names that nobody thought of."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.domain.orders.names import MOST_COMMON_NAME, OrderNames, check_names, names_key
from strongroom.kernel.errors import ErrorCode, Invalid, Problems

LONGEST = "a" * 52 + ".example.com"
"""64 characters."""
LONGER = "a" * 53 + ".example.com"
_labels = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=12)
_hosts = st.builds("{}.{}.example.com".format, _labels, _labels)


def read(common_name: str | None, *alt_names: str, most: int = 100) -> OrderNames:
    problems = Problems()
    names = check_names(problems, common_name, alt_names, most=most)
    problems.raise_any()
    return names


def refusals(common_name: str | None, *alt_names: str, most: int = 100) -> list[tuple[str | None, str | None]]:
    """Return field and number of every refusal."""
    with pytest.raises(Invalid) as caught:
        read(common_name, *alt_names, most=most)
    causes = caught.value.causes or [caught.value]
    return [(cause.field, cause.reference_code) for cause in causes if isinstance(cause, Invalid)]


@pytest.mark.parametrize(
    ("common_name", "alt_names", "expected"),
    [
        ("example.com", [], ["example.com"]),
        ("Example.COM", ["WWW.example.com"], ["example.com", "www.example.com"]),
        (" example.com ", ["\twww.example.com"], ["example.com", "www.example.com"]),
        ("*.example.com", ["example.com"], ["*.example.com", "example.com"]),
        ("example.com", ["*.example.com", "a.b.example.com"], ["example.com", "*.example.com", "a.b.example.com"]),
        ("bücher.example", ["例え.example"], ["xn--bcher-kva.example", "xn--r8jz45g.example"]),
        (None, ["example.com", "example.org"], ["example.com", "example.org"]),
        ("", ["example.com"], ["example.com"]),
        (LONGEST, [], [LONGEST]),
        ("*." + LONGEST[2:], [], ["*." + LONGEST[2:]]),
        (None, [LONGER], [LONGER]),
        ("1.example.com", ["1-2--3.example.com"], ["1.example.com", "1-2--3.example.com"]),
    ],
)
def test_names_are_read_in_their_order(common_name: str | None, alt_names: list[str], expected: list[str]) -> None:
    names = read(common_name, *alt_names)
    assert list(names.all) == expected
    assert names.common_name == (expected[0] if common_name else None)


@pytest.mark.parametrize(
    ("common_name", "alt_names", "expected"),
    [
        # Not a host name: 07105.
        ("example", [], [("common_name", "07105")]),
        ("*.com", [], [("common_name", "07105")]),
        ("*", [], [("common_name", "07105")]),
        ("a.*.example.com", [], [("common_name", "07105")]),
        ("*.*.example.com", [], [("common_name", "07105")]),
        ("**.example.com", [], [("common_name", "07105")]),
        ("w*.example.com", [], [("common_name", "07105")]),
        ("example.com.", [], [("common_name", "07105")]),
        ("www..example.com", [], [("common_name", "07105")]),
        (".example.com", [], [("common_name", "07105")]),
        ("a b.example.com", [], [("common_name", "07105")]),
        ("a_b.example.com", [], [("common_name", "07105")]),
        ("-a.example.com", [], [("common_name", "07105")]),
        ("192.0.2.1", [], [("common_name", "07105")]),
        ("2001:db8::1", [], [("common_name", "07105")]),
        ("pki@example.com", [], [("common_name", "07105")]),
        ("https://example.com", [], [("common_name", "07105")]),
        ("example.com\x00", [], [("common_name", "07105")]),
        ("a" * 64 + ".example.com", [], [("common_name", "07105")]),
        (".".join(["a" * 60] * 5), [], [("common_name", "07105")]),
        (None, ["example.com", "no name"], [("alt_names[1]", "07105")]),
        # Longer than 64: 07106.
        (LONGER, [], [("common_name", "07106")]),
        ("*." + LONGEST, [], [("common_name", "07106")]),
        # The same name twice is 07108.
        ("example.com", ["example.com"], [("alt_names[0]", "07108")]),
        ("example.com", ["www.example.com", "EXAMPLE.com "], [("alt_names[1]", "07108")]),
        ("bücher.example", ["xn--bcher-kva.example"], [("alt_names[0]", "07108")]),
        # Covered by a wildcard: 07109.
        ("www.example.com", ["*.example.com"], [("common_name", "07109")]),
        ("*.example.com", ["example.com", "www.example.com"], [("alt_names[1]", "07109")]),
        # Everything at once.
        ("no name", ["b.example.com", "*.example.com"], [("common_name", "07105"), ("alt_names[0]", "07109")]),
        (None, [], [("common_name", None)]),
        ("", [""], [("alt_names[0]", "07105")]),
    ],
)
def test_broken_rule_is_told_with_field_and_number(
    common_name: str | None, alt_names: list[str], expected: list[tuple[str, str]]
) -> None:
    assert refusals(common_name, *alt_names) == expected


def test_order_without_any_name_lacks_a_field() -> None:
    with pytest.raises(Invalid) as caught:
        read(None)
    assert caught.value.code is ErrorCode.MISSING_FIELD


def test_hundred_names_are_taken_and_not_one_more() -> None:
    names = [f"n{number}.example.com" for number in range(100)]
    assert read("example.com", *names[:99]).all == ("example.com", *names[:99])
    assert read(None, *names).all == tuple(names)
    assert refusals("example.com", *names) == [("alt_names", None)]
    assert refusals(None, *names, "example.com") == [("alt_names", None)]


@pytest.mark.parametrize(
    ("common_name", "alt_names", "expected"),
    [
        ("example.com", ["a.example.com"], "example.com"),
        (None, ["b.example.com", "a.example.com"], "b.example.com"),
        (None, [LONGER, "a.example.com"], "a.example.com"),
        (None, [LONGER], None),
    ],
)
def test_subject_is_the_first_name_that_is_short_enough(
    common_name: str | None, alt_names: list[str], expected: str | None
) -> None:
    assert read(common_name, *alt_names).subject == expected


def test_key_says_which_names_whatever_their_order() -> None:
    names = ["example.com", "www.example.com", "*.apps.example.com"]
    assert names_key(names) == names_key([*reversed(names), names[0]])
    assert names_key(names) != names_key(names[:2])
    assert names_key(["a.example.com", "b.example.com"]) != names_key(["a.example.comb.example.com"])


@given(hosts=st.lists(_hosts, min_size=1, max_size=20, unique=True), seed=st.integers(), has_common=st.booleans())
def test_good_names_come_out_as_they_went_in(hosts: list[str], seed: int, has_common: bool) -> None:
    chance = random.Random(seed)
    written = ["".join(chance.choice([sign, sign.upper()]) for sign in host) for host in hosts]
    names = read(written[0], *written[1:]) if has_common else read(None, *written)
    assert list(names.all) == hosts
    shuffled = chance.sample(hosts, len(hosts))
    assert names_key(names.all) == names_key(read(None, *shuffled).all)
    assert names.subject is not None
    assert len(names.subject) <= MOST_COMMON_NAME


@given(common_name=st.none() | st.text(max_size=80), alt_names=st.lists(st.text(max_size=80) | _hosts, max_size=6))
def test_any_text_is_taken_or_refused_by_its_own_field(common_name: str | None, alt_names: list[str]) -> None:
    fields = {"common_name", "alt_names", *(f"alt_names[{index}]" for index in range(len(alt_names)))}
    try:
        names = read(common_name, *alt_names)
    except Invalid as refusal:
        for cause in refusal.causes or [refusal]:
            assert isinstance(cause, Invalid)
            assert cause.field in fields
            assert cause.detail.isprintable()
        return
    assert len(set(names.all)) == len(names.all)
    for name in names.all:
        assert name == name.lower()
        assert name.isascii()
        assert "." in name.removeprefix("*.")
        assert not any(other == "*." + name.partition(".")[2] for other in names.all)
