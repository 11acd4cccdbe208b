"""Operations on orders of public certificates, and the list of coming renewals."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from strongroom.domain.access.actions import Role
from strongroom.domain.jobs.model import Job, JobError, JobState
from strongroom.domain.jobs.steps import new_job
from strongroom.domain.orders.acme import AcmeStatus
from strongroom.domain.orders.context import ORDER
from strongroom.domain.orders.dns import ServerReport
from strongroom.domain.orders.model import Order, OrderChallenge, OrderTrigger, RenewalCheck
from strongroom.domain.secrets.model import Lock, Secret, SecretType, State, Version, VersionAlias
from strongroom.kernel.ids import GroupId, IamId, SecretId, VersionId, new_uuid
from strongroom.kernel.time import format_rfc3339
from tests.peers.in_process import InProcess

SOMEBODY = IamId("IBMid-somebody")
UNKNOWN = "0f0e0d0c-0b0a-4908-8706-050403020100"
ORDERS, RENEWALS = "/api/v2/orders", "/api/v2/renewals"


def put_secret(server: InProcess, name: str, *, group: str = "default", **changes: Any) -> Secret:
    now = server.clock.now()
    secret = Secret(
        id=SecretId(new_uuid()),
        secret_type=SecretType.PUBLIC_CERT,
        name=name,
        group_id=GroupId(group),
        state=State.ACTIVE,
        created_at=now,
        created_by=SOMEBODY,
        updated_at=now,
    )
    secret = replace(secret, **changes)
    server.container.store.storage.write(lambda unit: unit.secrets.add(secret))
    return secret


def put_order(server: InProcess, secret: Secret, *, order: dict[str, Any] | None = None, **changes: Any) -> Job:
    now = server.clock.now()
    job = new_job(ORDER, dedupe_key=new_uuid(), now=now, secret_id=secret.id, group_id=secret.group_id)
    job = replace(job, **changes)
    names = (f"{secret.name}.example.com",)
    made = Order(
        id=job.id,
        secret_id=secret.id,
        trigger=OrderTrigger.CREATE,
        by=SOMEBODY,
        names=names,
        names_key=names[0],
        ca="le",
        dns="zone",
        key_algorithm="ECDSA256",
        rotate_keys=False,
        created_at=now,
        updated_at=now,
    )
    made = replace(made, **(order or {}))

    def write(unit: Any) -> None:
        unit.jobs.enqueue(job)
        unit.orders.add(made)

    server.container.store.storage.write(write)
    return job


def group_of(server: InProcess, name: str = "mine") -> str:
    return str(server.request("POST", "/api/v2/secret_groups", {"name": name}).json["id"])


def challenge(server: InProcess, **changes: Any) -> OrderChallenge:
    report = ServerReport(
        name="ns1.example.com",
        address="192.0.2.1",
        seen=False,
        soa_serial=7,
        checked_at=server.clock.now(),
        found=("old",),
    )
    silent = ServerReport(
        name="ns2.example.com",
        address="192.0.2.2",
        seen=False,
        soa_serial=None,
        checked_at=server.clock.now(),
        problem="It does not answer.",
    )
    fields: dict[str, Any] = {
        "domain": "shop.example.com",
        "is_wildcard": False,
        "authorization_url": "https://acme.example.com/authz/1",
        "challenge_url": "https://acme.example.com/chall/1",
        "txt_name": "_acme-challenge.shop.example.com",
        "txt_value": "value",
        "target": "shop.delegated.example.com",
        "status": AcmeStatus.PENDING,
        "servers": (report, silent),
    }
    return OrderChallenge(**(fields | changes))


# --- orders


def test_order_shows_what_it_waits_for_and_what_name_servers_say(server: InProcess) -> None:
    secret = put_secret(server, "shop", state=State.PRE_ACTIVATION)
    now = server.clock.now()
    wildcard = challenge(server, is_wildcard=True, target=None, servers=())
    job = put_order(
        server,
        secret,
        order={"deadline_at": now + timedelta(minutes=35), "challenges": (challenge(server), wildcard)},
        state=JobState.WAITING,
        step="propagate",
        waiting_for="the name servers",
        attempts=1,
        last_error=JobError(code="dns_not_seen", message="One server does not have it yet."),
    )
    at = format_rfc3339(now)
    assert server.request("GET", f"{ORDERS}/{job.id}").json == {
        "id": job.id,
        "kind": "public_cert.order",
        "state": "waiting",
        "step": "propagate",
        "secret_id": secret.id,
        "secret_name": "shop",
        "secret_group_id": "default",
        "attempts": 1,
        "waiting_for": "the name servers",
        "last_error": {"code": "dns_not_seen", "message": "One server does not have it yet."},
        "next_try_at": at,
        "created_at": at,
        "updated_at": at,
        "domains": ["shop.example.com"],
        "ca": "le",
        "dns": "zone",
        "trigger": "create",
        "deadline_at": format_rfc3339(now + timedelta(minutes=35)),
        "propagation": [
            {
                "domain": "shop.example.com",
                "record_name": "_acme-challenge.shop.example.com",
                "target": "shop.delegated.example.com",
                "servers": [
                    {
                        "name": "ns1.example.com",
                        "address": "192.0.2.1",
                        "seen": False,
                        "soa_serial": 7,
                        "checked_at": at,
                        "found": ["old"],
                    },
                    {
                        "name": "ns2.example.com",
                        "address": "192.0.2.2",
                        "seen": False,
                        "checked_at": at,
                        "problem": "It does not answer.",
                    },
                ],
            },
            {"domain": "*.shop.example.com", "record_name": "_acme-challenge.shop.example.com", "servers": []},
        ],
    }


def test_orders_are_listed_newest_first_in_the_paging_frame(server: InProcess) -> None:
    jobs = [put_order(server, put_secret(server, f"shop-{i}")) for i in range(3)]
    page = server.request("GET", f"{ORDERS}?limit=2").json
    assert [order["id"] for order in page["orders"]] == [jobs[2].id, jobs[1].id]
    assert [order["secret_name"] for order in page["orders"]] == ["shop-2", "shop-1"]
    assert (page["total_count"], page["limit"], page["offset"]) == (3, 2, 0)
    assert page["next"]["href"].endswith("limit=2&offset=2")


def test_orders_are_filtered_by_state_secret_and_group(server: InProcess) -> None:
    group = group_of(server)
    shop = put_secret(server, "shop", group=group)
    failed = put_order(server, shop, state=JobState.FAILED)
    put_order(server, put_secret(server, "mail"))

    def ids(query: str) -> list[str]:
        return [order["id"] for order in server.request("GET", f"{ORDERS}?{query}").json["orders"]]

    assert ids("state=failed") == ids(f"secret_id={shop.id}") == ids(f"groups={group}") == [failed.id]
    assert ids(f"secret_id={new_uuid()}") == ids(f"groups={new_uuid()}") == []
    assert len(ids(f"groups={group},default")) == 2


def test_other_jobs_are_no_orders(server: InProcess) -> None:
    job = new_job("secret.rotate", dedupe_key="one", now=server.clock.now(), secret_id=SecretId(new_uuid()))
    server.container.store.storage.write(lambda unit: unit.jobs.enqueue(replace(job, group_id=GroupId("default"))))
    assert server.request("GET", ORDERS).json["orders"] == []
    assert server.request("GET", f"{ORDERS}/{job.id}").status == 404


def test_order_outlives_its_secret(server: InProcess) -> None:
    secret = put_secret(server, "shop")
    job = put_order(server, secret)
    server.container.store.storage.write(lambda unit: unit.secrets.remove(secret.id))
    shown = server.request("GET", f"{ORDERS}/{job.id}").json
    assert (shown["secret_id"], shown["domains"]) == (secret.id, ["shop.example.com"])
    assert "secret_name" not in shown
    assert "secret_name" not in server.request("GET", ORDERS).json["orders"][0]


@pytest.mark.parametrize("query", ["state=asleep", "limit=0", "limit=1001", "offset=-1", "groups=,"])
def test_wrong_parameter_of_orders_is_400(server: InProcess, query: str) -> None:
    assert server.request("GET", f"{ORDERS}?{query}").status == 400


@pytest.mark.parametrize("order_id", [UNKNOWN, "nonsense"])
def test_unknown_order_is_404(server: InProcess, order_id: str) -> None:
    assert server.request("GET", f"{ORDERS}/{order_id}").status == 404


def test_reader_of_a_group_sees_its_orders_only(server: InProcess) -> None:
    group = group_of(server)
    mine, other = (put_order(server, put_secret(server, f"in-{g}", group=g)) for g in (group, "default"))
    reader = server.login_with(Role.READER, group=group)
    assert [one["id"] for one in server.request("GET", ORDERS, token=reader).json["orders"]] == [mine.id]
    assert server.request("GET", f"{ORDERS}?groups=default", token=reader).json["total_count"] == 0
    assert server.request("GET", f"{ORDERS}/{mine.id}", token=reader).status == 200
    assert server.request("GET", f"{ORDERS}/{other.id}", token=reader).status == 403


@pytest.mark.parametrize("path", [ORDERS, f"{ORDERS}/{UNKNOWN}", RENEWALS])
def test_nobody_and_operators_see_neither_orders_nor_renewals(server: InProcess, path: str) -> None:
    assert server.request("GET", path, token=None).status == 401
    assert server.request("GET", path, token=server.login_with()).status == 403
    assert server.request("GET", path, token=server.login_with(Role.OPERATOR)).status == 403


# --- renewals


def renewals(server: InProcess, query: str = "", **more: Any) -> list[dict[str, Any]]:
    answer = server.request("GET", f"{RENEWALS}?{query}", **more)
    assert answer.status == 200, answer.raw
    return list(answer.json["renewals"])


def test_renewals_come_soonest_first_with_what_says_when(server: InProcess) -> None:
    now = server.clock.now()
    version_id = VersionId(new_uuid())
    later = put_secret(server, "by-life", next_rotation_at=now + timedelta(days=3), expires_at=now + timedelta(days=30))
    asked = put_secret(server, "by-ari", next_rotation_at=now + timedelta(days=2), current_version_id=version_id)
    by_policy = put_secret(
        server,
        "by-policy",
        secret_type=SecretType.USERNAME_PASSWORD,
        next_rotation_at=now + timedelta(days=1),
    )
    put_secret(server, "never")
    check = RenewalCheck(secret_id=asked.id, version_id=version_id, check_at=now, renew_at=now + timedelta(days=2))
    server.container.store.storage.write(lambda unit: unit.orders.put_renewal_check(check))

    page = server.request("GET", RENEWALS).json

    assert [(one["secret_name"], one["trigger"]) for one in page["renewals"]] == [
        ("by-policy", "policy"),
        ("by-ari", "ari"),
        ("by-life", "life"),
    ]
    assert page["total_count"] == 3
    assert page["renewals"][0]["secret_id"] == by_policy.id
    assert page["renewals"][2] == {
        "secret_id": later.id,
        "secret_name": "by-life",
        "secret_type": "public_cert",
        "secret_group_id": "default",
        "expires_at": format_rfc3339(now + timedelta(days=30)),
        "renew_at": format_rfc3339(now + timedelta(days=3)),
        "trigger": "life",
        "blocked_by": [],
    }


def test_answer_of_the_ca_about_an_older_certificate_does_not_count(server: InProcess) -> None:
    now = server.clock.now()
    secret = put_secret(server, "shop", next_rotation_at=now, current_version_id=VersionId(new_uuid()))
    check = RenewalCheck(secret_id=secret.id, version_id=VersionId(new_uuid()), check_at=now, renew_at=now)
    server.container.store.storage.write(lambda unit: unit.orders.put_renewal_check(check))
    assert [one["trigger"] for one in renewals(server)] == ["life"]


def test_renewal_that_the_ca_asked_for_says_where_it_is_explained(server: InProcess) -> None:
    now = server.clock.now()
    current, page = VersionId(new_uuid()), "https://ca.example.com/incident"
    secret = put_secret(server, "shop", next_rotation_at=now, current_version_id=current)
    check = RenewalCheck(secret_id=secret.id, version_id=current, check_at=now, renew_at=now, explanation_url=page)
    server.container.store.storage.write(lambda unit: unit.orders.put_renewal_check(check))
    assert [(one["trigger"], one["explanation_url"]) for one in renewals(server)] == [("ari", page)]


def test_renewals_until_an_instant_and_of_a_group(server: InProcess) -> None:
    now = server.clock.now()
    group = group_of(server)
    put_secret(server, "soon", next_rotation_at=now + timedelta(days=1))
    put_secret(server, "late", next_rotation_at=now + timedelta(days=9), group=group)
    before = format_rfc3339(now + timedelta(days=2))
    assert [one["secret_name"] for one in renewals(server, f"before={before}")] == ["soon"]
    assert [one["secret_name"] for one in renewals(server, f"groups={group}")] == ["late"]
    assert [one["secret_name"] for one in renewals(server, "limit=1&offset=1")] == ["late"]


@pytest.mark.parametrize("query", ["before=soon", "limit=0", "groups=,", "offset=-1"])
def test_wrong_parameter_of_renewals_is_400(server: InProcess, query: str) -> None:
    assert server.request("GET", f"{RENEWALS}?{query}").status == 400


def test_reader_of_a_group_sees_its_renewals_only(server: InProcess) -> None:
    now = server.clock.now()
    group = group_of(server)
    put_secret(server, "mine", next_rotation_at=now, group=group)
    put_secret(server, "other", next_rotation_at=now)
    reader = server.login_with(Role.READER, group=group)
    assert [one["secret_name"] for one in renewals(server, token=reader)] == ["mine"]
    assert renewals(server, "groups=default", token=reader) == []


def test_failed_renewal_says_why(server: InProcess) -> None:
    now = server.clock.now()
    secret = put_secret(server, "shop", next_rotation_at=now + timedelta(days=1), rotation_status="failed")
    error = JobError(code="caa_forbids", message="CAA forbids it.", reference_code="SM1")
    put_order(server, secret, state=JobState.FAILED, last_error=error)
    assert renewals(server)[0]["last_error"] == {
        "code": "caa_forbids",
        "message": "CAA forbids it.",
        "reference_code": "SM1",
    }


def test_locks_on_the_previous_version_stand_against_a_renewal(server: InProcess) -> None:
    now = server.clock.now()
    secret = put_secret(server, "shop")
    versions = [
        Version(id=VersionId(new_uuid()), secret_id=secret.id, number=number, created_at=now, created_by=SOMEBODY)
        for number in (1, 2)
    ]
    locks = [
        Lock(
            name=name,
            created_at=now,
            updated_at=now,
            created_by=SOMEBODY,
            secret_id=secret.id,
            version_id=version.id,
            group_id=secret.group_id,
            alias=alias,
        )
        for name, version, alias in (
            ("balancer", versions[0], VersionAlias.PREVIOUS),
            ("proxy", versions[1], VersionAlias.CURRENT),
        )
    ]

    def write(unit: Any) -> None:
        for version in versions:
            unit.versions.add(version, b"sealed")
        unit.secrets.save(
            replace(
                secret,
                next_rotation_at=now,
                previous_version_id=versions[0].id,
                current_version_id=versions[1].id,
                locks_total=2,
            )
        )
        for lock in locks:
            unit.locks.put(lock)

    server.container.store.storage.write(write)
    assert renewals(server)[0]["blocked_by"] == ["balancer"]
