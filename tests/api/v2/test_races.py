"""What a commit finds when something changed after its preparation, and work that goes wrong by itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from strongroom.domain.access.principals import SYSTEM
from strongroom.domain.change import Change
from strongroom.domain.secrets.changing import MetadataPatch
from strongroom.domain.secrets.locking import NewLock
from strongroom.domain.secrets.model import Secret
from strongroom.domain.secrets.rotating import NewVersion
from strongroom.domain.secrets.services import SecretServices
from strongroom.kernel.errors import Conflict, ErrorCode, Invalid
from strongroom.kernel.ids import SecretId
from tests.api.v2.sending import create, error, events, import_certificate, lock, made
from tests.peers.in_process import InProcess

Prepare = Callable[[SecretServices, Secret], Change[Any]]

_PREPARED: dict[str, Prepare] = {
    "patch": lambda services, secret: services.changes.patch(secret, MetadataPatch(members={"labels": ["new"]})),
    "version patch": lambda services, secret: services.changes.patch_version(
        secret, "current", {"version_custom_metadata": {}}
    ),
    "delete": lambda services, secret: services.changes.delete(SYSTEM, secret),
    "rotation": lambda services, secret: services.rotation.rotate(SYSTEM, secret, NewVersion(values={"payload": "x"})),
    "lock": lambda services, secret: services.locking.create(SYSTEM, secret, "current", [NewLock(name="edge")], None),
    "unlock": lambda services, secret: services.locking.delete(secret, None, None),
}


def stored(server: InProcess, address: str) -> Secret:
    """Return the secret as the store has it."""
    found = server.container.services.storage.read(lambda unit: unit.secrets.find(SecretId(address.rpartition("/")[2])))
    assert found is not None
    return found


def commit(server: InProcess, change: Change[Any]) -> Any:
    """Commit a prepared change."""
    return server.container.services.storage.write(change.commit)


@pytest.mark.parametrize("kind", sorted(_PREPARED))
def test_a_change_of_what_was_deleted_meanwhile_is_a_conflict(server: InProcess, kind: str) -> None:
    address = made(create(server))
    change = _PREPARED[kind](server.container.services.secrets, stored(server, address))
    assert server.request("DELETE", address).status == 204
    with pytest.raises(Conflict) as refused:
        commit(server, change)
    assert refused.value.code is ErrorCode.STALE_VERSION


def test_a_patch_that_built_on_what_changed_meanwhile_is_a_conflict(server: InProcess) -> None:
    address = made(create(server))
    members = {"expiration_date": "2027-01-01T00:00:00Z"}
    services, before = server.container.services.secrets, stored(server, address)
    change = services.changes.patch(before, MetadataPatch(members=members))
    server.request("PATCH", f"{address}/metadata", {"labels": ["new"]})
    with pytest.raises(Conflict):
        commit(server, change)
    commit(server, services.changes.patch(before, MetadataPatch(members={"description": "independent"})))
    assert server.request("GET", f"{address}/metadata").json["labels"] == ["new"]


def test_two_creates_of_one_name_at_once_leave_one_winner(server: InProcess) -> None:
    from strongroom.domain.secrets.creating import NewSecret
    from strongroom.domain.secrets.model import SecretType

    creation = server.container.services.secrets.creation
    new = NewSecret(secret_type=SecretType.ARBITRARY, name="both", values={"payload": "x"})
    principal = server.container.services.authenticator.authenticate(server.administrator(), "127.0.0.1")
    one, two = creation.create(principal, new), creation.create(principal, new)
    commit(server, one)
    with pytest.raises(Conflict) as refused:
        commit(server, two)
    assert refused.value.code is ErrorCode.ALREADY_EXISTS


def test_a_rotation_of_a_managed_csr_that_was_changed_meanwhile_is_a_conflict(server: InProcess) -> None:
    from tests.factories.certificates import sign_csr

    answer = import_certificate(server, managed_csr={"common_name": "example.com", "key_type": "ec"})
    address = made(answer)
    signed = sign_csr(answer.json["csr"], now=server.clock.now())
    services = server.container.services.secrets
    change = services.rotation.rotate(SYSTEM, stored(server, address), NewVersion(values={"certificate": signed.pem}))
    server.request("PATCH", f"{address}/metadata", {"managed_csr": {"key_bits": 384}})
    with pytest.raises(Conflict):
        commit(server, change)
    assert server.request("GET", f"{address}/metadata").json["state"] == 0


# --- work that goes wrong


def tamper(server: InProcess) -> None:
    """Change one byte of the newest sealed payload, behind the server's back."""
    connection = sqlite3.connect(server.directory.database)
    with connection:
        pk, sealed = connection.execute("SELECT pk, sealed FROM versions ORDER BY pk DESC LIMIT 1").fetchone()
        changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
        connection.execute("UPDATE versions SET sealed = ? WHERE pk = ?", (changed, pk))
    connection.close()


