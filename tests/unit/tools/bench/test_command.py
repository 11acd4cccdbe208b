from __future__ import annotations

import argparse

import pytest

from tools.bench.command import choose
from tools.bench.measurements import MEASUREMENTS


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("1", ["read"]),
        ("2,1", ["read"]),
        ("write, 10", ["start", "write"]),
        ("12,memory,3", ["start", "write", "memory"]),
        ("7", ["issue-rsa", "issue-rsa-ec-ca"]),
    ],
)
def test_rows_are_chosen_by_number_or_name_and_run_in_their_usual_order(text: str, names: list[str]) -> None:
    assert [measurement.name for measurement in choose(text)] == names


def test_an_unknown_row_is_refused_with_those_that_exist() -> None:
    with pytest.raises(
        argparse.ArgumentTypeError, match=r"no row '99'; there are 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, or by name start"
    ):
        choose("1,99")


def test_every_gated_row_of_this_release_is_measured() -> None:
    assert {row for measurement in MEASUREMENTS for row in measurement.rows} >= {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12}
