"""Operations on the audit trail."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from strongroom.domain.access.actions import Role
from strongroom.domain.audit.chain import verify_export
from strongroom.kernel.time import format_rfc3339
from tests.peers.in_process import InProcess

EVENTS = "/api/v2/audit_events"


def events(server: InProcess, query: str = "") -> list[dict[str, Any]]:
    answer = server.request("GET", f"{EVENTS}?limit=1000&{query}")
    assert answer.status == 200, answer.raw
    found: list[dict[str, Any]] = answer.json["audit_events"]
    return found


def make_secret(server: InProcess, name: str = "one") -> str:
    answer = server.request(
        "POST", "/api/v2/secrets", {"secret_type": "arbitrary", "name": name, "payload": "planted-payload-77"}
    )
    assert answer.status == 201, answer.raw
    return str(answer.json["id"])


def settle(server: InProcess) -> None:
    """Wait for the entries of reads, which go with the next commit."""
    make_group(server)


def make_group(server: InProcess, name: str = "settled") -> None:
    server.request("POST", "/api/v2/secret_groups", {"name": f"{name}-{len(events(server))}"})


def test_create_and_read_leave_a_record_each(server: InProcess) -> None:
    secret_id = make_secret(server)
    read = server.request("GET", f"/api/v2/secrets/{secret_id}")
    settle(server)
    newest, older = events(server, f"target_id={secret_id}")
    assert (newest["action"], older["action"]) == ("secrets-manager.secret.read", "secrets-manager.secret.create")
    assert newest["outcome"] == "success"
    assert newest["request_id"] == read.headers["x-global-transaction-id"]
    assert newest["target"] == {"type": "secret", "id": secret_id, "name": "one", "secret_group_id": "default"}
    assert newest["initiator"]["type"] == "service_id"
    assert newest["initiator"]["address"] == "127.0.0.1"
    assert newest["initiator"]["credential_id"].startswith("ApiKey-")
    assert newest["sequence"] > older["sequence"]
    assert set(newest) == {
        "id",
        "stream",
        "sequence",
        "time",
        "initiator",
        "action",
        "target",
        "outcome",
        "request_id",
        "previous_hash",
        "hash",
    }


def test_refusals_are_recorded_with_their_reason(server: InProcess) -> None:
    secret_id = make_secret(server)
    nobody = server.login_with()
    assert server.request("GET", f"/api/v2/secrets/{secret_id}", token=nobody).status == 403
    settle(server)
    (denied,) = events(server, "outcome=denied")
    assert denied["action"] == "secrets-manager.secret.read"
    assert denied["reason"]["type"] == "Unauthorized"
    assert denied["reason"]["code"] == "403"


def test_failures_are_recorded_with_their_reason(server: InProcess) -> None:
    assert server.request("POST", "/api/v2/secrets", {"secret_type": "arbitrary"}).status == 400
    settle(server)
    (failed,) = events(server, "outcome=failure")
    assert failed["action"] == "secrets-manager.secret.create"
    assert failed["reason"]["code"] == "400"


def test_no_record_holds_a_payload(server: InProcess) -> None:
    secret_id = make_secret(server)
    server.request("GET", f"/api/v2/secrets/{secret_id}")
    settle(server)
    assert "planted-payload" not in json.dumps(events(server))


def test_filters_narrow_the_list(server: InProcess) -> None:
    first, second = make_secret(server, "one"), make_secret(server, "two")
    settle(server)
    everything = events(server)
    mine = everything[0]["initiator"]["id"]
    assert len(events(server, f"initiator={mine}")) >= 3
    assert events(server, "initiator=iam-nobody") == []
    assert {event["target"]["id"] for event in events(server, "action=secrets-manager.secret.create")} == {
        first,
        second,
    }
    request_id = events(server, f"target_id={first}")[0]["request_id"]
    assert [event["target"]["id"] for event in events(server, f"request_id={request_id}")] == [first]


def test_window_of_time_includes_its_start_and_not_its_end(server: InProcess) -> None:
    make_secret(server, "early")
    server.clock.advance(timedelta(minutes=5))
    edge = format_rfc3339(server.clock.now())
    make_secret(server, "late")
    create = "action=secrets-manager.secret.create"
    assert [event["target"]["name"] for event in events(server, f"{create}&from={edge}")] == ["late"]
    assert [event["target"]["name"] for event in events(server, f"{create}&to={edge}")] == ["early"]


def test_pages_follow_their_links(server: InProcess) -> None:
    names = [f"secret-{number}" for number in range(7)]
    for name in names:
        make_secret(server, name)
    href = f"{EVENTS}?limit=3&action=secrets-manager.secret.create"
    seen: list[str] = []
    while href:
        page = server.request("GET", href).json
        assert page["limit"] == 3
        assert page["first"]["href"].startswith("https://strongroom.example.com/api/v2/audit_events?limit=3")
        seen += [event["target"]["name"] for event in page["audit_events"]]
        href = page.get("next", {}).get("href", "").removeprefix("https://strongroom.example.com")
    assert seen == names[::-1]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=yesterday", "from"),
        ("to=2026-13-01T00:00:00Z", "to"),
        ("from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z", "from"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("outcome=maybe", "outcome"),
        ("start=nowhere", "start"),
    ],
)
def test_wrong_parameter_is_named(server: InProcess, query: str, field: str) -> None:
    answer = server.request("GET", f"{EVENTS}?{query}")
    assert answer.status == 400
    assert answer.json["errors"][0]["target"]["name"] == field


def export(server: InProcess, query: str = "") -> list[str]:
    answer = server.request("GET", f"{EVENTS}/export?{query}", headers={"accept": "application/x-ndjson"})
    assert answer.status == 200, answer.raw
    assert answer.headers["content-type"] == "application/x-ndjson"
    return answer.raw.decode().splitlines()


def test_export_verifies_with_the_servers_key_and_is_oldest_first(server: InProcess) -> None:
    for number in range(5):
        make_secret(server, f"secret-{number}")
    lines = export(server)
    key = server.container.store.keys.checkpoints.public_key_b64
    result = verify_export(lines, key)
    assert result.verified, result.first_broken
    assert result.records >= 5
    assert result.uncovered == 0
    assert json.loads(lines[0])["sequence"] == 1
    assert "checkpoint" in json.loads(lines[-1])
    records = [json.loads(line) for line in lines if "checkpoint" not in line]
    newest_first = events(server)
    assert records == newest_first[::-1][: len(records)]


def test_changed_line_of_an_export_is_noticed(server: InProcess) -> None:
    make_secret(server)
    lines = export(server)
    changed = [line.replace('"name":"one"', '"name":"two"') for line in lines]
    assert changed != lines
    assert not verify_export(changed).verified


def test_export_of_a_window_verifies(server: InProcess) -> None:
    make_secret(server, "early")
    server.clock.advance(timedelta(minutes=5))
    start = format_rfc3339(server.clock.now())
    make_secret(server, "middle")
    server.clock.advance(timedelta(minutes=5))
    end = format_rfc3339(server.clock.now())
    make_secret(server, "late")
    lines = export(server, f"from={start}&to={end}")
    result = verify_export(lines)
    assert (result.verified, result.partial) == (True, True), result.first_broken
    names = [json.loads(line)["target"].get("name") for line in lines if "checkpoint" not in line]
    assert "middle" in names
    assert not {"early", "late"} & set(names)


def test_big_export_comes_in_parts(server: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom.api.extensions.audit._PART_BYTES", 10)
    make_secret(server)
    assert verify_export(export(server)).verified


def test_export_is_recorded(server: InProcess) -> None:
    export(server)
    settle(server)
    assert len(events(server, "action=secrets-manager.audit.export")) == 1


def verification(server: InProcess) -> dict[str, Any]:
    started = server.request("POST", "/api/v2/audit_verifications", {})
    assert started.status == 202, started.raw
    assert started.json["state"] == "queued"
    assert started.json["kind"] == "audit.verify"
    server.work()
    job = server.request("GET", f"/api/v2/jobs/{started.json['id']}").json
    assert job["state"] == "done"
    result: dict[str, Any] = job["result"]
    return result


def test_verification_runs_as_a_job(server: InProcess) -> None:
    make_secret(server)
    result = verification(server)
    assert result["verified"] is True
    assert result["streams"] == 1
    assert result["records"] >= 1
    assert "first_broken" not in result


def test_verification_without_a_body_is_accepted(server: InProcess) -> None:
    assert server.request("POST", "/api/v2/audit_verifications").status == 202


def test_verification_with_unknown_fields_is_refused(server: InProcess) -> None:
    answer = server.request("POST", "/api/v2/audit_verifications", {"quick": True})
    assert (answer.status, answer.json["errors"][0]["code"]) == (400, "unknown_field")


def test_second_verification_joins_the_one_that_runs(server: InProcess) -> None:
    first = server.request("POST", "/api/v2/audit_verifications", {}).json
    assert server.request("POST", "/api/v2/audit_verifications", {}).json["id"] == first["id"]


def test_manager_may_start_a_verification_and_see_its_result(server: InProcess) -> None:
    manager = server.login_with(Role.MANAGER)
    job = server.request("POST", "/api/v2/audit_verifications", {}, token=manager).json
    assert server.request("GET", f"/api/v2/jobs/{job['id']}", token=manager).status == 200
