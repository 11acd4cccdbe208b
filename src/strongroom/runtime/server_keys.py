"""The server's own keys: made at first start, sealed in the store, opened at every start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from strongroom.domain.ports import Binding, StoredKey, Unit
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import ErrorCode, Integrity
from strongroom.pki.bootstrap import make_bootstrap_ca
from strongroom.pki.keys import IssuedKey, private_key_to_pem
from strongroom.pki.load import load_private_key
from strongroom.runtime.master_key import provider_of
from strongroom.runtime.settings import Settings
from strongroom.sealing.checkpoints import CheckpointSigner, generate_checkpoint_key
from strongroom.sealing.digests import PepperedDigests, new_pepper
from strongroom.sealing.keyring import KekRecord, Keyring
from strongroom.sealing.tokens import SigningKey, TokenAuthority, generate_signing_key
from strongroom.sealing.wrappers import MasterKeyProvider

KEK: Final = "kek"
_TOKEN: Final = "token"  # noqa: S105  (a kind of key, not a secret)
_PEPPER: Final = "pepper"
_AUDIT: Final = "audit"
_TLS: Final = "tls"
_CLOCK_SKEW: Final = timedelta(seconds=5)
"""How far the clocks of nodes on one database may be apart."""
_TLS_PASSWORD: Final = "tls-password"  # noqa: S105  (a kind of key, not a secret)
"""Encrypts the key files of TLS, so that no key lies on the disk in clear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerKeys:
    """The opened keys.

    Attributes:
        provider: what opened them; with a passphrase it has spent a tenth of a second on each master key.
    """

    provider: MasterKeyProvider
    keyring: Keyring
    digests: PepperedDigests
    token_keys: tuple[SigningKey, ...]
    checkpoints: CheckpointSigner
    ca_key: IssuedKey
    ca_certificate: x509.Certificate
    tls_password: bytes

    def token_authority(self, *, issuer: str, clock: Clock) -> TokenAuthority:
        """Return what signs access tokens."""
        return TokenAuthority(list(self.token_keys), issuer=issuer, clock=clock, clock_skew=_CLOCK_SKEW)

    @property
    def ca_pem(self) -> bytes:
        """Return the bootstrap CA's certificate."""
        return self.ca_certificate.public_bytes(Encoding.PEM)


def make_server_keys(settings: Settings, clock: Clock) -> list[StoredKey]:
    """Make every key of a new store; the master key is created if it is missing."""
    now = clock.now()
    keyring, record = Keyring.create(provider_of(settings, create=True), clock=clock)
    ca_key, ca_certificate = make_bootstrap_ca("Strongroom bootstrap CA", now)

    def sealed(kind: str, key_id: str, value: bytes, public: str = "") -> StoredKey:
        blob = keyring.seal(value, _binding(kind, key_id))
        return StoredKey(id=key_id, kind=kind, active=True, master_key_id="", blob=blob, public=public, created_at=now)

    token_pem = generate_signing_key()
    return [
        stored_kek(record),
        sealed(_TOKEN, SigningKey.from_pem(token_pem, created_at=now).kid, token_pem),
        sealed(_PEPPER, "1", new_pepper()),
        sealed(_AUDIT, "1", generate_checkpoint_key()),
        sealed(_TLS, "ca", private_key_to_pem(ca_key).encode(), ca_certificate.public_bytes(Encoding.PEM).decode()),
        sealed(_TLS_PASSWORD, "1", new_pepper().hex().encode()),
    ]


def open_server_keys(settings: Settings, stored: Sequence[StoredKey], clock: Clock) -> ServerKeys:
    """Open every key of a store.

    Raises:
        Unavailable: ``master_key_missing``.
        Integrity: ``master_key_wrong``, or a stored key was changed.
    """
    provider = provider_of(settings)
    keyring = Keyring.open(provider, [kek_record(key) for key in stored if key.kind == KEK], clock=clock)
    keyring.settle(provider)

    def opened(kind: str) -> list[tuple[StoredKey, bytes]]:
        found = [(key, keyring.unseal(key.blob, _binding(kind, key.id))) for key in stored if key.kind == kind]
        if not found:
            raise Integrity(ErrorCode.INTEGRITY_FAILED, f"The store has no key of kind {kind}.")
        return found

    ca, ca_pem = opened(_TLS)[-1]
    ca_key = load_private_key(ca_pem.decode(), field=_TLS, validate=False)
    return ServerKeys(
        provider=provider,
        keyring=keyring,
        digests=PepperedDigests(opened(_PEPPER)[-1][1]),
        token_keys=tuple(SigningKey.from_pem(pem, created_at=key.created_at) for key, pem in opened(_TOKEN)),
        checkpoints=CheckpointSigner(opened(_AUDIT)[-1][1]),
        ca_key=ca_key,  # type: ignore[arg-type]  # make_server_keys made it: an EC key
        ca_certificate=x509.load_pem_x509_certificate(ca.public.encode()),
        tls_password=opened(_TLS_PASSWORD)[-1][1],
    )


def kek_record(key: StoredKey) -> KekRecord:
    """Return a stored key-encryption key as the keyring knows it."""
    return KekRecord(
        id=int(key.id), created_at=key.created_at, master_key_id=key.master_key_id, wrapped=key.blob, active=key.active
    )


def stored_kek(record: KekRecord) -> StoredKey:
    """Return a key-encryption key as the store knows it."""
    return StoredKey(
        id=str(record.id),
        kind=KEK,
        active=record.active,
        master_key_id=record.master_key_id,
        blob=record.wrapped,
        public="",
        created_at=record.created_at,
    )


def store_keys(unit: Unit, keys: Sequence[StoredKey]) -> None:
    """Store keys inside a unit of work."""
    for key in keys:
        unit.keys.put(key)


def _binding(kind: str, key_id: str) -> Binding:
    return Binding("keys", f"{kind}/{key_id}", "blob")
