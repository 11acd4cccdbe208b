"""From an event to its receiver: grouping, signatures, repeats, the log, kills."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest

from strongroom.domain.jobs.model import JobQuery
from strongroom.domain.notifications.delivering import TRY_AGAIN, Deliveries
from strongroom.domain.notifications.dispatch import DELIVER
from strongroom.domain.notifications.mail_room import MailRoom
from strongroom.domain.ports import Unit
from strongroom.domain.secrets.events import EventType
from strongroom.domain.secrets.model import Secret, SecretType, State
from strongroom.domain.secrets.references import add_reference, remove_reference
from strongroom.kernel.ids import DEFAULT_GROUP, GroupId, IamId, SecretId, new_uuid
from strongroom.runtime.container import build
from strongroom.runtime.settings import load_settings
from tests.api.notifications.sending import SIGNING_SECRET, deliveries, destination, later
from tests.api.v2.sending import create, import_certificate, leaf, made, make_group
from tests.peers.in_process import InProcess
from tests.peers.sinks import SmtpSink, WebhookSink, running_webhook_sink

PREFIX = "com.ibm.cloud.secrets-manager."


def emit(server: InProcess, count: int, *, event: EventType = EventType.CREATED, group: str = DEFAULT_GROUP) -> None:
    """Write events about secrets that need not be there."""
    now = server.clock.now()
    context = server.container.services.secrets.context
    secrets = [
        Secret(
            id=SecretId(new_uuid()),
            secret_type=SecretType.ARBITRARY,
            name=f"secret-{number}",
            group_id=GroupId(group),
            state=State.ACTIVE,
            created_at=now,
            created_by=IamId("iam-1"),
            updated_at=now,
        )
        for number in range(count)
    ]

    def emit_all(unit: Unit) -> None:
        for secret in secrets:
            context.outbox.emit(unit, event, secret, by="iam-1", at=now)

    server.container.store.storage.write(emit_all)


def test_notice_says_what_the_contract_says(server: InProcess, webhook_sink: WebhookSink) -> None:
    address = destination(server, url=webhook_sink.url)
    certificate = leaf(server, 200, names=("shop.example.com", "www.example.com"))
    secret = made(import_certificate(server, "shop", certificate=certificate.pem))
    server.work()

    (request,) = webhook_sink.received
    event = request.json
    instance = server.container.services.instance
    created_by = server.request("GET", secret).json["created_by"]
    assert request.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert {name: event[name] for name in event if name not in {"id", "data"}} == {
        "specversion": "1.0",
        "source": instance.crn,
        "type": PREFIX + "secret_created",
        "time": "2026-01-15T12:00:00Z",
        "datacontenttype": "application/json",
    }
    url = server.container.services.public_url
    data = event["data"]
    assert {name: data[name] for name in data if name != "secrets"} == {
        "event_type": PREFIX + "secret_created",
        "event_sub_type": "",
        "secret_type": "imported_cert",
        "source_service": "secrets-manager",
        "source_instance_crn": instance.crn,
        "source_instance_dashboard_url": f"{url}/console/",
        "source_instance_api_public_url": url,
        "source_instance_api_private_url": url,
    }
    (told,) = data["secrets"]
    assert told["serial_number"]
    assert {name: told[name] for name in told if name not in {"serial_number", "secret_expiration"}} == {
        "event_time": "2026-01-15T12:00:00Z",
        "event_triggered_by": created_by,
        "secret_id": instance.secret_crn(secret.rpartition("/")[2]),
        "secret_name": "shop",
        "secret_group_id": "default",
        "domains": told["domains"],
    }
    assert set(told["domains"].split(",")) >= {"shop.example.com", "www.example.com"}
    (delivery,) = deliveries(server, address)
    assert (delivery["event_id"], delivery["event_type"]) == (event["id"], event["type"])


def test_signature_is_that_of_timestamp_and_body(server: InProcess, webhook_sink: WebhookSink) -> None:
    destination(server, url=webhook_sink.url, signing_secret=SIGNING_SECRET)
    emit(server, 1)
    server.work()

    (request,) = webhook_sink.received
    timestamp = request.headers["x-strongroom-timestamp"]
    assert timestamp == str(int(server.clock.now().timestamp()))
    expected = hmac.new(SIGNING_SECRET.encode(), f"{timestamp}.".encode() + request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-strongroom-signature"] == f"v1={expected}"


def test_250_secrets_come_in_three_notices(server: InProcess, webhook_sink: WebhookSink) -> None:
    destination(server, url=webhook_sink.url)
    emit(server, 250)
    server.work()

    assert [len(request.json["data"]["secrets"]) for request in webhook_sink.received] == [100, 100, 50]
    names = [secret["secret_name"] for request in webhook_sink.received for secret in request.json["data"]["secrets"]]
    assert names == [f"secret-{number}" for number in range(250)]
    assert len({request.json["id"] for request in webhook_sink.received}) == 3


def test_more_events_than_one_step_takes_all_arrive(server: InProcess, webhook_sink: WebhookSink) -> None:
    destination(server, url=webhook_sink.url)
    emit(server, 1050)
    server.work()

    assert sum(len(request.json["data"]["secrets"]) for request in webhook_sink.received) == 1050


def test_events_of_different_kinds_come_apart(server: InProcess, webhook_sink: WebhookSink) -> None:
    destination(server, url=webhook_sink.url)
    emit(server, 2)
    emit(server, 1, event=EventType.DELETED)
    made(create(server, "kv", "other"))
    server.work()

    found = [(r.json["type"].removeprefix(PREFIX), r.json["data"]["secret_type"]) for r in webhook_sink.received]
    assert sorted(found) == [("secret_created", "arbitrary"), ("secret_created", "kv"), ("secret_deleted", "arbitrary")]


def test_filters_choose_by_event_type_and_group(server: InProcess, webhook_sink: WebhookSink) -> None:
    group = make_group(server)
    destination(
        server, name="event", url=f"{webhook_sink.url}/event", filters={"event_types": [PREFIX + "secret_deleted"]}
    )
    destination(server, name="type", url=f"{webhook_sink.url}/type", filters={"secret_types": ["public_cert"]})
    destination(server, name="group", url=f"{webhook_sink.url}/group", filters={"secret_group_ids": [group]})
    emit(server, 2)
    emit(server, 1, event=EventType.DELETED)
    emit(server, 3, group=group)
    server.work()

    found = {request.path: len(request.json["data"]["secrets"]) for request in webhook_sink.received}
    assert found == {"/hook/event": 1, "/hook/group": 3}


def test_same_notice_has_the_same_id_everywhere(server: InProcess, webhook_sink: WebhookSink) -> None:
    for name in ("one", "two"):
        destination(server, name=name, url=webhook_sink.url)
    emit(server, 2)
    server.work()

    first, second = webhook_sink.received
    assert first.json == second.json


def test_events_before_the_next_minute_are_gathered(server: InProcess, webhook_sink: WebhookSink) -> None:
    destination(server, url=webhook_sink.url)
    emit(server, 1)
    server.work()
    emit(server, 1)
    emit(server, 1)
    server.work()
    assert len(webhook_sink.received) == 1

    later(server, minutes=1)

    assert [len(request.json["data"]["secrets"]) for request in webhook_sink.received] == [1, 2]


def test_five_tries_over_a_day_and_then_no_more(server: InProcess, webhook_sink: WebhookSink) -> None:
    address = destination(server, url=webhook_sink.url)
    webhook_sink.statuses = [500] * 9
    emit(server, 1)
    server.work()

    tries = [server.clock.now()]
    for wait in TRY_AGAIN:
        (delivery,) = deliveries(server, address)
        assert (delivery["state"], delivery["status_code"]) == ("retrying", 500)
        assert delivery["attempt"] == len(tries)
        later(server, seconds=wait.total_seconds() - 1)
        assert len(webhook_sink.received) == len(tries)
        # The job looks every minute.
        later(server, minutes=1)
        tries.append(server.clock.now())
        assert len(webhook_sink.received) == len(tries)

    assert timedelta(days=1) <= tries[-1] - tries[0] <= timedelta(days=1, minutes=5)
    (delivery,) = deliveries(server, address)
    assert (delivery["state"], delivery["attempt"]) == ("failed", 5)
    assert "next_try_at" not in delivery
    assert len({request.json["id"] for request in webhook_sink.received}) == 1
    later(server, days=2)
    assert len(webhook_sink.received) == 5


def test_receiver_may_ask_for_more_time(server: InProcess, webhook_sink: WebhookSink) -> None:
    address = destination(server, url=webhook_sink.url)
    webhook_sink.statuses, webhook_sink.answer_headers = [429], {"Retry-After": "7200"}
    emit(server, 1)
    server.work()

    (delivery,) = deliveries(server, address)
    assert delivery["next_try_at"] == "2026-01-15T14:00:00Z"


def test_one_destination_that_is_down_holds_nobody_up(server: InProcess, webhook_sink: WebhookSink) -> None:
    with running_webhook_sink() as other:
        dead = other.url
    down = destination(server, name="down", url=dead)
    up = destination(server, name="up", url=webhook_sink.url)
    for event in (EventType.CREATED, EventType.DELETED):
        emit(server, 1, event=event)
    server.work()

    assert [delivery["state"] for delivery in deliveries(server, up)] == ["delivered", "delivered"]
    (delivery,) = deliveries(server, down)
    assert delivery["state"] == "retrying"
    assert delivery["message"].startswith("127.0.0.1 cannot be reached")
    assert "status_code" not in delivery


def test_what_waits_for_a_destination_that_is_switched_off_ends(server: InProcess, webhook_sink: WebhookSink) -> None:
    address = destination(server, url=webhook_sink.url)
    webhook_sink.statuses = [500]
    emit(server, 1)
    server.work()

    server.request("PATCH", address, {"enabled": False})
    later(server, minutes=1)

    (delivery,) = deliveries(server, address)
    assert delivery["state"] == "failed"
    assert "switched off" in delivery["message"]
    emit(server, 1)
    later(server, minutes=10)
    assert len(webhook_sink.received) == 1


def test_deleted_destination_leaves_no_job_behind(server: InProcess, webhook_sink: WebhookSink) -> None:
    address = destination(server, url=webhook_sink.url)
    webhook_sink.statuses = [500]
    emit(server, 1)
    server.work()

    server.request("DELETE", address)
    later(server, minutes=1)

    page = server.container.store.storage.read(lambda unit: unit.jobs.page(JobQuery(limit=10, kind=DELIVER)))
    assert [job.state.value for job in page.items] == ["done"]


def test_event_from_before_a_destination_and_without_one_is_done_with(
    server: InProcess, webhook_sink: WebhookSink
) -> None:
    emit(server, 3)
    server.work()
    destination(server, url=webhook_sink.url)
    later(server, minutes=5)

    assert webhook_sink.received == []


class _Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("after_sending", [False, True])
def test_notice_goes_out_after_a_kill(
    server: InProcess, webhook_sink: WebhookSink, monkeypatch: pytest.MonkeyPatch, after_sending: bool
) -> None:
    address = destination(server, url=webhook_sink.url)
    emit(server, 1)
    send = MailRoom.send

    def die(self: MailRoom, *arguments: Any) -> Any:
        if after_sending:
            send(self, *arguments)
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(MailRoom, "send", die)
        with pytest.raises(_Killed):
            server.work()
    server.container.close()

    settings = load_settings({"data_dir": server.directory.path, "allow_private_addresses": True})
    again = InProcess(build(settings, server.directory, clock=server.clock), server.directory, server.clock)
    # The lease of the process that died runs out.
    later(again, minutes=2)
    assert [delivery["state"] for delivery in deliveries(again, address)] == ["delivered"]
    again.container.close()
    assert len(webhook_sink.received) == 1 + after_sending
    assert len({request.json["id"] for request in webhook_sink.received}) == 1


def test_log_of_deliveries_is_paged_newest_first_and_forgotten_after_a_month(
    server: InProcess, webhook_sink: WebhookSink
) -> None:
    address = destination(server, url=webhook_sink.url)
    for event in (EventType.CREATED, EventType.DELETED, EventType.ROTATED):
        emit(server, 1, event=event)
        later(server, minutes=2)

    page = server.request("GET", f"{address}/deliveries?limit=2").json

    assert [item["event_type"].removeprefix(PREFIX) for item in page["deliveries"]] == [
        "secret_rotated",
        "secret_deleted",
    ]
    assert (page["total_count"], "next" in page) == (3, True)
    server.clock.advance(timedelta(days=31))
    server.forget_tokens()
    server.container.worker._timers[-1].task.run()
    assert deliveries(server, address) == []


def test_e_mail_lists_names_and_has_the_payload_only_on_request(server: InProcess, smtp_sink: SmtpSink) -> None:
    destination(server, name="plain", type="email", url=..., recipients=["web@example.com"])
    destination(server, name="full", type="email", url=..., recipients=["ops@example.com"], attach_payload=True)
    emit(server, 2)
    server.work()

    mails = {mail.recipients[0]: mail.message for mail in smtp_sink.mails}
    plain, full = mails["web@example.com"], mails["ops@example.com"]
    assert plain["Subject"] == full["Subject"] == "Your 2 arbitrary secrets: created"
    assert "- secret-0\n- secret-1\n" in plain.get_content().replace("\r\n", "\n")
    assert plain["Message-ID"] == full["Message-ID"]
    assert not plain.is_multipart()
    (attached,) = full.iter_attachments()
    assert [secret["secret_name"] for secret in json.loads(attached.get_content())["secrets"]] == [
        "secret-0",
        "secret-1",
    ]


def test_refusal_of_the_mail_server_is_told_by_its_code_alone(server: InProcess, smtp_sink: SmtpSink) -> None:
    address = destination(server, type="email", url=..., recipients=["web@example.com"])
    smtp_sink.refuse_data = 554
    emit(server, 1)
    server.work()
    smtp_sink.refuse_data, smtp_sink.refused = None, {"web@example.com"}
    button = server.request("POST", f"{address}/test").json

    (delivery,) = deliveries(server, address)
    assert delivery["message"] == "The mail server 127.0.0.1 refused the mail (code 554)."
    assert button == {"success": False, "message": "The mail server 127.0.0.1 refused every recipient (code 550)."}


def test_slack_gets_one_text(server: InProcess, webhook_sink: WebhookSink) -> None:
    destination(server, type="slack", url=webhook_sink.url)
    emit(server, 25)
    server.work()

    (request,) = webhook_sink.received
    text = request.json["text"].split("\n")
    assert (text[0], len(text), text[-1]) == ("*Your 25 arbitrary secrets: created*", 22, "and 5 more")


def test_apprise_sends_through_the_guard(server: InProcess, webhook_sink: WebhookSink) -> None:
    address = destination(server, type="apprise", url=webhook_sink.url.replace("http://", "json://"))
    assert server.request("GET", address).json["url"] == "json://***"
    emit(server, 1)
    server.work()

    (request,) = webhook_sink.received
    assert request.json["title"] == "Your 1 arbitrary secret: created"
    assert [delivery["state"] for delivery in deliveries(server, address)] == ["delivered"]


def test_nothing_secret_is_logged(
    server: InProcess, webhook_sink: WebhookSink, capsys: pytest.CaptureFixture[str]
) -> None:
    url = webhook_sink.url + "?token=planted-query-0003"
    destination(server, url=url, signing_secret=SIGNING_SECRET)
    webhook_sink.statuses = [500, 204]
    emit(server, 1)
    server.work()
    later(server, minutes=6)

    logged = capsys.readouterr().err
    assert "event notification not sent" in logged
    assert "event notification sent" in logged
    assert "planted" not in logged


def test_tries_are_counted(server: InProcess, webhook_sink: WebhookSink) -> None:
    destination(server, url=webhook_sink.url)
    webhook_sink.statuses = [500]
    emit(server, 1)
    server.work()

    text = server.request("GET", "/metrics").raw.decode()
    assert 'strongroom_notification_tries_total{state="retrying",type="webhook"} 1.0' in text
    assert "strongroom_notifications_waiting 1.0" in text


def test_job_for_a_delivery_that_none_was_queued_for_is_queued(server: InProcess, webhook_sink: WebhookSink) -> None:
    destination(server, url=webhook_sink.url)
    emit(server, 1)
    enqueue = Deliveries.enqueue_due
    server.container.worker.look_for_work()
    storage = server.container.store.storage
    dispatch = next(s for s in server.container.worker._sources if type(s).__name__ == "Dispatch")
    storage.write(dispatch._empty)  # type: ignore[attr-defined]
    source = next(s for s in server.container.worker._sources if isinstance(s, Deliveries))
    (job,) = storage.read(lambda unit: unit.jobs.page(JobQuery(limit=10, kind=DELIVER))).items
    server.request("POST", f"/api/v2/jobs/{job.id}/actions", {"action_type": "cancel"})

    assert storage.write(lambda unit: enqueue(source, unit, server.clock.now())) == 1
    server.work()
    assert len(webhook_sink.received) == 1


def test_configurations_are_told_of(server: InProcess, webhook_sink: WebhookSink) -> None:
    destination(server, url=webhook_sink.url)
    destination(server, name="group", url=webhook_sink.url, filters={"secret_group_ids": ["default"]})
    path = "/api/v2/configurations"
    body: dict[str, Any] = {
        "config_type": "private_cert_configuration_root_ca",
        "name": "root",
        "common_name": "Example",
    }
    body |= {"max_ttl": "87600h", "key_type": "ec", "key_bits": 256, "crl_disable": True}
    assert server.request("POST", path, body).status == 201
    assert server.request("PATCH", f"{path}/root", {"max_ttl": "8760h"}).status == 200
    assert server.request("DELETE", f"{path}/root").status == 204
    server.work()

    told = [(r.json["type"].removeprefix(PREFIX), r.json["data"]["configurations"]) for r in webhook_sink.received]
    assert [event for event, _ in told] == ["configuration_created", "configuration_updated", "configuration_deleted"]
    assert {item["configuration_name"] for _, items in told for item in items} == {"root"}


def test_deletion_that_a_configuration_forbids_is_told_of_with_the_reason(
    server: InProcess, webhook_sink: WebhookSink
) -> None:
    destination(server, url=webhook_sink.url, filters={"event_types": ["secret_deletion_failed", "secret_deleted"]})
    address = made(create(server, "arbitrary", "pin"))
    secret_id = SecretId(address.rpartition("/")[2])

    def use(unit: Unit) -> None:
        secret = unit.secrets.find_for_update(secret_id)
        assert secret is not None
        add_reference(unit, secret, "issuing")

    server.container.store.storage.write(use)
    answer = server.request("DELETE", address)
    server.work()

    assert (answer.status, answer.json["errors"][0]["code"]) == (409, "in_use")
    assert server.request("GET", address).status == 200
    (request,) = webhook_sink.received
    (told,) = request.json["data"]["secrets"]
    assert request.json["type"] == PREFIX + "secret_deletion_failed"
    assert (told["secret_name"], told["failure_reason"]) == (
        "pin",
        "The secret is in use by the configuration issuing.",
    )

    server.container.store.storage.write(lambda unit: remove_reference(unit, secret_id, "issuing"))
    assert server.request("DELETE", address).status == 204
    later(server, minutes=2)
    assert [request.json["type"] for request in webhook_sink.received[1:]] == [PREFIX + "secret_deleted"]
