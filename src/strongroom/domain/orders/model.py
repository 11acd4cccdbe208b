"""Orders of public certificates as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Any

from strongroom.domain.orders.acme import AcmeStatus
from strongroom.domain.orders.dns import ServerReport, TxtRecord
from strongroom.kernel.ids import ConfigurationId, IamId, JobId, SecretId, VersionId
from strongroom.kernel.value import value

MANUAL = "manual"
"""The reserved word in place of a DNS configuration: people write the records. Source: contract domain section 4.3."""


class OrderTrigger(StrEnum):
    """Why a certificate was ordered."""

    CREATE = "create"
    MANUAL = "manual"
    AUTO = "auto"


class OrderState(StrEnum):
    """Whether an order is still worked on; the job of the same id says how."""

    OPEN = "open"
    ISSUED = "issued"
    FAILED = "failed"
    CANCELLED = "cancelled"


class OrderStep(StrEnum):
    """What an order does next."""

    START = "start"
    PLACE = "place"
    READ_CHALLENGES = "read_challenges"
    PLAN_RECORDS = "plan_records"
    WRITE_RECORDS = "write_records"
    AWAIT_PERSON = "await_person"
    PROPAGATE = "propagate"
    ANSWER = "answer"
    VALIDATE = "validate"
    MAKE_KEY = "make_key"
    FINALIZE = "finalize"
    DOWNLOAD = "download"


class RecordState(StrEnum):
    """Life of a TXT record: it is recorded before it is written.

    A lost one may still be there: nobody can remove it any more, because its DNS configuration is gone or refuses.
    """

    PLANNED = "planned"
    WRITTEN = "written"
    REMOVED = "removed"
    LOST = "lost"


@value
class OrderRecord:
    """A TXT record of an order.

    Attributes:
        record: where delegations lead.
        handle: what the provider calls it.
        configuration_id: of the DNS configuration that it is written with.
    """

    record: TxtRecord
    state: RecordState
    handle: str | None
    configuration_id: ConfigurationId


@value
class OrderChallenge:
    """What proves one name of an order.

    Attributes:
        domain: without ``*.``.
        txt_name: ``_acme-challenge.<domain>``, delegations not followed.
        target: where they lead.
        servers: what the authoritative servers said last.
    """

    domain: str
    is_wildcard: bool
    authorization_url: str
    challenge_url: str
    txt_name: str
    txt_value: str
    target: str | None = None
    status: AcmeStatus
    expires: datetime | None = None
    servers: tuple[ServerReport, ...] = ()


@value
class Order:
    """One order of one certificate, under the id of its job.

    Attributes:
        names: common name first if there is one; no name twice.
        names_key: says which names, whatever their order; one open order has it.
        ca: name of the CA configuration that the order is with just now (the fallback's after a failover).
        cas_given_up: names of those it was with before.
        attempts: how often it was placed with that CA because validation failed.
        dns: name of the DNS configuration, or ``manual``.
        by: who asked; the version is made in their name.
        deadline_at: when a first order or an attempt is given up.
        url: of the order at the CA, once placed.
        finalize_url: of the order at the CA.
        sealed_key: private key of the certificate, sealed with the order's id, once made.
        version_id: what it led to.
        replaces: identifier of the certificate that it renews (RFC 9773), where the CA offers that.
        problem: the code and the message it failed with, as the secret shows them.
        validated_at: when a person said that the manual records are there.
        row_version: optimistic lock; grows with every save.
    """

    id: JobId
    secret_id: SecretId
    state: OrderState = OrderState.OPEN
    trigger: OrderTrigger
    by: IamId
    names: tuple[str, ...]
    names_key: str
    ca: str
    cas_given_up: tuple[str, ...] = ()
    attempts: int = 1
    dns: str
    key_algorithm: str
    rotate_keys: bool
    version_custom_metadata: Mapping[str, Any] | None = None
    deadline_at: datetime | None = None
    url: str | None = None
    finalize_url: str | None = None
    replaces: str | None = None
    challenges: tuple[OrderChallenge, ...] = ()
    records: tuple[OrderRecord, ...] = ()
    sealed_key: bytes | None = field(default=None, repr=False)
    version_id: VersionId | None = None
    problem: Mapping[str, Any] | None = None
    validated_at: datetime | None = None
    created_at: datetime
    updated_at: datetime
    row_version: int = 0

    @property
    def has_records(self) -> bool:
        """Tell whether a TXT record may be left in somebody's zone."""
        return any(item.state in {RecordState.PLANNED, RecordState.WRITTEN} for item in self.records)


@value
class CaUse:
    """One use of a CA that counts against its limits.

    Attributes:
        ca_key: which CA, or which account of it: the limits are theirs.
        kind: of `strongroom.domain.orders.ledger.UseKind`, with what it is about as subject: a registered domain, the
            key of a set of names, a name, or nothing where it is the account.
        at: when; of a hold, its end; of a claim, an instant that tells its order.
    """

    ca_key: str
    kind: str
    subject: str
    at: datetime


@value
class RenewalCheck:
    """When to ask a CA again when to renew a certificate, and what it said last. Source: RFC 9773.

    Attributes:
        version_id: of the certificate.
        renew_at: instant chosen within the CA's window; ``None`` before it said anything.
        failures: questions in a row that were not answered.
    """

    secret_id: SecretId
    version_id: VersionId
    check_at: datetime
    window_start: datetime | None = None
    window_end: datetime | None = None
    explanation_url: str | None = None
    renew_at: datetime | None = None
    failures: int = 0
