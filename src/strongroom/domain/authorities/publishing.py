"""What relying parties fetch without a token: CA certificates, chains and revocation lists.

Source: api-v2 section 4.6.
"""

from __future__ import annotations

from datetime import datetime

from strongroom.domain.authorities.context import AuthorityContext, chain_of
from strongroom.domain.authorities.crls import Crls
from strongroom.domain.authorities.model import Authority, Crl
from strongroom.domain.configurations.model import ConfigKind, Configuration
from strongroom.domain.ports import ReadUnit
from strongroom.kernel.errors import ErrorCode, NotFound
from strongroom.kernel.value import value

_NOTHING = "There is no such certificate authority, or it has no certificate (of this key) yet."
"""One answer for both: who has no token learns no names."""


@value
class PublishedCertificate:
    """A CA certificate with those above it."""

    der: bytes
    pem_chain: str
    not_after: datetime


class Publishing:
    """Finds what an authority publishes."""

    def __init__(self, context: AuthorityContext, crls: Crls) -> None:
        self._context = context
        self._crls = crls

    def certificate(self, name: str, key_id: str | None) -> PublishedCertificate:
        """Return the newest certificate of a CA, or that of a key.

        Raises:
            NotFound: there is no such CA, or it is not signed yet.
        """
        _, authority = self._context.storage.read(lambda unit: _named(unit, name, key_id, oldest=False))
        assert authority.certificate is not None and authority.not_after is not None  # noqa: S101, PT018  (signed)
        return PublishedCertificate(
            der=authority.certificate, pem_chain="".join(chain_of(authority)), not_after=authority.not_after
        )

    def crl(self, name: str, key_id: str | None) -> Crl:
        """Return the revocation list of a CA, always current.

        The address without a key stands in the certificates that the first key signed, for as long as they live.

        Raises:
            NotFound: there is no such CA, or it is not signed yet.
        """
        configuration, authority = self._context.storage.read(lambda unit: _named(unit, name, key_id, oldest=True))
        return self._crls.current(configuration, authority.id)

    def crls(self, name: str) -> list[Crl]:
        """Return the lists of all keys of a CA that are in use, newest first.

        Raises:
            NotFound: there is no such CA, or it is not signed yet.
        """
        now = self._context.now()

        def look_up(unit: ReadUnit) -> tuple[Configuration, list[Authority]]:
            configuration, newest = _named(unit, name, None, oldest=False)
            alive = [item for item in _signed(unit, configuration) if item.not_after is None or item.not_after > now]
            return configuration, alive or [newest]

        configuration, authorities = self._context.storage.read(look_up)
        return [self._crls.current(configuration, authority.id) for authority in authorities]


def find_authority(unit: ReadUnit, name: str) -> Configuration:
    """Return a CA by name.

    Raises:
        NotFound: there is no such CA.
    """
    configuration = unit.configurations.find(ConfigKind.PRIVATE_CA, name)
    if configuration is None:
        raise NotFound(ErrorCode.NOT_FOUND, _NOTHING)
    return configuration


def _signed(unit: ReadUnit, configuration: Configuration) -> list[Authority]:
    return [item for item in unit.authorities.generations(configuration.id) if item.certificate is not None]


def _named(unit: ReadUnit, name: str, key_id: str | None, *, oldest: bool) -> tuple[Configuration, Authority]:
    configuration = find_authority(unit, name)
    signed = _signed(unit, configuration)
    if key_id is not None:
        signed = [item for item in signed if item.key_id == key_id]
    if not signed:
        raise NotFound(ErrorCode.NOT_FOUND, _NOTHING)
    return configuration, signed[-1 if oldest else 0]
