"""The ladder of notices before an end, and the daily ones after it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from strongroom.domain.notifications.ladder import NOTICE_DAYS
from tests.api.notifications.sending import destination
from tests.api.v2.sending import create, import_certificate, leaf, made
from tests.peers.in_process import InProcess
from tests.peers.sinks import SmtpSink, WebhookSink

FILTER = {"event_types": ["secret_about_to_expire", "secret_expired"]}


def import_leaf(server: InProcess, days: float, name: str = "cert") -> str:
    return made(import_certificate(server, name, certificate=leaf(server, days).pem))


def told(sink: WebhookSink) -> list[str]:
    """Return what was told so far: sub types, and ``expired``."""
    return [request.json["data"]["event_sub_type"] or "expired" for request in sink.received]


def live(server: InProcess, days: int, *, hours: int = 6) -> None:
    """Let days go by, with the worker looking every few hours."""
    for _ in range(days * 24 // hours):
        server.clock.advance(timedelta(hours=hours))
        server.work()
        # A notice is gathered for a minute before it is sent.
        server.clock.advance(timedelta(minutes=1))
        server.work()
    server.forget_tokens()


@pytest.fixture
def sink(server: InProcess, webhook_sink: WebhookSink) -> WebhookSink:
    destination(server, url=webhook_sink.url, filters=FILTER)
    return webhook_sink


def test_each_notice_of_the_ladder_goes_out_once_and_expiry_daily(server: InProcess, sink: WebhookSink) -> None:
    import_leaf(server, 95)

    live(server, 94)

    assert told(sink) == [f"in_{days}_{'day' if days == 1 else 'days'}" for days in NOTICE_DAYS]
    live(server, 3)
    assert told(sink)[len(NOTICE_DAYS) :] == ["expired"] * 3


def test_certificate_that_has_less_left_gets_the_later_notices_only(server: InProcess, sink: WebhookSink) -> None:
    import_leaf(server, 29.5)

    live(server, 29)

    assert told(sink) == ["in_10_days", "in_1_day", "in_0_days"]


def test_certificate_that_lives_for_hours_gets_its_one_notice_at_once(server: InProcess, sink: WebhookSink) -> None:
    import_leaf(server, 0.5)
    server.work()

    assert told(sink) == ["in_0_days"]


def test_missed_day_is_not_made_up_for(server: InProcess, sink: WebhookSink) -> None:
    import_leaf(server, 40)

    server.clock.advance(timedelta(days=30, hours=12))  # nobody looked when 30 days were left
    live(server, 1)

    assert told(sink) == []
    live(server, 3)
    # 9.5 days were left at the first look, so that of 10 days was missed, too.
    assert told(sink) == []


def test_next_certificate_has_its_own_ladder(server: InProcess, sink: WebhookSink) -> None:
    address = import_leaf(server, 31)
    live(server, 2)
    assert told(sink) == ["in_30_days"]

    renewed = leaf(server, 31)
    answer = server.request("POST", f"{address}/versions", {"certificate": renewed.pem})
    assert answer.status == 201, answer.raw
    live(server, 2)

    assert told(sink) == ["in_30_days", "in_30_days"]


def test_same_end_is_told_of_once_for_each_certificate(server: InProcess, sink: WebhookSink) -> None:
    first = leaf(server, 30.9)
    address = made(import_certificate(server, certificate=first.pem))
    live(server, 1, hours=1)
    assert told(sink) == ["in_30_days"]

    server.request("PATCH", f"{address}/metadata", {"description": "changed"})
    server.clock.advance(timedelta(minutes=5))
    server.work()

    assert told(sink) == ["in_30_days"]


def test_certificate_that_is_renewed_hears_no_more_of_its_old_end(server: InProcess, sink: WebhookSink) -> None:
    address = import_leaf(server, 12)
    server.request("POST", f"{address}/versions", {"certificate": leaf(server, 200).pem})

    live(server, 14)

    assert told(sink) == []


def test_deleted_certificate_is_not_told_of(server: InProcess, sink: WebhookSink) -> None:
    address = import_leaf(server, 12)
    server.request("DELETE", address)

    live(server, 3)

    assert told(sink) == []


def test_expiration_of_a_secret_of_another_type_is_told_of_and_can_move(server: InProcess, sink: WebhookSink) -> None:
    end = server.clock.now() + timedelta(days=10, hours=12)
    address = made(create(server, expiration_date=end.strftime("%Y-%m-%dT%H:%M:%SZ")))
    live(server, 1)
    assert told(sink) == ["in_10_days"]

    later = server.clock.now() + timedelta(days=30, hours=12)
    answer = server.request("PATCH", f"{address}/metadata", {"expiration_date": later.strftime("%Y-%m-%dT%H:%M:%SZ")})
    assert answer.status == 200, answer.raw
    live(server, 1)

    assert told(sink) == ["in_10_days", "in_30_days"]


def test_many_on_one_day_come_together(server: InProcess, sink: WebhookSink, smtp_sink: SmtpSink) -> None:
    destination(server, name="mail", type="email", url=..., recipients=["web@example.com"], filters=FILTER)
    certificate = leaf(server, 31).pem
    for number in range(3):
        made(import_certificate(server, f"cert-{number}", certificate=certificate))

    live(server, 1)

    (request,) = sink.received
    assert {secret["secret_name"] for secret in request.json["data"]["secrets"]} == {"cert-0", "cert-1", "cert-2"}
    assert all("secret_expiration" in secret for secret in request.json["data"]["secrets"])
    (mail,) = smtp_sink.mails
    assert mail.message["Subject"] == "Your 3 imported_cert secrets expire in 30 days"


def test_end_that_came_while_no_server_ran_is_told_of_once(server: InProcess, sink: WebhookSink) -> None:
    import_leaf(server, 5)
    server.clock.advance(timedelta(days=9, hours=23))
    server.work()
    server.clock.advance(timedelta(hours=20))
    server.work()
    assert told(sink) == ["expired"]

    live(server, 1)

    assert told(sink) == ["expired"] * 2
