"""User credentials: generated passwords, rotation by hand and by policy, locks in the way, expiry."""

from __future__ import annotations

import string
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.api.v2.sending import code, create, error, events, field, lock, made, text
from tests.conftest import START_OF_TESTS
from tests.peers.in_process import InProcess
from tests.peers.server import Answer

KIND = "username_password"
SYMBOLS = set(string.punctuation)


def make(server: InProcess, name: str = "credentials", **members: Any) -> str:
    """Make user credentials with a generated password and return their address."""
    return made(create(server, KIND, name, **{"password": ..., **members}))


def policy(interval: int | None = 1, unit: str | None = "day", *, on: bool = True) -> dict[str, Any]:
    """Return a rotation policy."""
    return {"auto_rotate": on, "interval": interval, "unit": unit}


def pass_to(server: InProcess, at: datetime) -> None:
    """Move the clock and let the background work happen."""
    server.clock.advance(at - server.clock.now())
    server.forget_tokens()
    server.work()


def metadata(server: InProcess, address: str) -> dict[str, Any]:
    """Return the metadata of a secret."""
    return dict(server.request("GET", f"{address}/metadata").json)


def patch(server: InProcess, address: str, **members: Any) -> Answer:
    """Send a patch of a secret's metadata."""
    return server.request("PATCH", f"{address}/metadata", members)


# --- passwords


def test_a_given_password_is_kept(shared: InProcess) -> None:
    secret = create(shared, KIND, "given", password="pass wörd").json
    assert (secret["username"], secret["password"]) == ("user", "pass wörd")
    assert secret["rotation"] == {"auto_rotate": False}
    assert "next_rotation_date" not in secret


def test_a_password_is_generated_by_the_default_policy(shared: InProcess) -> None:
    secret = create(shared, KIND, "generated", password=...).json
    password = secret["password"]
    assert len(password) == 32
    for kind in (set(string.digits), SYMBOLS, set(string.ascii_uppercase), set(string.ascii_lowercase)):
        assert kind & set(password)
    assert secret["password_generation_policy"] == {
        "length": 32,
        "include_digits": True,
        "include_symbols": True,
        "include_uppercase": True,
    }
    assert secret["password"] != create(shared, KIND, "generated-too", password=...).json["password"]


def test_a_password_is_generated_by_the_given_policy(shared: InProcess) -> None:
    rules = {"length": 12, "include_digits": False, "include_symbols": False, "include_uppercase": False}
    address = make(shared, "by-policy", password_generation_policy=rules)
    password = shared.request("GET", address).json["password"]
    assert len(password) == 12
    assert set(password) <= set(string.ascii_lowercase)
    assert metadata(shared, address)["password_generation_policy"] == rules
    shown = patch(shared, address, password_generation_policy={"include_digits": True, "length": 40}).json
    assert shown["password_generation_policy"] == {**rules, "include_digits": True, "length": 40}
    rotated = shared.request("POST", f"{address}/versions", {}).json["password"]
    assert len(rotated) == 40
    assert set(rotated) & set(string.digits)
    assert set(rotated) <= set(string.ascii_lowercase + string.digits)
    shown = patch(shared, address, password_generation_policy={"length": None}).json
    assert shown["password_generation_policy"]["length"] == 32
    shown = patch(shared, address, password_generation_policy=None).json
    assert shown["password_generation_policy"]["include_symbols"] is True


def test_limits_of_credentials(shared: InProcess) -> None:
    for username in ("a", "a" * 65, "white space", "ümlaut", "at@sign"):
        assert field(create(shared, KIND, username=username)) == "username"
    for number, username in enumerate(("ab", "a" * 64, "user+-=.,/:;<")):
        made(create(shared, KIND, f"user-{number}", username=username))
    for password in ("12345", "a" * 257):
        answer = create(shared, KIND, password=password)
        assert field(answer) == "password"
        assert password not in error(answer)["message"]
    for length in (11, 257):
        answer = create(shared, KIND, password_generation_policy={"length": length})
        assert field(answer) == "password_generation_policy.length"
    made(create(shared, KIND, "longest", password_generation_policy={"length": 256}, password=...))
    assert (
        field(create(shared, KIND, password_generation_policy={"length": "12"})) == "password_generation_policy.length"
    )


