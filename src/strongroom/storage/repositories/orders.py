"""Orders of public certificates, uses of CAs, renewal checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from strongroom.domain.orders.acme import AcmeStatus
from strongroom.domain.orders.dns import ServerReport, TxtRecord
from strongroom.domain.orders.model import (
    CaUse,
    Order,
    OrderChallenge,
    OrderRecord,
    OrderState,
    OrderTrigger,
    RecordState,
    RenewalCheck,
)
from strongroom.kernel.errors import Conflict, ErrorCode, NotFound
from strongroom.kernel.ids import ConfigurationId, IamId, JobId, SecretId, VersionId
from strongroom.kernel.time import from_microseconds, to_microseconds
from strongroom.storage.engine import Connection, Row
from strongroom.storage.pending import Pending
from strongroom.storage.repositories import order_statements as statements
from strongroom.storage.repositories.rows import instant_of, micros_of, object_of, text_of
from strongroom.storage.statements import bucket, spread


class SqlOrders:
    """Implements `strongroom.domain.orders.repository.OrderRepository`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection, pending: Pending) -> None:
        self._connection = connection

    def find(self, order_id: JobId) -> Order | None:
        """Return the order of this id."""
        row = self._connection.row(statements.FIND, id=order_id)
        return None if row is None else _order(row)

    def find_for_update(self, order_id: JobId) -> Order | None:
        """Read it so that no other unit changes it before this one commits."""
        row = self._connection.row(statements.FIND_FOR_UPDATE, id=order_id)
        return None if row is None else _order(row)

    def find_many(self, order_ids: Sequence[JobId]) -> Mapping[JobId, Order]:
        """Return those of these ids that are there."""
        if not order_ids:
            return {}
        rows = self._connection.rows(statements.find_many(bucket(len(order_ids))), **spread("id", order_ids))
        return {order.id: order for order in map(_order, rows)}

    def open_of_secret(self, secret_id: SecretId) -> Order | None:
        """Return the order of a secret that is worked on; there is one at most."""
        row = self._connection.row(statements.OPEN_OF_SECRET, secret_id=secret_id)
        return None if row is None else _order(row)

    def last_of_secret(self, secret_id: SecretId) -> Order | None:
        """Return the newest order of a secret, whatever became of it."""
        row = self._connection.row(statements.LAST_OF_SECRET, secret_id=secret_id)
        return None if row is None else _order(row)

    def open_total(self) -> int:
        """Return how many orders are worked on."""
        row = self._connection.row(statements.OPEN_TOTAL)
        return int(row[0]) if row else 0

    def add(self, order: Order) -> None:
        """Store a new order.

        Raises:
            Conflict: ``already_exists`` if an open order is for the same names, or for the same secret.
        """
        added = self._connection.run(
            statements.ADD,
            id=order.id,
            secret_id=order.secret_id,
            created_at=to_microseconds(order.created_at),
            row_version=order.row_version,
            **_changing(order),
        )
        if added:
            return
        if self._connection.row(statements.OPEN_OF_SECRET, secret_id=order.secret_id) is not None:
            message = "A certificate is being ordered for this secret already; wait until that order has ended."
        elif self._connection.row(statements.OPEN_OF_NAMES, names_key=order.names_key) is not None:
            message = (
                f"A certificate for the same names ({_shown(order.names)}) is being ordered already; "
                "wait until that order has ended."
            )
        else:
            message = f"There is an order {order.id} already."
        raise Conflict(ErrorCode.ALREADY_EXISTS, message)

    def save(self, order: Order) -> Order:
        """Store a changed order; return it with its new ``row_version``.

        Raises:
            Conflict: ``stale_version`` if it was changed since it was read; ``already_exists`` if it would be open
                again beside another of the same names or secret.
            NotFound: it is not there any more.
        """
        row = self._connection.row(statements.SAVE, order_id=order.id, expected=order.row_version, **_changing(order))
        if row is not None:
            return replace(order, row_version=row[0])
        if self.find(order.id) is None:
            raise NotFound(ErrorCode.NOT_FOUND, f"There is no order {order.id}.")
        raise Conflict(ErrorCode.STALE_VERSION, f"The order {order.id} was changed since it was read.")

    def forsaken(self, limit: int) -> Sequence[JobId]:
        """Return open orders whose job has ended or is gone, or whose secret is gone; oldest first."""
        return [JobId(row[0]) for row in self._connection.rows(statements.FORSAKEN, limit=limit)]

    def with_records(self, limit: int) -> Sequence[JobId]:
        """Return ended orders that may have left TXT records behind; oldest first."""
        return [JobId(row[0]) for row in self._connection.rows(statements.WITH_RECORDS, limit=limit)]

    def purge(self, before: datetime, limit: int) -> int:
        """Forget orders that ended before then and left nothing behind, oldest first; return how many."""
        return self._connection.run(statements.PURGE, before=to_microseconds(before), limit=limit)

    def note_use(self, use: CaUse) -> None:
        """Store that a CA was used; two uses of one instant count twice."""
        self._connection.run(
            statements.NOTE_USE, ca_key=use.ca_key, kind=use.kind, subject=use.subject, at=to_microseconds(use.at)
        )

    def uses(self, ca_key: str, kind: str, subject: str, since: datetime) -> Sequence[datetime]:
        """Return when a CA was used so at that instant and since, oldest first."""
        rows = self._connection.rows(
            statements.USES, ca_key=ca_key, kind=kind, subject=subject, since=to_microseconds(since)
        )
        return [from_microseconds(row[0]) for row in rows]

    def purge_uses(self, before: datetime, limit: int) -> int:
        """Forget uses before then, oldest first; return how many."""
        return self._connection.run(statements.PURGE_USES, before=to_microseconds(before), limit=limit)

    def put_renewal_check(self, check: RenewalCheck) -> None:
        """Store it in place of the secret's last one; nothing is stored for a secret that is gone."""
        self._connection.run(
            statements.PUT_CHECK,
            secret_id=check.secret_id,
            version_id=check.version_id,
            check_at=to_microseconds(check.check_at),
            window_start=micros_of(check.window_start),
            window_end=micros_of(check.window_end),
            explanation_url=check.explanation_url,
            renew_at=micros_of(check.renew_at),
            failures=check.failures,
        )

    def find_renewal_check(self, secret_id: SecretId) -> RenewalCheck | None:
        """Return what is known of the secret's renewal."""
        row = self._connection.row(statements.FIND_CHECK, secret_id=secret_id)
        return None if row is None else _check(row)

    def remove_renewal_check(self, secret_id: SecretId) -> None:
        """Forget it, if it is there."""
        self._connection.run(statements.REMOVE_CHECK, secret_id=secret_id)

    def renewal_checks_due(self, now: datetime, limit: int) -> Sequence[RenewalCheck]:
        """Return those to be asked again, longest due first."""
        rows = self._connection.rows(statements.CHECKS_DUE, now=to_microseconds(now), limit=limit)
        return [_check(row) for row in rows]


