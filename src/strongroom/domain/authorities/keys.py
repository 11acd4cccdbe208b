"""The private keys of authorities: made, sealed, opened once and kept in memory."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final

from strongroom.domain.authorities.model import Authority, AuthorityId, OcspSigner
from strongroom.domain.ports import Binding, KeyMaker, KeyToken, Sealer
from strongroom.kernel.errors import ErrorCode, Internal, Unavailable
from strongroom.kernel.value import value
from strongroom.pki.draft import SigningKey
from strongroom.pki.encoding import key_identifier
from strongroom.pki.keys import IssuedKey, KeySpec, load_own_key_der, private_key_der

_KEPT: Final = 256


@value
class NewKey:
    """A key for an authority.

    Attributes:
        sealed: what to store of it; ``None`` if it stays in its token.
        external: how to find it in its token again.
    """

    key: SigningKey
    sealed: bytes | None
    external: Mapping[str, Any] | None


class AuthorityKeys:
    """Makes and opens signing keys. They leave the process in sealed form only, or never.

    Args:
        sealer: seals what is stored.
        maker: makes keys in software.
        token: finds and makes keys in a PKCS#11 token.
    """

    def __init__(self, sealer: Sealer, maker: KeyMaker, token: KeyToken) -> None:
        self._sealer = sealer
        self._maker = maker
        self._token = token
        self._lock = threading.Lock()
        self._open: dict[str, SigningKey] = {}

    def make(self, authority_id: AuthorityId, spec: KeySpec, external: Mapping[str, Any] | None = None) -> NewKey:
        """Make the key of a new authority.

        Args:
            authority_id: what the key will belong to.
            spec: its kind.
            external: ``crypto_key`` of the configuration, if the key is to live in a token.

        Raises:
            Invalid: the token or key cannot be used.
        """
        if external is not None:
            key, reference = self._token.find_or_generate(external, spec)
            return NewKey(key=key, sealed=None, external=reference)
        made = self._maker.take(spec)
        return NewKey(key=made, sealed=self._seal(made, Binding("authorities", authority_id, "key")), external=None)

    def make_leaf(self, spec: KeySpec) -> IssuedKey:
        """Make a key for somebody who asked for a certificate."""
        return self._maker.take(spec)

    def expect(self, spec: KeySpec) -> None:
        """Say that keys for certificates of this kind will be asked for."""
        self._maker.warm(spec)

    def make_for_ocsp(self, authority_id: AuthorityId, spec: KeySpec) -> NewKey:
        """Make the key of an OCSP signer."""
        made = self._maker.take(spec)
        return NewKey(key=made, sealed=self._seal(made, Binding("ocsp_signers", authority_id, "key")), external=None)

    def of(self, authority: Authority) -> SigningKey:
        """Return the key of an authority.

        Raises:
            Unavailable: it lives in a token that does not answer.
        """
        known = self._open.get(authority.id)
        if known is not None:
            return known
        if authority.external_key is not None:
            key = self._token.open(authority.external_key)
            _require_same(key, authority)
        elif authority.sealed_key is not None:
            key = self._unseal(authority.sealed_key, Binding("authorities", authority.id, "key"))
        else:
            raise Internal(ErrorCode.INTERNAL, f"authority {authority.id} has no key")
        return self._keep(authority.id, key)

    def of_signer(self, signer: OcspSigner) -> SigningKey:
        """Return the key of an OCSP signer."""
        name = f"{signer.authority_id}:{signer.serial}"
        known = self._open.get(name)
        if known is not None:
            return known
        return self._keep(name, self._unseal(signer.sealed_key, Binding("ocsp_signers", signer.authority_id, "key")))

    def _keep(self, name: str, key: SigningKey) -> SigningKey:
        with self._lock:
            self._open[name] = key
            if len(self._open) > _KEPT:
                del self._open[next(iter(self._open))]
        return key

    def _seal(self, key: SigningKey, binding: Binding) -> bytes:
        return self._sealer.seal(private_key_der(key), binding)

    def _unseal(self, sealed: bytes, binding: Binding) -> SigningKey:
        return load_own_key_der(self._sealer.unseal(sealed, binding))


def _require_same(key: SigningKey, authority: Authority) -> None:
    """Refuse a key that was swapped in its token: what it signs would not be the authority's.

    Raises:
        Unavailable: it is not the key that the authority was made with.
    """
    if key_identifier(key.public_key()) != authority.key_id:
        raise Unavailable(
            ErrorCode.UNAVAILABLE,
            "The key in the token is not the one that the certificate authority was made with.",
        )
