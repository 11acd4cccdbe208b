"""Orders that never begin, or that the server itself cannot go on with; and what clearing away does meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from strongroom.kernel.clock import FrozenClock
from tests.factories.orders import FakeAcmeSession
from tests.factories.public_world import PublicWorld, public_world


@pytest.fixture
def world(prepared_data_dir: Path, data_dir: Path, clock: FrozenClock) -> Iterator[PublicWorld]:
    with public_world(prepared_data_dir, data_dir, clock) as made:
        made.configure()
        yield made


def test_manual_order_that_the_ca_refuses_says_why(world: PublicWorld) -> None:
    world.ca.rejected.add("www.example.com")
    answer = world.order(dns="manual")
    assert answer.status == 502, answer.raw
    (error,) = answer.json["errors"]
    assert error["code"] == "upstream_refused"
    assert "www.example.com" in error["message"]
    assert world.server.request("GET", "/api/v2/secrets").json["total_count"] == 0


def test_manual_order_while_the_ca_is_down_says_so(world: PublicWorld) -> None:
    world.ca.outage_until = world.clock.now() + timedelta(hours=1)
    answer = world.order(dns="manual")
    assert answer.status == 503, answer.raw
    assert world.server.request("GET", "/api/v2/secrets").json["total_count"] == 0


def test_manual_order_at_a_ca_without_proofs_over_dns_is_refused(
    world: PublicWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = FakeAcmeSession.authorization

    def without_dns(session: FakeAcmeSession, url: str) -> object:
        return replace(real(session, url), challenge_url=None, txt_value=None)

    monkeypatch.setattr(FakeAcmeSession, "authorization", without_dns)
    answer = world.order(dns="manual")
    assert answer.status == 502, answer.raw
    assert "dns-01" in answer.json["errors"][0]["message"]


def test_order_whose_key_cannot_be_opened_is_given_up_and_told_of(world: PublicWorld) -> None:
    secret_id = world.order().json["id"]
    world.run_to("finalize")
    with closing(sqlite3.connect(world.server.directory.path / "strongroom.db")) as connection:
        assert connection.execute("UPDATE orders SET sealed_key = X'00112233'").rowcount == 1
        connection.commit()
    world.run(timedelta(hours=3), timedelta(minutes=1))
    after = world.metadata(secret_id)
    assert (after["state"], after["issuance_info"]["error_code"]) == (3, "server_error"), after["issuance_info"]
    assert world.events()[-1] == "secret_creation_failed"
    assert world.dns.left == []


def test_proofs_of_a_failed_order_are_each_given_up_once(world: PublicWorld) -> None:
    names = [f"host{number}.example.com" for number in range(25)]
    world.dns.lag = timedelta(days=1)
    secret_id = world.order(common_name=..., alt_names=names).json["id"]
    world.run(timedelta(minutes=1))
    (job,) = world.server.request("GET", f"/api/v2/orders?secret_id={secret_id}").json["orders"]
    assert world.server.request("POST", f"/api/v2/jobs/{job['id']}/actions", {"action_type": "cancel"}).status < 300
    world.run(timedelta(minutes=7))
    assert world.dns.left == []
    assert world.acme.calls["deactivate"] == 25
    (placed,) = world.ca.orders
    assert {item.status for item in placed.authorizations} == {"deactivated"}


def test_certificate_that_cannot_be_opened_keeps_no_other_from_being_asked_about(world: PublicWorld) -> None:
    broken = world.order().json["id"]
    other = world.order("other", common_name="other.example.com").json["id"]
    world.run(timedelta(seconds=30))
    with closing(sqlite3.connect(world.server.directory.path / "strongroom.db")) as connection:
        changed = connection.execute(
            "UPDATE versions SET sealed = X'00112233' WHERE secret_pk = (SELECT pk FROM secrets WHERE id = ?)", [broken]
        )
        assert changed.rowcount == 1
        connection.commit()
    world.run(timedelta(days=1), timedelta(hours=1))
    assert _answered(world) == {broken: False, other: True}
    jobs = world.server.request("GET", "/api/v2/jobs?kind=public_cert.renewal_info").json["jobs"]
    assert {job["state"] for job in jobs} == {"done"}


def test_certificate_of_a_fallback_is_asked_about_there(
    prepared_data_dir: Path, data_dir: Path, clock: FrozenClock
) -> None:
    with public_world(prepared_data_dir, data_dir, clock) as world:
        world.configure(fallback=True)
        world.ca.outage_until = clock.now() + timedelta(hours=1)
        secret_id = world.order().json["id"]
        world.run(timedelta(minutes=10))
        assert len(world.second_ca.certificates) == 1
        world.run(timedelta(days=1), timedelta(hours=1))
        assert _answered(world) == {secret_id: True}


def _answered(world: PublicWorld) -> dict[str, bool]:
    """Return for each secret whether its CA has said when to renew it."""
    with closing(sqlite3.connect(world.server.directory.path / "strongroom.db")) as connection:
        rows = connection.execute(
            "SELECT secrets.id, renew_at FROM renewal_checks JOIN secrets ON secrets.pk = secret_pk"
        ).fetchall()
    return {secret_id: renew_at is not None for secret_id, renew_at in rows}
