"""Rules of names, descriptions, labels and metadata objects."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.domain.limits import Limits
from strongroom.domain.secrets.checks import (
    GROUP_NAME_LENGTHS,
    SECRET_NAME_LENGTHS,
    check_description,
    check_labels,
    check_lock_name,
    check_metadata,
    check_name,
)
from strongroom.kernel.errors import Invalid, Problems

# The published pattern, which backtracks; short texts only.
PUBLISHED = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_]*(?:_*-*\.*[A-Za-z0-9]*)*[A-Za-z0-9]+\Z")


def fields(problems: Problems) -> list[str | None]:
    """Return which members were found at fault."""
    try:
        problems.raise_any()
    except Invalid as error:
        return [cause.field for cause in error.causes or (error,)]
    return []


def name_is_fine(name: str, lengths: tuple[int, int] = SECRET_NAME_LENGTHS) -> bool:
    """Tell whether a name passes."""
    problems = Problems()
    check_name(problems, name, lengths=lengths)
    return not fields(problems)


@given(st.text(alphabet="aZ0_-.\n ", max_size=7))
def test_names_pass_exactly_when_the_published_pattern_does(name: str) -> None:
    assert name_is_fine(name) == (len(name) >= 2 and PUBLISHED.match(name) is not None)


@pytest.mark.parametrize("size", [1, 2, 64, 65, 256, 257])
def test_names_have_their_lengths(size: int) -> None:
    assert name_is_fine("a" * size) == (2 <= size <= 256)
    assert name_is_fine("a" * size, GROUP_NAME_LENGTHS) == (2 <= size <= 64)


def test_long_names_are_checked_in_linear_time() -> None:
    assert not name_is_fine("a-" * 127 + "-")


@given(st.text(max_size=70))
def test_lock_names_are_letters_first(name: str) -> None:
    problems = Problems()
    check_lock_name(problems, name, field="locks[0].name")
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
    good = 2 <= len(name) <= 64 and set(name) <= allowed and name[0].isalpha()
    assert (fields(problems) == []) == good


def test_descriptions_may_have_lines_and_tabs_but_no_other_controls() -> None:
    for text, fine in (("", True), ("a\n\tb\r", True), ("d" * 1024, True), ("d" * 1025, False), ("\x00", False)):
        problems = Problems()
        check_description(problems, text)
        assert (fields(problems) == []) == fine


def test_every_broken_label_is_named_by_its_place() -> None:
    problems = Problems()
    check_labels(problems, ["ok", "x", "tab\there", "y" * 65, "bell\x07", "line\nbreak"], Limits())
    assert fields(problems) == ["labels[1]", "labels[3]", "labels[4]", "labels[5]"]


def test_labels_beyond_the_limit_are_counted_and_not_listed() -> None:
    problems = Problems()
    check_labels(problems, ["x"] * 1000, Limits(labels=2))
    assert fields(problems) == ["labels", "labels[0]", "labels[1]"]


@given(st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3), st.integers(1, 60))
def test_metadata_is_measured_as_utf8_json(value: dict[str, str], limit: int) -> None:
    import json

    problems = Problems()
    check_metadata(problems, value, field="custom_metadata", limit=limit)
    size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
    assert (fields(problems) == ["custom_metadata"]) == (size > limit)


def test_absent_metadata_is_fine() -> None:
    problems = Problems()
    check_metadata(problems, None, field="custom_metadata", limit=1)
    assert fields(problems) == []
