"""Authorities of private CAs: their certificates and keys, what they issued and revoked."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from strongroom.domain.authorities.model import Authority, AuthorityId, Crl, Issued, IssuedKind, OcspSigner
from strongroom.kernel.errors import Conflict, ErrorCode, NotFound
from strongroom.kernel.ids import ConfigurationId, SecretId
from strongroom.kernel.time import from_microseconds, to_microseconds
from strongroom.storage.engine import Connection, Row
from strongroom.storage.pending import Pending
from strongroom.storage.repositories import authority_statements as statements
from strongroom.storage.repositories.rows import array_of, instant_of, micros_of, object_or_none, text_of, text_or_none


class SqlAuthorities:
    """Implements `strongroom.domain.ports.AuthorityRepository`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection, pending: Pending) -> None:
        self._connection = connection

    def find(self, authority_id: AuthorityId) -> Authority | None:
        """Return the authority."""
        row = self._connection.row(statements.FIND, authority_id=authority_id)
        return None if row is None else _authority(row)

    def find_for_update(self, authority_id: AuthorityId) -> Authority | None:
        """Read it so that no other unit changes it before this one commits."""
        row = self._connection.row(statements.FIND_FOR_UPDATE, authority_id=authority_id)
        return None if row is None else _authority(row)

    def generations(self, configuration_id: ConfigurationId) -> Sequence[Authority]:
        """Return all of a configuration, newest first."""
        rows = self._connection.rows(statements.GENERATIONS, configuration_id=configuration_id)
        return [_authority(row) for row in rows]

    def current(self) -> Sequence[Authority]:
        """Return the newest of every configuration, oldest configuration first."""
        return [_authority(row) for row in self._connection.rows(statements.CURRENT)]

    def add(self, authority: Authority) -> None:
        """Store a new authority.

        Raises:
            Conflict: ``stale_version`` if the configuration has this generation already.
            NotFound: there is no such configuration.
        """
        added = self._connection.run(
            statements.ADD,
            configuration_id=authority.configuration_id,
            id=authority.id,
            generation=authority.generation,
            external_key=text_or_none(authority.external_key),
            key_id=authority.key_id,
            created_at=to_microseconds(authority.created_at),
            crl_number=authority.crl_number,
            crl_wanted=authority.crl_wanted,
            sealed_key=authority.sealed_key,
            **_saved(authority),
        )
        if added:
            return
        if not self.generations(authority.configuration_id):
            raise NotFound(ErrorCode.NOT_FOUND, f"There is no configuration {authority.configuration_id}.")
        raise Conflict(
            ErrorCode.STALE_VERSION,
            f"The configuration {authority.configuration_id} got another key in the meantime; read it and try again.",
        )

    def save(self, authority: Authority) -> None:
        """Store certificate, chain, CSR, serial, issuer, life and revocation; never the CRL's counters.

        Raises:
            NotFound: it is not there any more.
        """
        if not self._connection.run(statements.SAVE, authority_id=authority.id, **_saved(authority)):
            raise _missing(authority.id)

    def add_issued(self, issued: Issued) -> None:
        """Record a certificate.

        Raises:
            Conflict: ``already_exists`` if its configuration used the serial number before.
            NotFound: the configuration has no such authority, or there is no such secret.
        """
        row = self._connection.row(
            statements.ADD_ISSUED,
            configuration_id=issued.configuration_id,
            authority_id=issued.authority_id,
            serial=issued.serial,
            kind=issued.kind.value,
            secret_id=issued.secret_id,
            version_id=issued.version_id,
            template_id=issued.template_id,
            child_id=issued.child_id,
            issued_at=to_microseconds(issued.issued_at),
            not_after=to_microseconds(issued.not_after),
            revoked_at=micros_of(issued.revoked_at),
        )
        if row is not None:
            if row[0] is None and issued.secret_id is not None:
                raise NotFound(ErrorCode.NOT_FOUND, f"There is no secret {issued.secret_id}.")
            return
        authority = self.find(issued.authority_id)
        if authority is None or authority.configuration_id != issued.configuration_id:
            raise _missing(issued.authority_id)
        raise Conflict(ErrorCode.ALREADY_EXISTS, f"The serial number {issued.serial} was used before.")

    def find_issued(self, configuration_id: ConfigurationId, serial: str) -> Issued | None:
        """Return the certificate of this serial number."""
        row = self._connection.row(statements.FIND_ISSUED, configuration_id=configuration_id, serial=serial)
        return None if row is None else _issued(row, configuration_id, serial)

    def has_issued(self, authority_id: AuthorityId, kind: str) -> bool:
        """Tell whether the authority signed an unexpired or expired certificate of this kind."""
        return self._connection.row(statements.HAS_ISSUED, authority_id=authority_id, kind=str(kind)) is not None

    def serials_of_child(self, issuer: AuthorityId, child: AuthorityId) -> Sequence[str]:
        """Return the serial numbers of all certificates that an authority signed for one below it."""
        values = {"authority_id": issuer, "kind": IssuedKind.CA.value, "child_id": child}
        return [row[0] for row in self._connection.rows(statements.SERIALS_OF_CHILD, **values)]

    def template_users(self, template_id: ConfigurationId, limit: int) -> Sequence[str]:
        """Return names of secrets, not destroyed, that have a certificate of the template, oldest first."""
        rows = self._connection.rows(statements.TEMPLATE_USERS, template_id=template_id, limit=limit)
        return [row[0] for row in rows]

    def revoke(self, configuration_id: ConfigurationId, serial: str, at: datetime, entry: bytes) -> bool:
        """Mark a certificate revoked, and its authority's CRL as out of date.

        Returns:
            Whether this call revoked it; ``False`` if it was already, or is unknown.
        """
        row = self._connection.row(
            statements.REVOKE,
            configuration_id=configuration_id,
            serial=serial,
            revoked_at=to_microseconds(at),
            crl_entry=entry,
        )
        if row is None:
            return False
        self._connection.run(statements.WANT_CRL_OF, authority_pk=row[0])
        return True

    def revoked_entries(self, authority_id: AuthorityId, now: datetime) -> Iterable[bytes]:
        """Yield the CRL entries of revoked certificates that have not expired, in order of revocation.

        They are read as they are asked for, so take them all before the unit ends.
        """
        found = self._connection.stream(
            statements.REVOKED_ENTRIES, size=_ENTRIES_AT_ONCE, authority_id=authority_id, now=to_microseconds(now)
        )
        return (row[0] for row in found)

    def want_crl(self, authority_id: AuthorityId) -> None:
        """Mark the CRL as out of date.

        Raises:
            NotFound: there is no such authority.
        """
        if not self._connection.run(statements.WANT_CRL, authority_id=authority_id):
            raise _missing(authority_id)

    def find_crl(self, authority_id: AuthorityId) -> Crl | None:
        """Return the newest list."""
        row = self._connection.row(statements.FIND_CRL, authority_id=authority_id)
        return None if row is None else _crl(row, authority_id)

    def put_crl(self, crl: Crl) -> bool:
        """Store a newer CRL; refuse (``False``) one whose number is not above the authority's ``crl_number``."""
        row = self._connection.row(statements.TAKE_CRL_NUMBER, authority_id=crl.authority_id, number=crl.number)
        if row is None:
            return False
        self._connection.run(
            statements.PUT_CRL,
            authority_pk=row[0],
            number=crl.number,
            covers=crl.covers,
            this_update=to_microseconds(crl.this_update),
            next_update=to_microseconds(crl.next_update),
            der=crl.der,
        )
        return True

    def crls_due(self, before: datetime, limit: int) -> Sequence[AuthorityId]:
        """Return authorities with a certificate whose CRL lapses before then, is out of date or missing.

        A list that reaches the end of its authority's life is not replaced because it lapses.
        """
        rows = self._connection.rows(statements.CRLS_DUE, before=to_microseconds(before), limit=limit)
        return [AuthorityId(row[0]) for row in rows]

    def find_ocsp_signer(self, authority_id: AuthorityId) -> OcspSigner | None:
        """Return the newest."""
        row = self._connection.row(statements.FIND_SIGNER, authority_id=authority_id)
        return None if row is None else _signer(row, authority_id)

    def put_ocsp_signer(self, signer: OcspSigner) -> None:
        """Store it in place of older ones.

        Raises:
            NotFound: there is no such authority.
        """
        stored = self._connection.run(
            statements.PUT_SIGNER,
            authority_id=signer.authority_id,
            serial=signer.serial,
            not_before=to_microseconds(signer.not_before),
            not_after=to_microseconds(signer.not_after),
            certificate=signer.certificate,
            sealed_key=signer.sealed_key,
        )
        if not stored:
            raise _missing(signer.authority_id)

    def purge_issued(self, before: datetime, limit: int) -> int:
        """Forget certificates that expired before then, oldest first; return how many.

        The current one of a secret that is not destroyed is kept: `template_users` needs it.
        """
        return self._connection.run(statements.PURGE_ISSUED, before=to_microseconds(before), limit=limit)


