"""How long authorities live, what is told of them and their lists before the end, and what is forgotten then."""

from __future__ import annotations

import json
import sqlite3
import time
from datetime import datetime, timedelta
from typing import Any

import pytest

from strongroom.domain.authorities.keys import AuthorityKeys
from strongroom.domain.authorities.model import Issued
from strongroom.domain.configurations.model import ConfigKind
from strongroom.domain.ports import ReadUnit
from strongroom.kernel.errors import ErrorCode, Unavailable
from tests.api.authorities import (
    FILES,
    act,
    create_certificate,
    create_intermediate,
    create_root,
    make_tree,
    sign,
)
from tests.api.v2.sending import made, text
from tests.conftest import START_OF_TESTS
from tests.peers.in_process import InProcess

DAY = timedelta(days=1)
HUNDRED_DAYS = "2400h"


def pass_to(server: InProcess, at: datetime) -> None:
    """Move the clock and let the background work happen."""
    server.clock.advance(at - server.clock.now())
    server.forget_tokens()
    server.work()


def told(server: InProcess, about: str = "ca_") -> list[tuple[str, str, dict[str, Any]]]:
    """Return the events about authorities: name, sub-type and details, oldest first."""
    with sqlite3.connect(server.directory.path / "strongroom.db") as connection:
        rows = connection.execute("SELECT event_type, sub_type, payload FROM events ORDER BY pk").fetchall()
    connection.close()
    events = [(kind.removeprefix("com.ibm.cloud.secrets-manager."), sub, json.loads(text)) for kind, sub, text in rows]
    return [event for event in events if event[0].startswith(about)]


def short(server: InProcess, about: str = "ca_") -> list[tuple[str, str]]:
    """Return the events about authorities without their details."""
    return [(kind, sub) for kind, sub, _ in told(server, about)]


def make_authorities(server: InProcess) -> None:
    """Make a root that lives long, and an intermediate that lives a hundred days."""
    for answer in (create_root(server), create_intermediate(server, auto_sign=True, max_ttl=HUNDRED_DAYS)):
        assert answer.status == 201, answer.raw


# --- certificates