def _shown(names: Sequence[str]) -> str:
    first = ", ".join(names[:3])
    return f"{first} and {len(names) - 3} more" if len(names) > 3 else first


def _changing(order: Order) -> dict[str, Any]:
    return {
        "state": order.state.value,
        "names_key": order.names_key,
        "has_records": order.has_records,
        "updated_at": to_microseconds(order.updated_at),
        "document": text_of(_document(order)),
        "sealed_key": order.sealed_key,
    }


# What no statement looks at. Members may be added with a default: stored orders do not have them.
def _document(order: Order) -> dict[str, Any]:
    return {
        "trigger": order.trigger.value,
        "by": order.by,
        "names": list(order.names),
        "ca": order.ca,
        "cas_given_up": list(order.cas_given_up),
        "attempts": order.attempts,
        "dns": order.dns,
        "key_algorithm": order.key_algorithm,
        "rotate_keys": order.rotate_keys,
        "version_custom_metadata": None
        if order.version_custom_metadata is None
        else dict(order.version_custom_metadata),
        "deadline_at": micros_of(order.deadline_at),
        "url": order.url,
        "finalize_url": order.finalize_url,
        "replaces": order.replaces,
        "challenges": [_challenge_document(challenge) for challenge in order.challenges],
        "records": [_record_document(record) for record in order.records],
        "version_id": order.version_id,
        "problem": None if order.problem is None else dict(order.problem),
        "validated_at": micros_of(order.validated_at),
    }


