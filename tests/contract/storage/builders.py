"""Secrets, versions, locks and audit entries for the tests of the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from strongroom.domain.audit.record import AuditEntry, Initiator, Outcome, Target
from strongroom.domain.authorities.model import Authority, AuthorityId, Crl, Issued, IssuedKind, OcspSigner
from strongroom.domain.configurations.model import ConfigType, Configuration
from strongroom.domain.groups.model import SecretGroup
from strongroom.domain.jobs.model import Job, JobState
from strongroom.domain.notifications.model import (
    Delivery,
    DeliveryId,
    Destination,
    DestinationId,
    DestinationType,
    EventId,
    Registration,
)
from strongroom.domain.orders.acme import AcmeStatus
from strongroom.domain.orders.dns import ServerReport, TxtRecord
from strongroom.domain.orders.model import Order, OrderChallenge, OrderRecord, OrderTrigger, RecordState, RenewalCheck
from strongroom.domain.ports import Unit
from strongroom.domain.secrets.model import Lock, Secret, SecretType, State, Version, VersionAlias
from strongroom.kernel.ids import (
    DEFAULT_GROUP,
    AuditId,
    ConfigurationId,
    GroupId,
    IamId,
    JobId,
    SecretId,
    VersionId,
    new_uuid,
)
from strongroom.storage.store import SqlStorage

NOW = datetime(2026, 1, 15, 12, 0, 0, tzinfo=UTC)
DAY = 86_400
YEAR = 365 * DAY
SOMEBODY = IamId("IBMid-somebody")


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def make_group(id_: str = "default", **changes: Any) -> SecretGroup:
    fields: dict[str, Any] = {"name": f"group {id_}", "created_at": NOW, "created_by": SOMEBODY, "updated_at": NOW}
    return SecretGroup(id=GroupId(id_), **(fields | changes))


def make_secret(name: str = "example", **changes: Any) -> Secret:
    fields: dict[str, Any] = {
        "id": SecretId(new_uuid()),
        "secret_type": SecretType.ARBITRARY,
        "group_id": DEFAULT_GROUP,
        "state": State.ACTIVE,
        "created_at": NOW,
        "created_by": SOMEBODY,
        "updated_at": NOW,
    }
    return Secret(name=name, **(fields | changes))


def make_version(secret: Secret, number: int = 1, **changes: Any) -> Version:
    fields: dict[str, Any] = {"id": VersionId(new_uuid()), "created_at": NOW, "created_by": SOMEBODY}
    return Version(secret_id=secret.id, number=number, **(fields | changes))


def make_destination(name: str = "hook", **changes: Any) -> Destination:
    fields: dict[str, Any] = {
        "id": DestinationId(new_uuid()),
        "destination_type": DestinationType.WEBHOOK,
        "created_at": NOW,
        "created_by": SOMEBODY,
        "updated_at": NOW,
    }
    return Destination(name=name, **(fields | changes))


def make_delivery(destination: Destination, **changes: Any) -> Delivery:
    fields: dict[str, Any] = {
        "id": DeliveryId(new_uuid()),
        "event_type": "secret_created",
        "event_id": EventId(new_uuid()),
        "created_at": NOW,
        "next_try_at": NOW,
        "payload": {"secrets": []},
    }
    return Delivery(destination_id=destination.id, **(fields | changes))


def make_registration(**changes: Any) -> Registration:
    fields: dict[str, Any] = {
        "instance_crn": "crn:v1:a:b:c:d:e:f::",
        "source_name": "example",
        "source_description": "",
        "created_at": NOW,
        "created_by": SOMEBODY,
    }
    return Registration(**(fields | changes))


def make_lock(version: Version, name: str = "lock", **changes: Any) -> Lock:
    fields: dict[str, Any] = {
        "created_at": NOW,
        "updated_at": NOW,
        "created_by": SOMEBODY,
        "group_id": DEFAULT_GROUP,
        "alias": VersionAlias.CURRENT,
    }
    return Lock(name=name, secret_id=version.secret_id, version_id=version.id, **(fields | changes))


def make_entry(action: str = "secrets-manager.secret.read", **changes: Any) -> AuditEntry:
    fields: dict[str, Any] = {
        "id": AuditId(new_uuid()),
        "time": NOW,
        "initiator": Initiator(id="IBMid-somebody", name="somebody", type="user"),
        "target": Target(type="secret", id="1"),
        "outcome": Outcome.SUCCESS,
    }
    return AuditEntry(action=action, **(fields | changes))


def make_configuration(name: str = "root", **changes: Any) -> Configuration:
    fields: dict[str, Any] = {
        "id": ConfigurationId(new_uuid()),
        "config_type": ConfigType.ROOT_CA,
        "document": {},
        "created_at": NOW,
        "created_by": SOMEBODY,
        "updated_at": NOW,
    }
    return Configuration(name=name, **(fields | changes))


def make_authority(configuration: Configuration, generation: int = 1, **changes: Any) -> Authority:
    fields: dict[str, Any] = {
        "id": AuthorityId(new_uuid()),
        "certificate": b"certificate",
        "key_id": "a1",
        "not_before": NOW,
        "not_after": later(YEAR),
        "created_at": NOW,
    }
    return Authority(configuration_id=configuration.id, generation=generation, **(fields | changes))


def make_issued(authority: Authority, serial: str = "1", **changes: Any) -> Issued:
    fields: dict[str, Any] = {"kind": IssuedKind.LEAF, "issued_at": NOW, "not_after": later(YEAR)}
    return Issued(
        configuration_id=authority.configuration_id, authority_id=authority.id, serial=serial, **(fields | changes)
    )


def make_crl(authority: Authority, number: int = 1, **changes: Any) -> Crl:
    fields: dict[str, Any] = {"covers": 0, "this_update": NOW, "next_update": later(3 * DAY), "der": b"crl"}
    return Crl(authority_id=authority.id, number=number, **(fields | changes))


def make_signer(authority: Authority, **changes: Any) -> OcspSigner:
    fields: dict[str, Any] = {
        "serial": "5a",
        "certificate": b"signer",
        "sealed_key": b"sealed",
        "not_before": NOW,
        "not_after": later(3 * DAY),
    }
    return OcspSigner(authority_id=authority.id, **(fields | changes))


def make_order(secret_id: str = "s1", names: tuple[str, ...] = ("www.example.com",), **changes: Any) -> Order:  # noqa: S107 - an id
    """Make an open order; its names are told apart by all of them together."""
    fields: dict[str, Any] = {
        "id": JobId(new_uuid()),
        "trigger": OrderTrigger.CREATE,
        "by": SOMEBODY,
        "names_key": " ".join(sorted(names)),
        "ca": "ca",
        "dns": "dns",
        "key_algorithm": "ECDSA256",
        "rotate_keys": False,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Order(secret_id=SecretId(secret_id), names=names, **(fields | changes))


def make_challenge(domain: str = "example.com", **changes: Any) -> OrderChallenge:
    fields: dict[str, Any] = {
        "is_wildcard": True,
        "authorization_url": f"https://ca.example.com/authorizations/{domain}",
        "challenge_url": f"https://ca.example.com/challenges/{domain}",
        "txt_name": f"_acme-challenge.{domain}",
        "txt_value": "value",
        "target": "target.example.net",
        "status": AcmeStatus.PENDING,
        "expires": later(DAY),
        "servers": (
            ServerReport(
                name="ns1.example.net",
                address="192.0.2.1",
                seen=False,
                soa_serial=7,
                checked_at=later(0.000001),
                found=("older",),
                problem="it does not answer",
            ),
            ServerReport(name="ns2.example.net", address="2001:db8::1", seen=True, soa_serial=None, checked_at=NOW),
        ),
    }
    return OrderChallenge(domain=domain, **(fields | changes))


def make_record(state: RecordState = RecordState.WRITTEN, **changes: Any) -> OrderRecord:
    fields: dict[str, Any] = {
        "record": TxtRecord(name="_acme-challenge.example.com", value="value"),
        "handle": "r-1",
        "configuration_id": ConfigurationId("dns-1"),
    }
    return OrderRecord(state=state, **(fields | changes))


def make_order_job(order: Order, state: JobState = JobState.QUEUED) -> Job:
    return Job(
        id=order.id,
        kind="order",
        dedupe_key=order.names_key,
        state=state,
        step="start",
        secret_id=order.secret_id,
        run_at=NOW,
        created_at=NOW,
        updated_at=NOW,
    )


def make_renewal_check(secret: Secret, **changes: Any) -> RenewalCheck:
    fields: dict[str, Any] = {"version_id": VersionId("v1"), "check_at": NOW}
    return RenewalCheck(secret_id=secret.id, **(fields | changes))


def add_group(storage: SqlStorage, id_: str = "default", **changes: Any) -> SecretGroup:
    group = make_group(id_, **changes)
    storage.write(lambda unit: unit.groups.add(group))
    return group


def add_secret(storage: SqlStorage, name: str = "example", **changes: Any) -> Secret:
    secret = make_secret(name, **changes)
    storage.write(lambda unit: unit.secrets.add(secret))
    return secret


def add_secret_with_version(storage: SqlStorage, name: str = "example", **changes: Any) -> tuple[Secret, Version]:
    """Store a secret whose first version is current."""
    version_id = VersionId(new_uuid())
    secret = make_secret(name, current_version_id=version_id, versions_total=1, versions_made=1, **changes)
    version = make_version(secret, id=version_id)

    def add(unit: Unit) -> None:
        unit.secrets.add(secret)
        unit.versions.add(version, b"sealed")

    storage.write(add)
    return secret, version


def add_configuration(storage: SqlStorage, name: str = "root", **changes: Any) -> Configuration:
    configuration = make_configuration(name, **changes)
    storage.write(lambda unit: unit.configurations.add(configuration))
    return configuration


def add_authority(
    storage: SqlStorage, configuration: Configuration | None = None, generation: int = 1, **changes: Any
) -> Authority:
    """Store an authority, of a new configuration unless one is given."""
    authority = make_authority(configuration or add_configuration(storage), generation, **changes)
    storage.write(lambda unit: unit.authorities.add(authority))
    return authority


def add_issued(storage: SqlStorage, authority: Authority, serial: str = "1", **changes: Any) -> Issued:
    issued = make_issued(authority, serial, **changes)
    storage.write(lambda unit: unit.authorities.add_issued(issued))
    return issued


def add_order(storage: SqlStorage, *args: Any, **changes: Any) -> Order:
    order = make_order(*args, **changes)
    storage.write(lambda unit: unit.orders.add(order))
    return order