def due(server: InProcess) -> str:
    """Make credentials that rotate daily and return their address."""
    rotation = {"auto_rotate": True, "interval": 1, "unit": "day"}
    return made(create(server, "username_password", rotation=rotation))


def pass_days(server: InProcess, days: float) -> None:
    """Move the clock and let the background work happen."""
    server.clock.advance(timedelta(days=days))
    server.forget_tokens()
    server.work()


def test_a_changed_payload_is_never_shown_nor_explained(server: InProcess) -> None:
    address = made(create(server))
    tamper(server)
    for path in (address, f"{address}/versions/current"):
        problem = error(server.request("GET", path), 500)
        assert problem["code"] == "integrity_failed"
        assert "trace id" in problem["message"]
    assert server.request("GET", f"{address}/metadata").status == 200


def test_a_failed_rotation_is_told_and_tried_again_the_next_day(server: InProcess) -> None:
    address = due(server)
    tamper(server)
    pass_days(server, 1)
    secret = server.request("GET", f"{address}/metadata").json
    assert (secret["rotation_status"], secret["versions_total"], secret["state"]) == ("failed", 1, 1)
    assert events(server)[-1] == "secret_rotation_failed"
    pass_days(server, 0.5)
    assert events(server).count("secret_rotation_failed") == 1
    pass_days(server, 0.5)
    assert events(server).count("secret_rotation_failed") == 2
    jobs = server.container.services.storage.read(
        lambda unit: unit.jobs.last_of_secret(SecretId(address.rpartition("/")[2]))
    )
    assert jobs is not None
    assert "its log says more" in str(jobs.waiting_for)


def test_a_rotation_that_fails_for_lack_of_data_recovers_with_the_data(server: InProcess) -> None:
    address = due(server)
    secret = stored(server, address)
    version = secret.current_version_id
    assert version is not None
    storage = server.container.services.storage
    sealed = storage.read(lambda unit: unit.versions.find_sealed(secret.id, version))
    storage.write(lambda unit: unit.versions.erase_payload(secret.id, version))
    pass_days(server, 1)
    assert server.request("GET", f"{address}/metadata").json["rotation_status"] == "failed"
    connection = sqlite3.connect(server.directory.database)
    with connection:
        connection.execute("UPDATE versions SET sealed = ?, payload_available = 1", (sealed,))
    connection.close()
    pass_days(server, 1)
    shown = server.request("GET", f"{address}/metadata").json
    assert (shown["rotation_status"], shown["versions_total"]) == ("none", 2)


def test_the_key_of_a_managed_csr_that_is_missing_is_an_error_of_the_server(server: InProcess) -> None:
    answer = import_certificate(server, managed_csr={"common_name": "example.com", "key_type": "ec"})
    connection = sqlite3.connect(server.directory.database)
    with connection:
        connection.execute("UPDATE secrets SET private_state = NULL")
    connection.close()
    answer = server.request("PATCH", f"{made(answer)}/metadata", {"managed_csr": {"alt_names": "www.example.com"}})
    assert error(answer, 500)["code"] == "integrity_failed"


