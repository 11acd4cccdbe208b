"""Expiry dates that people set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from strongroom.engines.expiration import read_expiration
from strongroom.kernel.errors import Invalid, Problems

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


def test_an_expiry_is_optional_and_read_with_any_offset() -> None:
    assert read_expiration(Problems(), {}, NOW) is None
    assert read_expiration(Problems(), {"expiration_date": None}, NOW) is None
    at = read_expiration(Problems(), {"expiration_date": "2026-01-15T14:00:00+01:00"}, NOW)
    assert at == NOW + timedelta(hours=1)


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-01-16", "2026-01-15T12:00:00Z", "9999-12-31T23:59:59-23:59"])
def test_an_expiry_must_be_a_time_ahead(text: str) -> None:
    problems = Problems()
    read_expiration(problems, {"expiration_date": text}, NOW)
    with pytest.raises(Invalid) as refused:
        problems.raise_any()
    assert refused.value.field == "expiration_date"