# --- rotation by hand


def test_rotation_by_hand_keeps_the_user_name(server: InProcess) -> None:
    address = make(server)
    first = server.request("GET", address).json
    made_here = server.request("POST", f"{address}/versions", {})
    assert made_here.status == 201, made_here.raw
    assert made_here.json["username"] == first["username"]
    assert made_here.json["password"] != first["password"]
    assert server.request("POST", f"{address}/versions", {"password": "chosen"}).json["password"] == "chosen"
    previous = server.request("GET", f"{address}/versions/previous").json
    assert previous["password"] == made_here.json["password"]
    assert field(server.request("POST", f"{address}/versions", {"password": "short"})) == "password"
    assert field(server.request("POST", f"{address}/versions", {"username": "other"})) == "username"


def test_two_rotations_at_once_leave_one_winner(server: InProcess) -> None:
    """Both prepare from the same state; the second to commit is told so and stores nothing."""
    from strongroom.domain.access.principals import SYSTEM
    from strongroom.domain.secrets.rotating import NewVersion
    from strongroom.kernel.errors import Conflict, ErrorCode

    address = make(server)
    services, storage = server.container.services.secrets, server.container.services.storage
    secret = storage.read(lambda unit: unit.secrets.find(address.rpartition("/")[2]))  # type: ignore[arg-type]
    assert secret is not None
    one = services.rotation.rotate(SYSTEM, secret, NewVersion(values={"password": "first one"}))
    two = services.rotation.rotate(SYSTEM, secret, NewVersion(values={"password": "second one"}))
    storage.write(one.commit)
    with pytest.raises(Conflict) as refused:
        storage.write(two.commit)
    assert refused.value.code is ErrorCode.STALE_VERSION
    assert server.request("GET", address).json["password"] == "first one"
    assert metadata(server, address)["versions_total"] == 2


# --- rotation by policy


@pytest.mark.parametrize(
    ("rotation", "following"),
    [
        (policy(3, "hour"), "2026-01-15T15:00:00Z"),
        (policy(30, "day"), "2026-02-14T12:00:00Z"),
        (policy(1, "month"), "2026-02-15T12:00:00Z"),
        (policy(36, "month"), "2029-01-15T12:00:00Z"),
    ],
)
def test_the_next_rotation_counts_from_the_creation(
    shared: InProcess, rotation: dict[str, Any], following: str
) -> None:
    secret = metadata(shared, make(shared, f"next-{rotation['interval']}-{rotation['unit']}", rotation=rotation))
    assert secret["rotation"] == rotation
    assert secret["next_rotation_date"] == following


def test_a_policy_rotates_when_it_is_due_and_not_before(server: InProcess) -> None:
    address = make(server, rotation=policy(1, "day"))
    first = server.request("GET", address).json["password"]
    pass_to(server, START_OF_TESTS + timedelta(hours=23))
    assert metadata(server, address)["versions_total"] == 1
    pass_to(server, START_OF_TESTS + timedelta(days=1))
    secret = metadata(server, address)
    assert secret["versions_total"] == 2
    assert secret["next_rotation_date"] == text(START_OF_TESTS + timedelta(days=2))
    assert secret["updated_at"] == text(server.clock.now())
    version = server.request("GET", f"{address}/versions/current").json
    assert version["auto_rotated"] is True
    assert version["password"] != first
    assert version["created_by"] == "iam-Strongroom"
    assert events(server) == ["secret_created", "secret_rotated"]


def test_months_end_on_their_last_day(server: InProcess) -> None:
    server.clock.advance(datetime(2026, 1, 31, 8, tzinfo=START_OF_TESTS.tzinfo) - START_OF_TESTS)
    address = make(server, rotation=policy(1, "month"))
    assert metadata(server, address)["next_rotation_date"] == "2026-02-28T08:00:00Z"


def test_missed_rotations_happen_once(server: InProcess) -> None:
    address = make(server, rotation=policy(1, "day"))
    pass_to(server, START_OF_TESTS + timedelta(days=10, hours=5))
    secret = metadata(server, address)
    assert secret["versions_total"] == 2
    assert secret["next_rotation_date"] == text(server.clock.now() + timedelta(days=1))