_ENTRIES_AT_ONCE = 2000


def _missing(authority_id: AuthorityId) -> NotFound:
    return NotFound(ErrorCode.NOT_FOUND, f"There is no authority {authority_id}.")


def _saved(authority: Authority) -> dict[str, Any]:
    return {
        "serial": authority.serial,
        "issuer": authority.issuer,
        "not_before": micros_of(authority.not_before),
        "not_after": micros_of(authority.not_after),
        "revoked_at": micros_of(authority.revoked_at),
        "certificate": authority.certificate,
        "chain": text_of([base64.b64encode(certificate).decode("ascii") for certificate in authority.chain]),
        "csr": authority.csr,
    }


def _authority(row: Row) -> Authority:
    """Read the configuration's id and `authority_statements.AUTHORITY_COLUMNS`."""
    return Authority(
        configuration_id=ConfigurationId(row[0]),
        id=AuthorityId(row[1]),
        generation=row[2],
        serial=row[3],
        issuer=row[4],
        external_key=object_or_none(row[5]),
        key_id=row[6],
        not_before=instant_of(row[7]),
        not_after=instant_of(row[8]),
        revoked_at=instant_of(row[9]),
        created_at=from_microseconds(row[10]),
        crl_number=row[11],
        crl_wanted=row[12],
        certificate=row[13],
        chain=tuple(base64.b64decode(text) for text in array_of(row[14])),
        csr=row[15],
        sealed_key=row[16],
    )


def _issued(row: Row, configuration_id: ConfigurationId, serial: str) -> Issued:
    return Issued(
        configuration_id=configuration_id,
        authority_id=AuthorityId(row[0]),
        serial=serial,
        kind=IssuedKind(row[1]),
        not_after=from_microseconds(row[2]),
        issued_at=from_microseconds(row[3]),
        secret_id=None if row[4] is None else SecretId(row[4]),
        version_id=row[5],
        template_id=row[6],
        child_id=row[7],
        revoked_at=instant_of(row[8]),
    )


def _crl(row: Row, authority_id: AuthorityId) -> Crl:
    return Crl(
        authority_id=authority_id,
        number=row[0],
        covers=row[1],
        this_update=from_microseconds(row[2]),
        next_update=from_microseconds(row[3]),
        der=row[4],
    )


def _signer(row: Row, authority_id: AuthorityId) -> OcspSigner:
    return OcspSigner(
        authority_id=authority_id,
        serial=row[0],
        not_before=from_microseconds(row[1]),
        not_after=from_microseconds(row[2]),
        certificate=row[3],
        sealed_key=row[4],
    )
