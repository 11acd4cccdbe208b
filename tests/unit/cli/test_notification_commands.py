"""Notices from the command line: what each command sends, shows and refuses."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from strongroom.cli.commands import notifications
from tests.unit.cli.conftest import SECRET_ID, Answer, FakeServer, Strongroom, refusal

REGISTRATION = "/api/v2/notifications/registration"
DESTINATIONS = "/api/v2/notifications/destinations"
ONE = f"{DESTINATIONS}/{SECRET_ID}"
CRN = "crn:v1:bluemix:public:event-notifications:local:a/1:2::"
SIGNING_SECRET = "planted-signing-secret"
HOOK: dict[str, Any] = {
    "id": SECRET_ID,
    "name": "ops-hook",
    "type": "webhook",
    "enabled": True,
    "url": "https://hooks.example.com/a?***",
    "created_at": "2026-01-15T12:00:00Z",
}
DELIVERED: dict[str, Any] = {
    "id": "1",
    "event_id": "2",
    "event_type": "secret_created",
    "state": "delivered",
    "attempt": 2,
    "status_code": 204,
    "message": "hooks.example.com answered with status 204.",
    "sent_at": "2026-01-15T12:05:00Z",
}
RETRYING: dict[str, Any] = {
    **DELIVERED,
    "state": "retrying",
    "attempt": 1,
    "status_code": 503,
    "message": "hooks.example.com answered with status 503.",
    "next_try_at": "2026-01-15T12:10:00Z",
}

CASES: list[tuple[tuple[str, ...], str, str, Any]] = [
    (
        (
            *("notifications-registration-create", "--event-notifications-instance-crn", CRN),
            *("--event-notifications-source-name", "vault", "--event-notifications-source-description", "ours"),
        ),
        "POST",
        REGISTRATION,
        {
            "event_notifications_instance_crn": CRN,
            "event_notifications_source_name": "vault",
            "event_notifications_source_description": "ours",
        },
    ),
    (("notifications-registration",), "GET", REGISTRATION, None),
    (("notifications-registration-delete", "--force"), "DELETE", REGISTRATION, None),
    (("notifications-registration-test",), "GET", f"{REGISTRATION}/test", None),
    (("notifications-test",), "GET", f"{REGISTRATION}/test", None),
    (
        (
            *("notification-destination-create", "--name", "web-team", "--type", "email", "--attach-payload"),
            *("--recipients", "web@example.com,ops@example.com", "--enabled=false"),
            *("--filters", '{"event_types": ["secret_expired"]}'),
        ),
        "POST",
        DESTINATIONS,
        {
            "name": "web-team",
            "type": "email",
            "attach_payload": True,
            "recipients": ["web@example.com", "ops@example.com"],
            "enabled": False,
            "filters": {"event_types": ["secret_expired"]},
        },
    ),
    (
        ("notification-destination-create", "--destination-prototype", '{"name": "a", "type": "slack", "url": "b"}'),
        "POST",
        DESTINATIONS,
        {"name": "a", "type": "slack", "url": "b"},
    ),
    (("notification-destinations",), "GET", DESTINATIONS, None),
    (("notification-destination", "--id", SECRET_ID), "GET", ONE, None),
    (
        ("notification-destination-update", "--id", SECRET_ID, "--enabled", "false", "--name", "other"),
        "PATCH",
        ONE,
        {"enabled": False, "name": "other"},
    ),
    (
        ("notification-destination-update", "--id", SECRET_ID, "--destination-patch", '{"filters": null}'),
        "PATCH",
        ONE,
        {"filters": None},
    ),
    (("notification-destination-delete", "--id", SECRET_ID, "--force"), "DELETE", ONE, None),
    (("notification-destination-test", "--id", SECRET_ID), "POST", f"{ONE}/test", {}),
    (("notification-deliveries", "--id", SECRET_ID), "GET", f"{ONE}/deliveries", None),
]


def test_every_command_has_a_case() -> None:
    assert {words[0] for words, *_ in CASES} == {*notifications.COMMANDS, "notifications-test"}


@pytest.mark.parametrize(("words", "method", "path", "body"), CASES, ids=lambda value: str(value)[:60])
def test_command_sends_what_it_was_given(
    strongroom: Strongroom, server: FakeServer, words: tuple[str, ...], method: str, path: str, body: Any
) -> None:
    answer = Answer(204) if method == "DELETE" or path.endswith("registration/test") else Answer(200, {"success": True})
    server.on(method, path, answer)

    ran = strongroom(*words)

    assert ran.code == 0, ran.err
    assert (server.last.method, server.last.path) == (method, path)
    assert (json.loads(server.last.raw) if server.last.raw else None) == body


@pytest.mark.parametrize("name", sorted(notifications.COMMANDS))
def test_help_teaches_with_an_example_that_is_a_command_line(alone: Strongroom, name: str) -> None:
    ran = alone(name, "--help")

    assert ran.code == 0
    example = ran.out.partition("Example:\n")[2].replace("\\\n", " ")
    lines = [shlex.split(line) for line in example.splitlines() if line.strip()]
    assert lines
    known = {spelling for option in call(name).options for spelling in option.names}
    for words in lines:
        assert words[:2] == ["strongroom", name]
        given = {word.partition("=")[0] for word in words if word.startswith("--")} - {"--all-pages"}
        assert given <= known
    # The examples hold everything that must be given.
    assert {option.names[0] for option in call(name).options if option.required} <= set(lines[0])
    # A paragraph beyond the summary, and one of the options each.
    paragraphs = ran.out.partition("Options:")[0].strip().split("\n\n")
    assert len(paragraphs) >= 3, paragraphs
    assert all(option.help.endswith(".") for option in call(name).options)


def call(name: str) -> Any:
    (found,) = [one for one in notifications.CALLS if one.name == name]
    return found


# --- destinations


def test_addresses_and_secrets_come_from_files_and_are_not_shown(
    strongroom: Strongroom, server: FakeServer, tmp_path: Path
) -> None:
    server.on("POST", DESTINATIONS, Answer(201, HOOK))
    (tmp_path / "url.txt").write_text("https://hooks.example.com/a?token=planted\n")
    (tmp_path / "secret.txt").write_text(f"{SIGNING_SECRET}\n")

    ran = strongroom(
        *("notification-destination-create", "--name", "ops-hook", "--type", "webhook"),
        *("--url", "@url.txt", "--signing-secret", "@secret.txt"),
    )

    assert ran.code == 0, ran.err
    assert server.last.body == {
        "name": "ops-hook",
        "type": "webhook",
        "url": "https://hooks.example.com/a?token=planted",
        "signing_secret": SIGNING_SECRET,
    }
    assert "planted" not in ran.out + ran.err


def test_destinations_are_a_table(strongroom: Strongroom, server: FakeServer) -> None:
    mail = {**HOOK, "name": "web-team", "type": "email", "enabled": False, "recipients": ["web@example.com"]}
    del mail["url"]
    server.on("GET", DESTINATIONS, Answer(200, {"destinations": [HOOK, mail], "total_count": 2}))

    ran = strongroom("notification-destinations")

    assert ran.code == 0, ran.err
    for text in ("ops-hook", "webhook", "https://hooks.example.com/a?***", "web-team", "email", "web@example.com"):
        assert text in ran.out


@pytest.mark.parametrize(
    "words",
    [
        ("notification-destination-create", "--name", "a"),
        ("notification-destination-create", "--type", "webhook"),
        ("notification-destination-create", "--name", "a", "--type", "fax"),
        ("notification-destination-create", "--name", "a", "--type", "slack", "--filters", "not json"),
        ("notification-destination-update", "--id", SECRET_ID),
        ("notification-destination",),
        ("notification-deliveries",),
        ("notification-deliveries", "--id", SECRET_ID, "--limit", "1001"),
        ("notifications-registration-create", "--event-notifications-instance-crn", CRN),
    ],
)
def test_what_cannot_be_right_is_refused_before_anything_is_sent(
    strongroom: Strongroom, server: FakeServer, words: tuple[str, ...]
) -> None:
    assert strongroom(*words).code == 2
    assert server.api_requests == []


@pytest.mark.parametrize(
    "words", [("notification-destination-delete", "--id", SECRET_ID), ("notifications-registration-delete",)]
)
def test_person_is_asked_before_anything_is_deleted(
    strongroom: Strongroom, server: FakeServer, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)

    def no(text: str, **_: Any) -> bool:
        asked.append(text)
        return False

    monkeypatch.setattr("click.confirm", no)

    assert strongroom(*words).code != 0
    (question,) = asked
    assert question.startswith("Delete the ")
    assert server.api_requests == []


@pytest.mark.parametrize(("success", "code"), [(True, 0), (False, 1)])
def test_button_ends_with_what_came_of_it(strongroom: Strongroom, server: FakeServer, success: bool, code: int) -> None:
    message = "hooks.example.com answered with status 503."
    server.on("POST", f"{ONE}/test", Answer(200, {"success": success, "message": message}))

    ran = strongroom("notification-destination-test", "--id", SECRET_ID)

    assert ran.code == code
    assert message in ran.out


def test_problem_is_told_with_its_field(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("POST", DESTINATIONS, refusal(400, "destination_not_allowed", "10.0.0.1 is private.", "url"))

    ran = strongroom("notification-destination-create", "--name", "a", "--type", "webhook", "--url", "https://10.0.0.1")

    assert ran.code not in {0, 2}
    assert "10.0.0.1 is private." in ran.err
    assert "url" in ran.err


def test_missing_registration_ends_with_its_own_code(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("GET", REGISTRATION, refusal(404, "not_found", "Nothing is registered."))

    assert strongroom("notifications-registration").code == 4


# --- deliveries


def test_deliveries_are_a_table_of_what_happened_when(strongroom: Strongroom, server: FakeServer) -> None:
    answer = {"deliveries": [RETRYING, DELIVERED], "total_count": 2, "limit": 20, "offset": 5}
    server.on("GET", f"{ONE}/deliveries", Answer(200, answer))

    ran = strongroom("notification-deliveries", "--id", SECRET_ID, "--limit", "20", "--offset", "5")

    assert ran.code == 0, ran.err
    assert server.last.query == {"limit": "20", "offset": "5"}
    head, *rows = [line for line in ran.out.splitlines() if line.strip(" -─━")]
    columns = ("sent_at", "event_type", "attempt", "state", "status_code", "message", "next_try_at")
    places = [head.index(column) for column in columns]
    assert places == sorted(places)
    retrying, delivered = (next(row for row in rows if state in row) for state in ("retrying", "delivered"))
    for text in ("2026-01-15T12:05:00Z", "secret_created", "503", RETRYING["message"], RETRYING["next_try_at"]):
        assert text in retrying
    assert "204" in delivered


def test_every_page_of_deliveries_is_one_list(strongroom: Strongroom, server: FakeServer) -> None:
    def page(request: Any) -> Answer:
        offset, limit = int(request.query.get("offset", 0)), int(request.query.get("limit", 100))
        found = [{**DELIVERED, "id": str(number)} for number in range(offset, min(offset + limit, 2500))]
        following = {"next": {"href": f"{server.url}{ONE}/deliveries?offset={offset + limit}&limit={limit}"}}
        more = following if offset + limit < 2500 else {}
        return Answer(200, {"deliveries": found, "total_count": 2500, "limit": limit, "offset": offset, **more})

    server.on("GET", f"{ONE}/deliveries", page)

    ran = strongroom("notification-deliveries", "--id", SECRET_ID, "--all-pages", "-o", "json")

    assert ran.code == 0, ran.err
    shown = ran.json if isinstance(ran.json, list) else ran.json["deliveries"]
    assert [delivery["id"] for delivery in shown] == [str(number) for number in range(2500)]
