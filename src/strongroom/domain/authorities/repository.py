"""What the store keeps about private CAs; part of the contract in `strongroom.domain.ports`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from strongroom.domain.authorities.model import Authority, AuthorityId, Crl, Issued, OcspSigner
from strongroom.kernel.ids import ConfigurationId


class AuthorityRepository(Protocol):
    """Certificates and keys of private CAs, what they issued and revoked."""

    def find(self, authority_id: AuthorityId) -> Authority | None: ...

    def find_for_update(self, authority_id: AuthorityId) -> Authority | None:
        """Read it so that no other unit changes it before this one commits."""
        ...

    def generations(self, configuration_id: ConfigurationId) -> Sequence[Authority]:
        """Return all of a configuration, newest first."""
        ...

    def current(self) -> Sequence[Authority]:
        """Return the newest of every configuration."""
        ...

    def add(self, authority: Authority) -> None:
        """Store a new authority.

        Raises:
            Conflict: ``stale_version`` if the configuration has this generation already.
        """
        ...

    def save(self, authority: Authority) -> None:
        """Store certificate, chain, CSR, serial, issuer, life and revocation; never the CRL's counters."""
        ...

    def add_issued(self, issued: Issued) -> None:
        """Record a certificate.

        Raises:
            Conflict: ``already_exists`` if its configuration used the serial number before.
        """
        ...

    def find_issued(self, configuration_id: ConfigurationId, serial: str) -> Issued | None: ...

    def has_issued(self, authority_id: AuthorityId, kind: str) -> bool:
        """Tell whether the authority signed an unexpired or expired certificate of this kind."""
        ...

    def serials_of_child(self, issuer: AuthorityId, child: AuthorityId) -> Sequence[str]:
        """Return the serial numbers of all certificates that an authority signed for one below it."""
        ...

    def template_users(self, template_id: ConfigurationId, limit: int) -> Sequence[str]:
        """Return names of secrets, not destroyed, that have a certificate of the template."""
        ...

    def revoke(self, configuration_id: ConfigurationId, serial: str, at: datetime, entry: bytes) -> bool:
        """Mark a certificate revoked, and its authority's CRL as out of date.

        Args:
            configuration_id: of the issuer.
            serial: of the certificate.
            at: whole seconds.
            entry: its DER entry of the CRL (RFC 5280 ``revokedCertificates`` element).

        Returns:
            Whether this call revoked it; ``False`` if it was already.
        """
        ...

    def revoked_entries(self, authority_id: AuthorityId, now: datetime) -> Iterable[bytes]:
        """Yield the CRL entries of revoked certificates that have not expired, in order of revocation."""
        ...

    def want_crl(self, authority_id: AuthorityId) -> None:
        """Mark the CRL as out of date."""
        ...

    def find_crl(self, authority_id: AuthorityId) -> Crl | None: ...

    def put_crl(self, crl: Crl) -> bool:
        """Store a newer CRL; refuse (``False``) one whose number is not above the authority's ``crl_number``."""
        ...

    def crls_due(self, before: datetime, limit: int) -> Sequence[AuthorityId]:
        """Return authorities with a certificate whose CRL lapses before then, is out of date or missing."""
        ...

    def find_ocsp_signer(self, authority_id: AuthorityId) -> OcspSigner | None:
        """Return the newest."""
        ...

    def put_ocsp_signer(self, signer: OcspSigner) -> None:
        """Store it in place of older ones."""
        ...

    def purge_issued(self, before: datetime, limit: int) -> int:
        """Forget certificates that expired before then, oldest first; return how many."""
        ...