def test_rotation_by_hand_moves_the_next_one(server: InProcess) -> None:
    address = make(server, rotation=policy(1, "day"))
    server.clock.advance(timedelta(hours=6))
    server.forget_tokens()
    server.request("POST", f"{address}/versions", {})
    assert metadata(server, address)["next_rotation_date"] == text(server.clock.now() + timedelta(days=1))


def test_a_policy_is_replaced_as_a_whole_and_counts_from_the_last_rotation(server: InProcess) -> None:
    address = make(server, rotation=policy(1, "day"))
    server.clock.advance(timedelta(hours=6))
    server.forget_tokens()
    shown = patch(server, address, rotation=policy(2, "month")).json
    assert (shown["rotation"], shown["next_rotation_date"]) == (policy(2, "month"), "2026-03-15T12:00:00Z")
    assert field(patch(server, address, rotation={"auto_rotate": True, "interval": 1})) == "rotation.unit"
    assert field(patch(server, address, rotation={"interval": 1, "unit": "day"})) == "rotation.auto_rotate"


@pytest.mark.parametrize("off", [{"auto_rotate": False}, policy(on=False), None])
def test_a_policy_is_switched_off(server: InProcess, off: Any) -> None:
    address = make(server, rotation=policy(1, "day"))
    shown = patch(server, address, rotation=off).json
    assert shown["rotation"] == {"auto_rotate": False}
    assert "next_rotation_date" not in shown
    pass_to(server, START_OF_TESTS + timedelta(days=3))
    assert metadata(server, address)["versions_total"] == 1


@pytest.mark.parametrize(
    ("rotation", "wrong"),
    [
        (policy(0, "day"), {"rotation.interval"}),
        (policy(1096, "day"), {"rotation.interval"}),
        (policy(37, "month"), {"rotation.interval"}),
        (policy(26_281, "hour"), {"rotation.interval"}),
        (policy(1, "week"), {"rotation.unit"}),
        (policy(None, None), {"rotation.interval", "rotation.unit"}),
        (policy(1, None), {"rotation.unit"}),
        ({"interval": 1, "unit": "day"}, {"rotation.auto_rotate"}),
        ("daily", {"rotation"}),
    ],
)
def test_broken_policies_are_refused(shared: InProcess, rotation: Any, wrong: set[str]) -> None:
    answer = create(shared, KIND, "broken-policy", rotation=rotation)
    assert answer.status == 400
    assert {problem["target"]["name"] for problem in answer.json["errors"]} == wrong


def test_a_locked_previous_version_holds_the_rotation_back_until_it_is_free(server: InProcess) -> None:
    address = make(server, rotation=policy(1, "day"))
    lock(server, address, "edge")
    pass_to(server, START_OF_TESTS + timedelta(days=1))
    assert metadata(server, address)["versions_total"] == 2
    pass_to(server, START_OF_TESTS + timedelta(days=2))
    secret = metadata(server, address)
    assert (secret["versions_total"], secret["rotation_status"]) == (2, "blocked")
    assert (secret["job"]["kind"], secret["job"]["state"]) == ("secret.rotate", "waiting")
    assert "locks" in secret["job"]["waiting_for"]
    assert server.request("GET", address).json["job"] == secret["job"]
    assert (secret["job"]["kind"], secret["job"]["state"]) == ("secret.rotate", "waiting")
    assert "locks" in secret["job"]["waiting_for"]
    assert events(server)[-1] == "secret_rotation_blocked"
    pass_to(server, START_OF_TESTS + timedelta(days=2, hours=1))
    assert events(server).count("secret_rotation_blocked") == 1
    pass_to(server, START_OF_TESTS + timedelta(days=3))
    assert events(server).count("secret_rotation_blocked") == 2
    server.request("DELETE", f"{address}/versions/previous/locks_bulk")
    pass_to(server, START_OF_TESTS + timedelta(days=3, minutes=1))
    secret = metadata(server, address)
    assert (secret["versions_total"], secret["rotation_status"]) == (3, "none")
    assert "job" not in secret
    assert secret["next_rotation_date"] == text(server.clock.now() + timedelta(days=1))


