"""Certificate authorities of our own, as plain data.

A *configuration* is what people name: a root or intermediate CA. An *authority* is one certificate of it with its
key: there is one more after each rotation, all with the same subject. Serial numbers are unique per configuration,
because relying parties know an issuer by its name. Each authority has a certificate revocation list (CRL) of its own,
signed by its own key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType

from strongroom.kernel.ids import ConfigurationId, SecretId, VersionId
from strongroom.kernel.value import value

AuthorityId = NewType("AuthorityId", str)


class IssuedKind(StrEnum):
    """What a serial number was used for."""

    LEAF = "leaf"
    CA = "ca"
    SIGNED_CSR = "signed_csr"
    OCSP_SIGNER = "ocsp_signer"
    SELF = "self"


@value
class Authority:
    """One certificate and key of a CA configuration.

    Attributes:
        generation: 1 for the first key of the configuration.
        certificate: DER; ``None`` while an intermediate waits for its certificate.
        chain: DER of the certificates above it, nearest first, as far as they are known.
        csr: DER of the request that an intermediate was made with.
        serial: of its certificate, lower-case hex without leading zeros.
        issuer: the authority in this instance that signed it (itself for a root); ``None`` for outside ones.
        sealed_key: the private key (PKCS#8 DER), sealed; ``None`` if it lives elsewhere.
        external_key: where else it lives: ``{"label", "id", "provider": {...}}``.
        key_id: subject key identifier, hex.
        crl_number: of the newest CRL; never goes back.
        crl_wanted: how many changes the CRL must show; `Crl.covers` tells how many it does.
    """

    id: AuthorityId
    configuration_id: ConfigurationId
    generation: int
    certificate: bytes | None = None
    chain: tuple[bytes, ...] = ()
    csr: bytes | None = None
    serial: str | None = None
    issuer: AuthorityId | None = None
    sealed_key: bytes | None = field(default=None, repr=False)
    external_key: Mapping[str, Any] | None = None
    key_id: str
    not_before: datetime | None = None
    not_after: datetime | None = None
    revoked_at: datetime | None = None
    created_at: datetime
    crl_number: int = 0
    crl_wanted: int = 0


@value
class Issued:
    """One certificate that an authority signed.

    Attributes:
        serial: lower-case hex without leading zeros; unique per configuration.
        template_id: the template of a leaf.
        child_id: the authority that a CA certificate is for, if it is one of this instance.
        revoked_at: whole seconds.
    """

    configuration_id: ConfigurationId
    authority_id: AuthorityId
    serial: str
    kind: IssuedKind
    not_after: datetime
    issued_at: datetime
    secret_id: SecretId | None = None
    version_id: VersionId | None = None
    template_id: ConfigurationId | None = None
    child_id: AuthorityId | None = None
    revoked_at: datetime | None = None


@value
class Crl:
    """The newest revocation list of an authority.

    Attributes:
        der: the signed list.
        covers: the authority's ``crl_wanted`` when its entries were read.
    """

    authority_id: AuthorityId
    number: int
    covers: int
    this_update: datetime
    next_update: datetime
    der: bytes = field(repr=False)


@value
class OcspSigner:
    """A short-lived certificate that signs OCSP answers for an authority.

    Attributes:
        sealed_key: its private key (PKCS#8 DER), sealed.
    """

    authority_id: AuthorityId
    serial: str
    certificate: bytes
    sealed_key: bytes = field(repr=False)
    not_before: datetime
    not_after: datetime