def test_work_that_is_due_no_more_when_it_starts_does_nothing(server: InProcess) -> None:
    rotating = due(server)
    expiring = made(create(server, expiration_date="2026-01-16T00:00:00Z"))
    gone = made(create(server, name="gone", expiration_date="2026-01-16T00:00:00Z"))
    gone_too = made(
        create(server, "username_password", "gone", rotation={"auto_rotate": True, "interval": 1, "unit": "day"})
    )
    server.clock.advance(timedelta(days=1))
    server.forget_tokens()
    server.container.worker.look_for_work()
    server.request("POST", f"{rotating}/versions", {})
    server.request("PATCH", f"{expiring}/metadata", {"expiration_date": None})
    server.request("DELETE", gone)
    server.request("DELETE", gone_too)
    server.container.worker.run_pending()
    jobs = server.request("GET", "/api/v2/jobs").json["jobs"]
    ended = [(job["kind"], job["state"]) for job in jobs if job["kind"] in {"secret.expire", "secret.rotate"}]
    assert sorted(ended) == [("secret.expire", "done")] * 2 + [("secret.rotate", "done")] * 2
    assert server.request("GET", f"{rotating}/metadata").json["versions_total"] == 2
    assert server.request("GET", f"{expiring}/metadata").json["state"] == 1


def test_a_rotation_that_is_overtaken_between_its_phases_stores_nothing(server: InProcess) -> None:
    from strongroom.domain.jobs.steps import Commit, Done, new_job
    from strongroom.domain.secrets.lifecycle import ROTATE, RotationSteps

    address = due(server)
    server.clock.advance(timedelta(days=1))
    server.forget_tokens()
    services, storage = server.container.services.secrets, server.container.services.storage
    steps = RotationSteps(services.context, services.rotation)
    secret_id = SecretId(address.rpartition("/")[2])
    job = new_job(ROTATE, dedupe_key="x", now=server.clock.now(), secret_id=secret_id, group_id=None)
    step = steps.run(job)
    assert isinstance(step, Commit)
    server.request("POST", f"{address}/versions", {})
    assert isinstance(storage.write(step.fn), Done)
    assert server.request("GET", f"{address}/metadata").json["versions_total"] == 2


def test_expiry_and_rotation_that_meet_end_with_an_expired_secret(server: InProcess) -> None:
    rotation = {"auto_rotate": True, "interval": 1, "unit": "day"}
    answer = create(server, "username_password", rotation=rotation, expiration_date="2026-01-16T00:00:00Z")
    lock(server, made(answer), "edge")
    pass_days(server, 2)
    server.request("DELETE", f"{made(answer)}/locks_bulk")
    pass_days(server, 1)
    secret = server.request("GET", f"{made(answer)}/metadata").json
    assert secret["state"] == 5
    assert "next_rotation_date" not in secret


def test_members_that_a_type_does_not_have_are_refused_by_the_rules_too(server: InProcess) -> None:
    address = made(create(server, "kv"))
    changes = server.container.services.secrets.changes
    with pytest.raises(Invalid) as refused:
        changes.patch(stored(server, address), MetadataPatch(members={"rotation": None, "managed_csr": {}}))
    assert {(cause.field, cause.code) for cause in refused.value.causes} == {
        ("rotation", ErrorCode.UNKNOWN_FIELD),
        ("managed_csr", ErrorCode.UNKNOWN_FIELD),
    }


def test_a_failed_rotation_of_a_secret_that_was_deleted_meanwhile_is_done(server: InProcess) -> None:
    from strongroom.domain.jobs.steps import Commit, Done, new_job
    from strongroom.domain.secrets.lifecycle import ROTATE, RotationSteps

    address = due(server)
    tamper(server)
    server.clock.advance(timedelta(days=1))
    server.forget_tokens()
    services, storage = server.container.services.secrets, server.container.services.storage
    secret_id = SecretId(address.rpartition("/")[2])
    job = new_job(ROTATE, dedupe_key="x", now=server.clock.now(), secret_id=secret_id, group_id=None)
    step = RotationSteps(services.context, services.rotation).run(job)
    assert isinstance(step, Commit)
    assert server.request("DELETE", address).status == 204
    assert isinstance(storage.write(step.fn), Done)
