"""Headlines and lines of notices."""

from __future__ import annotations

from typing import Any

import pytest

from strongroom.domain.notifications.payload import Source, headline, lines
from strongroom.domain.notifications.vocabulary import EVENT_TYPES
from strongroom.domain.secrets.events import PREFIX
from strongroom.kernel.ids import Instance

SOURCE = Source(instance=Instance(id="i", account_id="a", region="local"), public_url="https://strongroom.example.com")


def payload(event: str, items: list[dict[str, Any]], **details: Any) -> dict[str, Any]:
    return SOURCE.payload(PREFIX + event, items=items, **{"secret_type": "public_cert", **details})


@pytest.mark.parametrize(
    ("event", "count", "sub_type", "text"),
    [
        ("secret_about_to_expire", 3, "in_10_days", "Your 3 public_cert secrets expire in 10 days"),
        ("secret_about_to_expire", 1, "in_1_day", "Your 1 public_cert secret expires in 1 day"),
        ("secret_about_to_expire", 2, "in_0_days", "Your 2 public_cert secrets expire in less than a day"),
        ("secret_rotation_failed", 1, "", "Your 1 public_cert secret: rotation failed"),
    ],
)
def test_headline_counts_and_names_the_day(event: str, count: int, sub_type: str, text: str) -> None:
    assert headline(payload(event, [{"secret_name": "a"}] * count, sub_type=sub_type)) == text


def test_configurations_are_no_secrets() -> None:
    details = {"configuration_name": "root", "certificate_expiration": "2026-01-15T12:00:00Z"}
    found = payload("ca_about_to_expire", [details], secret_type=None)

    assert found["configurations"] == [details]
    assert "secrets" not in found
    assert headline(found) == "1 configuration: ca about to expire"
    assert lines(found) == ["root - expires 2026-01-15T12:00:00Z"]


def test_line_has_no_breaks_whatever_was_stored() -> None:
    item = {"secret_name": "a", "domains": "x.example.com", "failure_reason": "two\nlines", "secret_type": "x"}
    found = payload("secret_rotation_failed", [item])

    assert lines(found) == ["a - x.example.com - two lines"]
    assert "secret_type" not in found["secrets"][0]


def test_vocabulary_has_every_event_of_the_contract() -> None:
    assert {
        *("secret_created", "secret_creation_failed", "secret_rotated", "secret_rotation_failed"),
        *("secret_about_to_expire", "secret_expired", "secret_revoked", "secret_deleted", "secret_deletion_failed"),
        *("secret_deletion_blocked", "secret_revocation_blocked", "secret_rotation_blocked"),
        *("secret_expiration_blocked", "secret_data_removed", "secret_version_data_deleted", "secret_task_created"),
        *("secret_task_succeeded", "secret_task_failed", "secret_task_deleted", "test_event"),
        *("secret_issuance_pending_manual", "challenge_expiring", "ca_about_to_expire", "crl_about_to_expire"),
    } <= set(EVENT_TYPES)
