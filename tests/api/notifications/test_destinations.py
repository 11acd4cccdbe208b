"""Making, changing, showing and testing destinations, and the registration of the reference."""

from __future__ import annotations

from typing import Any

import pytest

from strongroom.domain.access.actions import Role
from tests.api.notifications.sending import (
    CRN,
    DESTINATIONS,
    REGISTRATION,
    SIGNING_SECRET,
    ask,
    deliveries,
    destination,
)
from tests.api.v2.sending import UNKNOWN, error, make_group
from tests.peers.in_process import InProcess
from tests.peers.sinks import SmtpSink, WebhookSink

REGISTER = {"event_notifications_instance_crn": CRN, "event_notifications_source_name": "example"}


def test_destination_is_shown_without_its_secrets(server: InProcess) -> None:
    answer = ask(server, signing_secret=SIGNING_SECRET, filters={"event_types": ["secret_created"]})

    assert answer.status == 201
    shown = answer.json
    assert shown == {
        "id": shown["id"],
        "name": "hook",
        "type": "webhook",
        "enabled": True,
        "url": "https://hooks.example.com/a?***",
        "filters": {"event_types": ["secret_created"], "secret_types": [], "secret_group_ids": []},
        "created_at": "2026-01-15T12:00:00Z",
        "created_by": shown["created_by"],
        "updated_at": "2026-01-15T12:00:00Z",
    }
    address = f"{DESTINATIONS}/{shown['id']}"
    assert server.request("GET", address).json == shown
    assert server.request("GET", DESTINATIONS).json == {"destinations": [shown], "total_count": 1}


def test_secrets_are_on_the_disk_only_sealed(server: InProcess) -> None:
    destination(server, url="https://hooks.example.com/a?token=planted-query-0002", signing_secret=SIGNING_SECRET)

    server.container.store.storage.close()

    for path in server.directory.database.parent.glob("*.db*"):
        content = path.read_bytes()
        assert SIGNING_SECRET.encode() not in content
        assert b"planted-query-0002" not in content


def test_path_of_a_slack_webhook_is_secret_too(server: InProcess) -> None:
    answer = ask(server, type="slack", url="https://hooks.slack.com/services/T0/B0/planted")

    assert answer.json["url"] == "https://hooks.slack.com/***"


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"url": ...}, "url"),
        ({"url": "ftp://hooks.example.com/"}, "url"),
        ({"url": "https://user:planted-word@hooks.example.com/"}, "url"),
        ({"url": "https://hooks.example.com/***"}, "url"),
        ({"url": "https://169.254.169.254/latest"}, "url"),
        ({"recipients": ["team@example.com"]}, "recipients"),
        ({"attach_payload": True}, "attach_payload"),
        ({"signing_secret": "short"}, "signing_secret"),
        ({"name": "a"}, "name"),
        ({"name": "-hook-"}, "name"),
        ({"type": "pigeon"}, "type"),
        ({"filters": {"event_types": ["secret_sung"]}}, "filters.event_types[0]"),
        ({"filters": {"secret_types": ["song"]}}, "filters.secret_types[0]"),
        ({"filters": {"secret_group_ids": [UNKNOWN]}}, "filters.secret_group_ids[0]"),
        ({"type": "email", "url": ...}, "recipients"),
        ({"type": "email", "url": ..., "recipients": ["team at example.com"]}, "recipients[0]"),
        ({"type": "email", "recipients": ["team@example.com"]}, "url"),
        ({"type": "slack", "url": "https://hooks.example.com/", "signing_secret": SIGNING_SECRET}, "signing_secret"),
        ({"type": "apprise", "url": "nonsense"}, "url"),
        ({"type": "apprise", "url": "mailto://user:planted-word@example.com"}, "url"),
        ({"type": "apprise", "url": "json://example.com/?template=/etc/passwd"}, "url"),
    ],
)
def test_what_breaks_a_rule_is_refused_by_field(server: InProcess, members: dict[str, Any], field: str) -> None:
    problem = error(ask(server, **members))

    assert problem["target"]["name"] == field
    assert "planted-word" not in problem["message"]


def test_name_is_taken_once(server: InProcess) -> None:
    destination(server)

    assert error(ask(server), 409)["code"] == "already_exists"


def test_change_keeps_what_is_not_named(server: InProcess, webhook_sink: WebhookSink) -> None:
    address = destination(server, url=webhook_sink.url + "?a=b", signing_secret=SIGNING_SECRET)
    group = make_group(server)

    answer = server.request("PATCH", address, {"name": "other", "filters": {"secret_group_ids": [group]}})

    assert answer.status == 200
    assert (answer.json["name"], answer.json["filters"]["secret_group_ids"]) == ("other", [group])
    assert server.request("POST", f"{address}/test").json["success"] is True
    (request,) = webhook_sink.received
    assert request.path == "/hook?a=b"
    assert "x-strongroom-signature" in request.headers
    server.request("PATCH", address, {"signing_secret": None})
    server.request("POST", f"{address}/test")
    assert "x-strongroom-signature" not in webhook_sink.received[1].headers


@pytest.mark.parametrize(
    "changes", [{"url": None}, {"name": None}, {"type": "slack"}, {"recipients": ["a@example.com"]}]
)
def test_change_that_breaks_a_rule_is_refused(server: InProcess, changes: dict[str, Any]) -> None:
    address = destination(server)

    assert error(server.request("PATCH", address, changes))["target"]["name"] == next(iter(changes))


