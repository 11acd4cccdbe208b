"""The life of private certificates: rotation by policy and by hand, revocation, expiry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from strongroom.domain.authorities.keys import AuthorityKeys
from tests.api.authorities import (
    CONFIGURATIONS,
    REVOKE,
    act,
    create_certificate,
    create_intermediate,
    create_root,
    create_template,
    make_tree,
)
from tests.api.v2.sending import code, error, events, field, lock, made, make_group, text
from tests.conftest import START_OF_TESTS
from tests.factories.certificates import ec_key, make_csr
from tests.peers.in_process import InProcess
from tests.peers.server import Answer

DAY = timedelta(days=1)


@pytest.fixture
def tree(server: InProcess) -> InProcess:
    """Give a server with a root, an intermediate and a template that allows all names of example.com."""
    grow(server)
    return server


def grow(server: InProcess, **template: Any) -> None:
    """Make the authorities; certificates live ninety days unless the template says otherwise."""
    rules = {"allowed_domains": ["example.com"], "allow_bare_domains": True, "allow_subdomains": True}
    make_tree(server, **{**rules, "ttl": "2160h", "lint_level": "off", **template})


def issue(server: InProcess, **members: Any) -> str:
    """Make a certificate and return its address."""
    return made(create_certificate(server, **{"common_name": "example.com", **members}))


def policy(interval: int = 30, unit: str = "day") -> dict[str, Any]:
    """Return a rotation policy."""
    return {"auto_rotate": True, "interval": interval, "unit": unit}


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


def patch_template(server: InProcess, **members: Any) -> None:
    """Change the template."""
    answer = server.request("PATCH", f"{CONFIGURATIONS}/leaves", members)
    assert answer.status == 200, answer.raw


def rotate(server: InProcess, address: str, **members: Any) -> Answer:
    """Ask for the next version."""
    return server.request("POST", f"{address}/versions", members)


def revoke(server: InProcess, address: str) -> dict[str, Any]:
    """Revoke a certificate and return the answer."""
    answer = server.request("POST", f"{address}/actions", {"action_type": REVOKE})
    assert answer.status == 201, answer.raw
    return dict(answer.json)


def versions(server: InProcess, address: str) -> list[dict[str, Any]]:
    """Return the versions of a secret, newest first."""
    return list(server.request("GET", f"{address}/versions").json["versions"])


def certificate(server: InProcess, address: str) -> x509.Certificate:
    """Return the current certificate."""
    return x509.load_pem_x509_certificate(server.request("GET", address).json["certificate"].encode())


def names(of: x509.Certificate) -> list[str]:
    """Return the alternative names as text."""
    return [str(name.value) for name in of.extensions.get_extension_for_class(x509.SubjectAlternativeName).value]


# --- rotation by policy


def test_a_policy_makes_a_new_certificate_of_the_same_names_with_a_new_key(tree: InProcess) -> None:
    address = issue(tree, alt_names=["www.example.com"], ip_sans="192.0.2.7", rotation=policy(30))
    first, shown = certificate(tree, address), metadata(tree, address)
    assert shown["next_rotation_date"] == text(START_OF_TESTS + 30 * DAY)

    pass_to(tree, START_OF_TESTS + 30 * DAY - timedelta(seconds=1))
    assert metadata(tree, address)["versions_total"] == 1
    pass_to(tree, START_OF_TESTS + 30 * DAY)

    second, shown = certificate(tree, address), metadata(tree, address)
    assert (shown["versions_total"], shown["rotation_status"]) == (2, "none")
    assert shown["next_rotation_date"] == text(START_OF_TESTS + 60 * DAY)
    assert names(second) == names(first)
    assert second.subject == first.subject
    assert second.public_key() != first.public_key()
    assert second.not_valid_after_utc - first.not_valid_after_utc == 30 * DAY
    assert [(version["auto_rotated"], version["downloaded"]) for version in versions(tree, address)] == [
        (True, True),  # read by this test
        (False, True),
    ]
    assert events(tree)[-1] == "secret_rotated"


def test_months_end_on_their_last_day(tree: InProcess) -> None:
    pass_to(tree, datetime(2026, 1, 31, 8, tzinfo=UTC))
    address = issue(tree, rotation=policy(1, "month"))
    assert metadata(tree, address)["next_rotation_date"] == "2026-02-28T08:00:00Z"

    pass_to(tree, datetime(2026, 2, 28, 8, tzinfo=UTC))

    shown = metadata(tree, address)
    assert (shown["versions_total"], shown["next_rotation_date"]) == (2, "2026-03-28T08:00:00Z")


def test_a_policy_is_switched_off_and_on_again(tree: InProcess) -> None:
    address = issue(tree, rotation=policy(30))
    shown = patch(tree, address, rotation={"auto_rotate": False}).json
    assert shown["rotation"] == {"auto_rotate": False}
    assert "next_rotation_date" not in shown

    pass_to(tree, START_OF_TESTS + 31 * DAY)
    assert metadata(tree, address)["versions_total"] == 1
    shown = patch(tree, address, rotation=policy(40)).json
    assert shown["next_rotation_date"] == text(START_OF_TESTS + 40 * DAY)
    pass_to(tree, START_OF_TESTS + 40 * DAY)
    assert metadata(tree, address)["versions_total"] == 2


def test_a_new_policy_never_rotates_at_once(tree: InProcess) -> None:
    address = issue(tree)
    pass_to(tree, START_OF_TESTS + 65 * DAY)

    assert patch(tree, address, rotation=policy(20)).json["next_rotation_date"] == text(START_OF_TESTS + 80 * DAY)
    monthly = patch(tree, address, rotation=policy(1, "month")).json
    # Three months would be the day after the certificate's end.
    assert monthly["next_rotation_date"] == text(START_OF_TESTS + 89 * DAY)
    tree.work()
    assert metadata(tree, address)["versions_total"] == 1


@pytest.mark.parametrize("interval", [(91, "day"), (4, "month"), (2161, "hour")])
def test_an_interval_longer_than_the_life_is_refused(tree: InProcess, interval: tuple[int, str]) -> None:
    assert field(create_certificate(tree, common_name="example.com", rotation=policy(*interval))) == "rotation.interval"
    address = issue(tree)
    assert field(patch(tree, address, rotation=policy(*interval))) == "rotation.interval"
    assert "rotation" not in metadata(tree, address) or not metadata(tree, address)["rotation"]["auto_rotate"]


def test_an_interval_is_held_against_the_life_asked_for_and_not_against_the_back_dated_start(tree: InProcess) -> None:
    patch_template(tree, not_before_duration="720h")
    assert field(create_certificate(tree, ttl="240h", common_name="example.com", rotation=policy(11))) == (
        "rotation.interval"
    )
    address = issue(tree, ttl="240h")
    assert field(patch(tree, address, rotation=policy(11))) == "rotation.interval"
    assert patch(tree, address, rotation=policy(9)).json["next_rotation_date"] == text(START_OF_TESTS + 9 * DAY)


@pytest.mark.parametrize(
    ("ttl", "rotation", "before"),
    [("720h", policy(30), DAY), ("10h", policy(10, "hour"), timedelta(hours=1)), ("744h", policy(1, "month"), DAY)],
)
def test_an_interval_as_long_as_the_life_warns_and_rotates_before_the_end(
    tree: InProcess, ttl: str, rotation: dict[str, Any], before: timedelta
) -> None:
    address = issue(tree, ttl=ttl, rotation=rotation)
    shown = metadata(tree, address)
    due = certificate(tree, address).not_valid_after_utc - before
    assert [notice["code"] for notice in shown["warnings"]] == ["rotation_at_end_of_life"]
    assert shown["next_rotation_date"] == text(due)

    pass_to(tree, due)

    shown = metadata(tree, address)
    assert (shown["state"], shown["versions_total"]) == (1, 2)
    # The template or the calendar may give the next one another life, but it is rotated before its end, too.
    assert shown["next_rotation_date"] < shown["expiration_date"]


def test_a_template_that_shortens_lives_does_not_stop_the_rotation(tree: InProcess) -> None:
    address = issue(tree, rotation=policy(30))
    patch_template(tree, ttl="240h")

    pass_to(tree, START_OF_TESTS + 30 * DAY)

    shown = metadata(tree, address)
    assert (shown["versions_total"], shown["rotation_status"]) == (2, "none")
    assert shown["next_rotation_date"] == text(START_OF_TESTS + 39 * DAY)
    assert [notice["code"] for notice in shown["warnings"]] == ["rotation_at_end_of_life"]


def test_a_lock_on_previous_stops_the_rotation_loudly(tree: InProcess) -> None:
    address = issue(tree, rotation=policy(30))
    assert rotate(tree, address).status == 201
    lock(tree, f"{address}/versions/previous", "edge")

    pass_to(tree, START_OF_TESTS + 30 * DAY)

    shown = metadata(tree, address)
    assert (shown["versions_total"], shown["rotation_status"]) == (2, "blocked")
    assert (shown["job"]["kind"], shown["job"]["state"]) == ("secret.rotate", "waiting")
    assert events(tree)[-1] == "secret_rotation_blocked"
    pass_to(tree, START_OF_TESTS + 31 * DAY)
    assert events(tree).count("secret_rotation_blocked") == 2
    tree.request("DELETE", f"{address}/versions/previous/locks_bulk")
    pass_to(tree, START_OF_TESTS + 31 * DAY + timedelta(minutes=1))
    shown = metadata(tree, address)
    assert (shown["versions_total"], shown["rotation_status"]) == (3, "none")


def test_by_hand_and_by_policy_nothing_is_made_for_a_rotation_that_a_lock_refuses(
    tree: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = issue(tree, rotation=policy(30))
    rotate(tree, address)
    lock(tree, f"{address}/versions/previous", "edge")

    def must_not(*_: object) -> None:
        raise AssertionError("a key was made")

    monkeypatch.setattr(AuthorityKeys, "make_leaf", must_not)
    refused = rotate(tree, address)
    pass_to(tree, START_OF_TESTS + 30 * DAY)

    assert code(refused, 412) == "secret_version_locked"
    assert events(tree)[-2:] == ["secret_rotation_blocked", "secret_rotation_blocked"]
    assert metadata(tree, address)["rotation_status"] == "blocked"


def near_end(server: InProcess) -> str:
    """Make a certificate of thirty days whose authority lives fifty, rotated after twenty-five."""
    for answer in (
        create_root(server),
        create_intermediate(server, auto_sign=True, max_ttl="1200h"),
        create_template(server, ttl="720h", lint_level="off"),
    ):
        assert answer.status == 201, answer.raw
    return issue(server, common_name="localhost", rotation=policy(25))


def test_an_authority_near_its_end_stops_the_rotation_loudly_and_daily(server: InProcess) -> None:
    address = near_end(server)

    pass_to(server, START_OF_TESTS + 25 * DAY)

    shown = metadata(server, address)
    assert (shown["state"], shown["versions_total"], shown["rotation_status"]) == (1, 1, "failed")
    assert "The certificate authority issuing ends at" in shown["job"]["waiting_for"]
    assert events(server).count("secret_rotation_failed") == 1
    pass_to(server, START_OF_TESTS + 25 * DAY + timedelta(hours=23))
    assert events(server).count("secret_rotation_failed") == 1
    pass_to(server, START_OF_TESTS + 26 * DAY)
    assert events(server).count("secret_rotation_failed") == 2


def test_a_rotation_that_failed_goes_on_once_the_authority_was_rotated(server: InProcess) -> None:
    address = near_end(server)
    pass_to(server, START_OF_TESTS + 25 * DAY)

    renewed = act(server, "issuing", "rotate_intermediate")
    pass_to(server, START_OF_TESTS + 26 * DAY)

    assert renewed.status == 201, renewed.raw
    shown = metadata(server, address)
    assert (shown["versions_total"], shown["rotation_status"]) == (2, "none")
    assert certificate(server, address).not_valid_after_utc == START_OF_TESTS + 56 * DAY


def test_by_hand_a_certificate_is_rotated_for_as_long_as_its_authority_lives(server: InProcess) -> None:
    address = near_end(server)
    pass_to(server, START_OF_TESTS + 40 * DAY)

    assert rotate(server, address).status == 201

    shown = metadata(server, address)
    assert (shown["state"], shown["rotation_status"]) == (1, "none")
    assert shown["expiration_date"] == text(START_OF_TESTS + 50 * DAY)
    assert shown["next_rotation_date"] == text(START_OF_TESTS + 49 * DAY)


def test_a_failed_rotation_is_tried_sooner_where_a_day_would_be_too_late(tree: InProcess) -> None:
    address = issue(tree, ttl="20h", rotation=policy(10, "hour"))
    patch_template(tree, allowed_domains=["example.net"])

    pass_to(tree, START_OF_TESTS + timedelta(hours=10))
    patch_template(tree, allowed_domains=["example.com"])
    pass_to(tree, START_OF_TESTS + timedelta(hours=15))

    shown = metadata(tree, address)
    assert (shown["state"], shown["versions_total"], shown["rotation_status"]) == (1, 2, "none")
    assert events(tree).count("secret_rotation_failed") == 1


# --- what the template says


def test_a_group_that_the_template_does_not_allow_is_refused(tree: InProcess) -> None:
    group = make_group(tree)
    patch_template(tree, allowed_secret_groups=group)

    refused = create_certificate(tree, common_name="example.com")

    assert (field(refused), code(refused)) == ("secret_group_id", "template_violation")
    assert create_certificate(tree, common_name="example.com", secret_group_id=group).status == 201


def test_the_common_name_may_be_left_out_where_the_template_says_so(tree: InProcess) -> None:
    body: dict[str, Any] = {"secret_type": "private_cert", "name": "unnamed", "certificate_template": "leaves"}
    body |= {"alt_names": ["www.example.com"]}
    assert tree.request("POST", "/api/v2/secrets", body).status == 400
    patch_template(tree, require_cn=False)

    address = made(tree.request("POST", "/api/v2/secrets", body))

    shown = metadata(tree, address)
    assert (shown["common_name"], shown["alt_names"]) == ("", ["www.example.com"])
    assert rotate(tree, address).status == 201


def test_what_the_request_leaves_out_comes_from_the_template(tree: InProcess) -> None:
    patch_template(tree, ttl="100h", organization=["Example"], key_bits=384, client_flag=False)

    found = certificate(tree, issue(tree))

    assert found.not_valid_after_utc == START_OF_TESTS + timedelta(hours=100)
    assert found.subject.rfc4514_string() == "CN=example.com,O=Example"
    assert found.public_key().key_size == 384  # type: ignore[union-attr]
    usages = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_changes_of_the_template_count_from_the_next_rotation_on(tree: InProcess) -> None:
    address = issue(tree)
    before = certificate(tree, address)
    patch_template(tree, organization=["Example"])
    assert certificate(tree, address) == before

    assert rotate(tree, address).status == 201
    assert certificate(tree, address).subject.rfc4514_string() == "CN=example.com,O=Example"

    patch_template(tree, allowed_domains=["example.net"])
    assert code(rotate(tree, address)) == "template_violation"


def test_what_is_used_cannot_be_deleted_until_its_certificates_have_expired(tree: InProcess) -> None:
    address = issue(tree)
    refused = [tree.request("DELETE", f"{CONFIGURATIONS}/{name}").status for name in ("leaves", "issuing")]
    revoke(tree, address)
    refused.append(tree.request("DELETE", f"{CONFIGURATIONS}/leaves").status)
    assert rotate(tree, address).status == 201
    pass_to(tree, START_OF_TESTS + 91 * DAY)

    gone = [tree.request("DELETE", f"{CONFIGURATIONS}/{name}").status for name in ("leaves", "issuing")]
    orphan = rotate(tree, address)

    assert (refused, gone) == ([409, 409, 409], [204, 204])
    assert field(orphan) == "certificate_template"
    assert "leaves" in error(orphan)["message"]


# --- what a rotation keeps


def test_a_rotation_keeps_what_was_asked_for_at_first(tree: InProcess) -> None:
    patch_template(tree, allowed_uri_sans=["spiffe://example.com/*"])
    address = issue(
        tree,
        uri_sans="spiffe://example.com/web",
        alt_names=["a.example.com", "b@example.com"],
        exclude_cn_from_sans=True,
        ttl="48h",
        format="pem_bundle",
        private_key_format="pkcs8",
    )
    first = certificate(tree, address)

    second = rotate(tree, address).json

    made_anew = x509.load_pem_x509_certificate(second["certificate"].encode())
    assert names(made_anew) == names(first)
    assert "example.com" not in names(made_anew)
    assert made_anew.not_valid_after_utc == START_OF_TESTS + timedelta(hours=48)
    assert second["private_key"].startswith("-----BEGIN PRIVATE KEY-----")
    assert second["certificate"].count("BEGIN CERTIFICATE") > 1


def test_a_kept_signing_request_is_signed_again_until_another_takes_its_place(tree: InProcess) -> None:
    one, other = ec_key(), ec_key()
    address = issue(tree, csr=make_csr(one))
    again = rotate(tree, address).json
    assert again["private_key"] == ""
    assert certificate(tree, address).public_key() == one.public_key()

    assert rotate(tree, address, csr=make_csr(other)).status == 201
    assert certificate(tree, address).public_key() == other.public_key()
    assert rotate(tree, address).status == 201
    assert certificate(tree, address).public_key() == other.public_key()


def test_a_certificate_with_a_generated_key_takes_a_signing_request_from_then_on(tree: InProcess) -> None:
    key = ec_key()
    address = issue(tree, rotation=policy(30))
    assert rotate(tree, address, csr=make_csr(key)).json["private_key"] == ""
    pass_to(tree, START_OF_TESTS + 30 * DAY)
    assert certificate(tree, address).public_key() == key.public_key()


def test_an_earlier_certificate_cannot_be_restored(tree: InProcess) -> None:
    address = issue(tree)
    rotate(tree, address)
    assert code(rotate(tree, address, restore_from_version="previous")) == "not_supported"


# --- revocation and expiry


def test_a_revoked_certificate_rotates_by_hand_only(tree: InProcess) -> None:
    address = issue(tree, rotation=policy(30))
    answer = revoke(tree, address)
    shown = metadata(tree, address)
    assert (shown["state"], shown["revocation_time_seconds"]) == (3, answer["revocation_time_seconds"])
    assert shown["revocation_time_rfc3339"] == text(START_OF_TESTS)
    assert "next_rotation_date" not in shown
    assert "next_rotation_date" not in patch(tree, address, rotation=policy(20)).json
    pass_to(tree, START_OF_TESTS + 31 * DAY)
    assert metadata(tree, address)["versions_total"] == 1
    assert tree.request("GET", address).json["private_key"]

    assert rotate(tree, address).status == 201

    shown = metadata(tree, address)
    assert (shown["state"], shown["versions_total"]) == (1, 2)
    assert shown["next_rotation_date"] == text(START_OF_TESTS + 51 * DAY)
    assert not {"revocation_time_seconds", "revocation_time_rfc3339"} & shown.keys()
    current, previous = versions(tree, address)
    assert (current["state"], previous["state"]) == (1, 3)
    assert previous["revocation_time_seconds"] == answer["revocation_time_seconds"]
    assert previous["revocation_time_rfc3339"] == text(START_OF_TESTS)
    assert "revocation_time_seconds" not in current


def test_revoking_the_previous_certificate_changes_that_version_only(tree: InProcess) -> None:
    address = issue(tree, rotation=policy(30))
    rotate(tree, address)

    answer = tree.request("POST", f"{address}/versions/previous/actions", {"action_type": REVOKE})

    assert answer.status == 201, answer.raw
    shown = metadata(tree, address)
    assert shown["state"] == 1
    assert "revocation_time_seconds" not in shown
    assert shown["next_rotation_date"] == text(START_OF_TESTS + 30 * DAY)
    assert [version["state"] for version in versions(tree, address)] == [1, 3]
    again = tree.request("POST", f"{address}/versions/previous/actions", {"action_type": REVOKE})
    assert code(again) == "state_forbids"


def test_an_expired_certificate_is_destroyed_and_comes_back_by_hand(tree: InProcess) -> None:
    address = issue(tree, ttl="24h")
    lock(tree, address, "edge")

    pass_to(tree, START_OF_TESTS + DAY)

    shown = tree.request("GET", address).json
    assert (shown["state"], shown["certificate"], shown["private_key"]) == (5, "", "")
    (version,) = versions(tree, address)
    assert (version["state"], version["payload_available"]) == (5, False)
    assert tree.request("GET", f"{address}/versions/current/metadata").json["state"] == 5
    assert rotate(tree, address).status == 201
    shown = metadata(tree, address)
    assert (shown["state"], shown["expiration_date"]) == (1, text(START_OF_TESTS + 2 * DAY))
    assert [version["state"] for version in versions(tree, address)] == [1, 5]


def test_a_policy_brings_an_expired_certificate_back(tree: InProcess) -> None:
    address = issue(tree, ttl="48h", rotation=policy(1))
    patch_template(tree, allowed_domains=["example.net"])
    for hours in (24, 36, 42, 48):
        pass_to(tree, START_OF_TESTS + timedelta(hours=hours))
    shown = metadata(tree, address)
    assert (shown["state"], shown["rotation_status"]) == (5, "failed")

    patch_template(tree, allowed_domains=["example.com"])
    pass_to(tree, START_OF_TESTS + 4 * DAY)

    shown = metadata(tree, address)
    assert (shown["state"], shown["versions_total"], shown["rotation_status"]) == (1, 2, "none")