def _challenge_document(challenge: OrderChallenge) -> dict[str, Any]:
    return {
        "domain": challenge.domain,
        "is_wildcard": challenge.is_wildcard,
        "authorization_url": challenge.authorization_url,
        "challenge_url": challenge.challenge_url,
        "txt_name": challenge.txt_name,
        "txt_value": challenge.txt_value,
        "target": challenge.target,
        "status": challenge.status.value,
        "expires": micros_of(challenge.expires),
        "servers": [
            {
                "name": server.name,
                "address": server.address,
                "seen": server.seen,
                "soa_serial": server.soa_serial,
                "checked_at": to_microseconds(server.checked_at),
                "found": list(server.found),
                "problem": server.problem,
            }
            for server in challenge.servers
        ],
    }


def _record_document(record: OrderRecord) -> dict[str, Any]:
    return {
        "name": record.record.name,
        "value": record.record.value,
        "state": record.state.value,
        "handle": record.handle,
        "configuration_id": record.configuration_id,
    }


def _order(row: Row) -> Order:
    id_, secret_id, state, names_key, created_at, updated_at, row_version, document, sealed_key = row
    stored = object_of(document)
    version_id = stored["version_id"]
    return Order(
        id=JobId(id_),
        secret_id=SecretId(secret_id),
        state=OrderState(state),
        trigger=OrderTrigger(stored["trigger"]),
        by=IamId(stored["by"]),
        names=tuple(stored["names"]),
        names_key=names_key,
        ca=stored["ca"],
        cas_given_up=tuple(stored["cas_given_up"]),
        attempts=stored["attempts"],
        dns=stored["dns"],
        key_algorithm=stored["key_algorithm"],
        rotate_keys=stored["rotate_keys"],
        version_custom_metadata=stored["version_custom_metadata"],
        deadline_at=instant_of(stored["deadline_at"]),
        url=stored["url"],
        finalize_url=stored["finalize_url"],
        replaces=stored["replaces"],
        challenges=tuple(_challenge(challenge) for challenge in stored["challenges"]),
        records=tuple(_record(record) for record in stored["records"]),
        sealed_key=sealed_key,
        version_id=None if version_id is None else VersionId(version_id),
        problem=stored["problem"],
        validated_at=instant_of(stored["validated_at"]),
        created_at=from_microseconds(created_at),
        updated_at=from_microseconds(updated_at),
        row_version=row_version,
    )


def _challenge(stored: Mapping[str, Any]) -> OrderChallenge:
    return OrderChallenge(
        domain=stored["domain"],
        is_wildcard=stored["is_wildcard"],
        authorization_url=stored["authorization_url"],
        challenge_url=stored["challenge_url"],
        txt_name=stored["txt_name"],
        txt_value=stored["txt_value"],
        target=stored["target"],
        status=AcmeStatus(stored["status"]),
        expires=instant_of(stored["expires"]),
        servers=tuple(
            ServerReport(
                name=server["name"],
                address=server["address"],
                seen=server["seen"],
                soa_serial=server["soa_serial"],
                checked_at=from_microseconds(server["checked_at"]),
                found=tuple(server["found"]),
                problem=server["problem"],
            )
            for server in stored["servers"]
        ),
    )


def _record(stored: Mapping[str, Any]) -> OrderRecord:
    return OrderRecord(
        record=TxtRecord(name=stored["name"], value=stored["value"]),
        state=RecordState(stored["state"]),
        handle=stored["handle"],
        configuration_id=ConfigurationId(stored["configuration_id"]),
    )


def _check(row: Row) -> RenewalCheck:
    return RenewalCheck(
        secret_id=SecretId(row[0]),
        version_id=VersionId(row[1]),
        check_at=from_microseconds(row[2]),
        window_start=instant_of(row[3]),
        window_end=instant_of(row[4]),
        explanation_url=row[5],
        renew_at=instant_of(row[6]),
        failures=row[7],
    )