def test_deleted_destination_is_gone_with_its_log(server: InProcess, webhook_sink: WebhookSink) -> None:
    address = destination(server, url=webhook_sink.url)

    assert server.request("DELETE", address).status == 204

    for method, path in (("GET", address), ("DELETE", address), ("GET", f"{address}/deliveries")):
        assert server.request(method, path).status == 404
    assert server.request("POST", f"{address}/test").status == 404
    assert server.request("GET", f"{DESTINATIONS}/nonsense").status in {400, 404}


def test_button_tells_what_came_of_it(server: InProcess, webhook_sink: WebhookSink) -> None:
    address = destination(server, url=webhook_sink.url)
    webhook_sink.statuses = [202, 500]
    webhook_sink.answer = b"planted answer"

    first, second = (server.request("POST", f"{address}/test") for _ in range(2))

    assert first.json == {"success": True, "message": "127.0.0.1 answered with status 202.", "status_code": 202}
    assert second.json == {"success": False, "message": "127.0.0.1 answered with status 500.", "status_code": 500}
    assert second.status == 200
    assert webhook_sink.received[0].json["type"] == "com.ibm.cloud.secrets-manager.test_event"
    assert deliveries(server, address) == []


def test_redirects_are_not_followed(server: InProcess, webhook_sink: WebhookSink) -> None:
    address = destination(server, url=webhook_sink.url)
    webhook_sink.statuses = [307]
    webhook_sink.answer_headers = {"Location": "http://127.0.0.1:9/"}

    answer = server.request("POST", f"{address}/test").json

    assert answer["success"] is False
    assert "Redirects are not followed" in answer["message"]
    assert len(webhook_sink.received) == 1


def test_button_of_an_e_mail_destination_sends_an_e_mail(server: InProcess, smtp_sink: SmtpSink) -> None:
    address = destination(server, type="email", url=..., recipients=["web@example.com", "ops@example.com"])

    answer = server.request("POST", f"{address}/test").json

    assert answer == {"success": True, "message": "The mail server 127.0.0.1 took it."}
    (mail,) = smtp_sink.mails
    assert (mail.sender, mail.recipients) == ("strongroom@example.com", ("web@example.com", "ops@example.com"))
    assert mail.message["Subject"] == "Test notice from Strongroom"
    assert "web@example.com" not in mail.message.as_string()


def test_test_and_reading_need_a_service_role_and_changes_a_manager_or_an_editor(
    server: InProcess, webhook_sink: WebhookSink
) -> None:
    address = destination(server, url=webhook_sink.url)
    reader, editor, group_reader = (
        server.login_with(Role.READER),
        server.login_with(Role.EDITOR),
        server.login_with(Role.READER, group="default"),
    )

    assert server.request("GET", address, token=reader).status == 200
    assert server.request("POST", f"{address}/test", token=reader).status == 200
    assert server.request("PATCH", address, {"enabled": False}, token=reader).status == 403
    assert server.request("PATCH", address, {"enabled": False}, token=editor).status == 200
    assert server.request("GET", address, token=group_reader).status == 403
    assert server.request("GET", REGISTRATION, token=group_reader).status == 403
    assert server.request("DELETE", address, token=editor).status == 204


def test_registration_is_stored_shown_replaced_and_dropped(server: InProcess) -> None:
    assert server.request("GET", REGISTRATION).status == 404
    other = CRN.replace(":2:", ":3:")
    for crn in (CRN, other):
        answer = server.request("POST", REGISTRATION, {**REGISTER, "event_notifications_instance_crn": crn})
        assert (answer.status, answer.json) == (201, {"event_notifications_instance_crn": crn})

    assert server.request("GET", REGISTRATION).json == {"event_notifications_instance_crn": other}
    assert server.request("DELETE", REGISTRATION).status == 204
    assert server.request("DELETE", REGISTRATION).status == 404


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("event_notifications_instance_crn", "crn:v1:too:short"),
        ("event_notifications_instance_crn", CRN + "x" * 512),
        ("event_notifications_source_name", "a"),
        ("event_notifications_source_description", "a" * 1025),
    ],
)
def test_registration_that_breaks_a_rule_is_refused(server: InProcess, field: str, text: str) -> None:
    assert error(server.request("POST", REGISTRATION, {**REGISTER, field: text}))["target"]["name"] == field


def test_test_of_the_registration_reaches_every_destination_that_is_switched_on(
    server: InProcess, webhook_sink: WebhookSink
) -> None:
    assert server.request("GET", f"{REGISTRATION}/test").status == 404
    server.request("POST", REGISTRATION, REGISTER)
    filtered = destination(server, url=webhook_sink.url, filters={"event_types": ["secret_created"]})
    destination(server, name="off", url=webhook_sink.url, enabled=False)

    assert server.request("GET", f"{REGISTRATION}/test").status == 204
    server.work()

    (request,) = webhook_sink.received
    (delivery,) = deliveries(server, filtered)
    assert delivery["event_id"] == request.json["id"]
    assert (delivery["state"], delivery["attempt"], delivery["status_code"]) == ("delivered", 1, 204)
    assert request.json["data"]["event_type"] == "com.ibm.cloud.secrets-manager.test_event"


def test_private_addresses_are_refused_without_the_setting(
    tmp_path: Any, clock: Any, webhook_sink: WebhookSink
) -> None:
    from tests.peers.in_process import in_process

    with in_process(tmp_path / "guarded", clock) as guarded:
        for url in (webhook_sink.url, webhook_sink.url.replace("http", "https"), "https://10.0.0.1/a"):
            assert error(ask(guarded, url=url))["code"] == "destination_not_allowed"
        problem = error(ask(guarded, type="email", url=..., recipients=["team@example.com"]))
        assert problem["code"] == "not_supported"
    assert webhook_sink.received == []