def test_the_end_of_an_authority_is_told_on_its_days_and_once_each(server: InProcess) -> None:
    make_authorities(server)
    days: dict[int, list[tuple[str, str]]] = {}

    for hours in range(0, 103 * 24, 12):
        before = len(short(server))
        pass_to(server, START_OF_TESTS + timedelta(hours=hours, minutes=1))
        if new := short(server)[before:]:
            days[hours // 24] = new

    assert days == {
        9: [("ca_about_to_expire", "in_90_days")],
        39: [("ca_about_to_expire", "in_60_days")],
        69: [("ca_about_to_expire", "in_30_days")],
        89: [("ca_about_to_expire", "in_10_days")],
        98: [("ca_about_to_expire", "in_1_day")],
        99: [("ca_about_to_expire", "in_0_days")],
        100: [("ca_expired", "")],
    }
    details = told(server)[-1][2]
    assert details == {
        "event_time": text(START_OF_TESTS + 100 * DAY + timedelta(minutes=1)),
        "event_triggered_by": "iam-Strongroom",
        "configuration_id": details["configuration_id"],
        "configuration_name": "issuing",
        "configuration_type": "private_cert_configuration_intermediate_ca",
        "certificate_expiration": text(START_OF_TESTS + 100 * DAY),
        "serial_number": details["serial_number"],
    }


def test_a_day_that_was_missed_is_not_made_up_for_but_the_end_is_told(server: InProcess) -> None:
    make_authorities(server)
    server.work()
    pass_to(server, START_OF_TESTS + 85 * DAY)
    assert short(server) == []
    pass_to(server, START_OF_TESTS + 200 * DAY)
    assert short(server) == [("ca_expired", "")]
    pass_to(server, START_OF_TESTS + 201 * DAY)
    assert short(server) == [("ca_expired", "")]


def test_a_shorter_life_than_a_notice_gets_the_later_ones_only(server: InProcess) -> None:
    create_root(server)
    create_intermediate(server, auto_sign=True, max_ttl="480h")
    for day in range(21):
        pass_to(server, START_OF_TESTS + day * DAY + timedelta(minutes=1))
    assert [sub for _, sub in short(server)] == ["in_10_days", "in_1_day", "in_0_days", ""]


def test_nobody_is_told_of_an_authority_that_was_replaced_revoked_or_deleted(server: InProcess) -> None:
    make_authorities(server)
    for name in ("revoked", "deleted"):
        assert create_intermediate(server, name, auto_sign=True, max_ttl=HUNDRED_DAYS).status == 201
    server.work()
    pass_to(server, START_OF_TESTS + 5 * DAY)
    assert act(server, "issuing", "rotate_intermediate").status == 201
    assert act(server, "revoked", "revoke_ca_certificate").status == 201
    assert server.request("DELETE", "/api/v2/configurations/deleted").status == 204

    pass_to(server, START_OF_TESTS + 9 * DAY + timedelta(hours=1))
    assert short(server) == []
    pass_to(server, START_OF_TESTS + 14 * DAY + timedelta(hours=1))
    assert [(kind, sub, of["configuration_name"]) for kind, sub, of in told(server)] == [
        ("ca_about_to_expire", "in_90_days", "issuing")
    ]
    jobs = server.request("GET", "/api/v2/jobs?kind=authority.watch&state=waiting").json["jobs"]
    assert len(jobs) == 2  # the root's and that of the new certificate


def test_an_authority_that_was_signed_again_is_told_of_anew(server: InProcess) -> None:
    make_authorities(server)
    pass_to(server, START_OF_TESTS + 10 * DAY - timedelta(hours=1))
    assert sign(server, ttl=HUNDRED_DAYS).status == 201
    pass_to(server, START_OF_TESTS + 19 * DAY + timedelta(hours=1))
    assert [sub for _, sub in short(server)] == ["in_90_days", "in_90_days"]


# --- revocation lists


@pytest.fixture
def broken_keys(server: InProcess, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Give a server with authorities whose keys cannot be used any more; undoing it mends them."""
    make_authorities(server)
    server.work()

    def fails(*_: object) -> None:
        raise Unavailable(ErrorCode.UNAVAILABLE, "The token does not answer.")

    monkeypatch.setattr(AuthorityKeys, "of", fails)
    return monkeypatch


def test_a_list_that_cannot_be_renewed_is_told_before_it_lapses_and_when_it_has(
    server: InProcess, broken_keys: pytest.MonkeyPatch
) -> None:
    made_at = int(server.clock.now().timestamp())
    for hours in (55, 60, 62):
        pass_to(server, START_OF_TESTS + timedelta(hours=hours))
    assert short(server, "crl_") == []

    for minutes in range(0, 12 * 60, 30):
        pass_to(server, START_OF_TESTS + timedelta(hours=63, minutes=minutes + 2))

    assert sorted(short(server, "crl_")) == [("crl_about_to_expire", "")] * 2 + [("crl_expired", "")] * 2
    kind, _, details = told(server, "crl_")[0]
    assert kind == "crl_about_to_expire"
    assert details["crl_expiration"] == text(START_OF_TESTS + timedelta(hours=72))
    assert (details["crl_number"], details["failure_reason"]) == (made_at, "The token does not answer.")


def test_a_list_that_is_renewed_late_is_watched_no_more(server: InProcess, broken_keys: pytest.MonkeyPatch) -> None:
    pass_to(server, START_OF_TESTS + timedelta(hours=64))
    pass_to(server, START_OF_TESTS + timedelta(hours=64, minutes=2))
    assert len(short(server, "crl_")) == 2
    broken_keys.undo()

    pass_to(server, START_OF_TESTS + timedelta(hours=68))

    jobs = server.request("GET", "/api/v2/jobs?kind=crl.watch").json["jobs"]
    assert [job["state"] for job in jobs] == ["done", "done"]
    pass_to(server, START_OF_TESTS + timedelta(hours=80))
    assert len(short(server, "crl_")) == 2


def test_after_a_time_without_a_server_lists_are_renewed_and_nobody_is_alarmed(server: InProcess) -> None:
    make_authorities(server)
    server.work()
    pass_to(server, START_OF_TESTS + timedelta(days=5))
    pass_to(server, START_OF_TESTS + timedelta(days=5, minutes=2))
    assert short(server, "crl_") == []
    assert server.request("GET", f"{FILES}/issuing/crl", token=None).status == 200


# --- forgetting


def test_certificates_that_ended_a_month_ago_are_forgotten(server: InProcess) -> None:
    make_tree(server, lint_level="off")
    made(create_certificate(server, ttl="24h"))
    kept = made(create_certificate(server, "kept", ttl="48h"))
    storage = server.container.store.storage

    def issued(serial: str) -> Issued | None:
        def look_up(unit: ReadUnit) -> Issued | None:
            issuing = unit.configurations.find(ConfigKind.PRIVATE_CA, "issuing")
            assert issuing is not None
            return unit.authorities.find_issued(issuing.id, f"{int(serial.replace(':', ''), 16):x}")

        return storage.read(look_up)

    serials = [item["serial_number"] for item in server.request("GET", "/api/v2/secrets").json["secrets"]]
    assert all(issued(serial) for serial in serials)
    pass_to(server, START_OF_TESTS + 31 * DAY + timedelta(hours=1))

    server.container.worker.start()

    newer, older = serials
    deadline = time.monotonic() + 20
    while issued(older) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert issued(older) is None
    assert issued(newer) is not None
    assert server.request("POST", f"{kept}/versions", {}).status == 201


# --- how long a rotated authority lives


def test_a_rotated_authority_lives_as_its_max_ttl_says_whatever_it_was_signed_with(server: InProcess) -> None:
    assert create_root(server).status == 201
    assert create_intermediate(server, max_ttl="2400h").status == 201
    signed = sign(server, ttl="1200h")
    assert signed.status == 201, signed.raw

    rotated = act(server, "issuing", "rotate_intermediate")

    assert rotated.status == 201, rotated.raw
    end = START_OF_TESTS + timedelta(hours=2400)
    assert rotated.json["config"]["data"]["expiration"] == int(end.timestamp())