def test_a_policy_that_is_switched_off_while_it_is_blocked_is_blocked_no_more(server: InProcess) -> None:
    address = make(server, rotation=policy(1, "day"))
    lock(server, address, "edge")
    pass_to(server, START_OF_TESTS + timedelta(days=1))
    pass_to(server, START_OF_TESTS + timedelta(days=2))
    assert metadata(server, address)["rotation_status"] == "blocked"
    assert patch(server, address, rotation={"auto_rotate": False}).json["rotation_status"] == "none"
    pass_to(server, START_OF_TESTS + timedelta(days=4))
    assert metadata(server, address)["versions_total"] == 2


def test_rotation_by_hand_is_refused_while_previous_is_locked(server: InProcess) -> None:
    address = make(server)
    lock(server, address, "edge")
    assert server.request("POST", f"{address}/versions", {}).status == 201
    answer = server.request("POST", f"{address}/versions", {})
    assert code(answer, 412) == "secret_version_locked"
    assert events(server)[-1] == "secret_rotation_blocked"
    assert metadata(server, address)["versions_total"] == 2


# --- expiry


@pytest.mark.parametrize("kind", ["arbitrary", KIND])
def test_an_expired_secret_loses_its_values_and_cannot_rotate(server: InProcess, kind: str) -> None:
    address = made(create(server, kind, expiration_date="2026-01-15T13:00:00Z"))
    server.request("POST", f"{address}/versions", {"payload": "next"} if kind == "arbitrary" else {})
    pass_to(server, START_OF_TESTS + timedelta(minutes=59))
    assert metadata(server, address)["state"] == 1
    pass_to(server, START_OF_TESTS + timedelta(hours=1))
    secret = server.request("GET", address).json
    assert (secret["state"], secret["state_description"]) == (5, "destroyed")
    assert secret.get("payload") is None
    if kind == KIND:
        assert (secret["username"], secret["password"]) == ("", "")
    versions = server.request("GET", f"{address}/versions").json["versions"]
    assert [version["payload_available"] for version in versions] == [False, False]
    answer = server.request("POST", f"{address}/versions", {"payload": "x"} if kind == "arbitrary" else {})
    assert code(answer) == "state_forbids"
    assert "destroyed" in error(answer)["message"]
    assert server.request("DELETE", address).status == 204


def test_an_expired_secret_does_not_rotate_by_policy_any_more(server: InProcess) -> None:
    address = make(server, rotation=policy(1, "day"), expiration_date="2026-01-15T13:00:00Z")
    pass_to(server, START_OF_TESTS + timedelta(hours=1))
    assert "next_rotation_date" not in metadata(server, address)
    assert "next_rotation_date" not in patch(server, address, rotation=policy(1, "hour")).json
    pass_to(server, START_OF_TESTS + timedelta(days=2))
    assert metadata(server, address)["versions_total"] == 1


def test_locks_delay_the_expiry_until_the_last_one_is_gone(server: InProcess) -> None:
    address = make(server, expiration_date="2026-01-15T13:00:00Z")
    lock(server, address, "edge", "core")
    pass_to(server, START_OF_TESTS + timedelta(hours=1))
    assert metadata(server, address)["state"] == 1
    assert server.request("GET", address).json["password"]
    assert events(server)[-1] == "secret_expiration_blocked"
    assert metadata(server, address)["job"]["waiting_for"] == "the locks on the secret"
    server.request("DELETE", f"{address}/locks_bulk?name=edge")
    pass_to(server, START_OF_TESTS + timedelta(hours=2))
    assert metadata(server, address)["state"] == 1
    assert events(server).count("secret_expiration_blocked") == 1
    server.request("DELETE", f"{address}/locks_bulk")
    pass_to(server, START_OF_TESTS + timedelta(hours=3))
    assert metadata(server, address)["state"] == 5
    assert events(server)[-2:] == ["secret_expired", "secret_data_removed"]


def test_an_expiry_that_is_moved_in_time_does_not_happen(server: InProcess) -> None:
    address = make(server, expiration_date="2026-01-15T13:00:00Z")
    patch(server, address, expiration_date="2026-01-20T00:00:00Z")
    pass_to(server, START_OF_TESTS + timedelta(hours=1))
    assert metadata(server, address)["state"] == 1
