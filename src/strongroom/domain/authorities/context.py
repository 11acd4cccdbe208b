"""What all services about authorities share."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Final

from strongroom.domain.authorities.addresses import Addresses
from strongroom.domain.authorities.keys import AuthorityKeys
from strongroom.domain.authorities.model import Authority, IssuedKind
from strongroom.domain.change import Overtaken
from strongroom.domain.configurations.model import Configuration
from strongroom.domain.limits import Limits
from strongroom.domain.ports import ReadUnit, Storage, Unit
from strongroom.domain.secrets.events import Outbox
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import ErrorCode, Internal, Invalid
from strongroom.kernel.value import value
from strongroom.pki.armor import encode_pem
from strongroom.pki.draft import Issuer
from strongroom.pki.encoding import Certificate, has_same_subject, load_own_certificate, subject_of

SIGNING_REQUIRED: Final = "signing_required"
SIGNED_CERTIFICATE_REQUIRED: Final = "signed_certificate_required"
TEMPLATE_REQUIRED: Final = "certificate_template_required"
CONFIGURED: Final = "configured"
EXPIRED: Final = "expired"
REVOKED: Final = "revoked"

CERTIFICATE_LABEL: Final = "CERTIFICATE"
REQUEST_LABEL: Final = "CERTIFICATE REQUEST"


@value
class AuthorityContext:
    """Ports and rules that the services are built from."""

    storage: Storage
    clock: Clock
    keys: AuthorityKeys
    addresses: Addresses
    outbox: Outbox
    limits: Limits
    allow_p224: bool = False

    def now(self) -> datetime:
        """Return the present instant."""
        return self.clock.now()

    def issuer(self, authority: Authority) -> Issuer:
        """Return who signs with an authority's key."""
        return Issuer(subject=subject_of(certificate_of(authority)), key=self.keys.of(authority))


@value
class NamedAuthority:
    """A CA configuration with one of its certificates.

    Attributes:
        is_cut_off: a CA above it was revoked.
    """

    configuration: Configuration
    authority: Authority
    is_cut_off: bool = False


def current_of(unit: ReadUnit, configuration: Configuration) -> NamedAuthority:
    """Return a CA configuration with its newest certificate."""
    generations = unit.authorities.generations(configuration.id)
    if not generations:
        raise Internal(ErrorCode.INTERNAL, f"configuration {configuration.id} has no authority")
    newest = generations[0]
    return NamedAuthority(configuration=configuration, authority=newest, is_cut_off=_is_cut_off(unit, newest))


def _is_cut_off(unit: ReadUnit, authority: Authority) -> bool:
    # A root cannot be revoked, so nothing is looked up where there is nothing else above.
    while authority.issuer is not None and len(authority.chain) > 1:
        above = unit.authorities.find(authority.issuer)
        if above is None:
            return False
        if above.revoked_at is not None:
            return True
        authority = above
    return False


def certificate_of(authority: Authority) -> Certificate:
    """Return an authority's certificate, which it must have."""
    if authority.certificate is None:
        raise Internal(ErrorCode.INTERNAL, f"authority {authority.id} has no certificate")
    return load_certificate(authority.certificate)


@lru_cache(maxsize=256)
def load_certificate(der: bytes) -> Certificate:
    """Return a certificate, read once."""
    return load_own_certificate(der)


@lru_cache(maxsize=1024)
def pem_of(der: bytes) -> str:
    """Return a certificate as PEM."""
    return encode_pem(der, CERTIFICATE_LABEL)


def chain_of(authority: Authority) -> list[str]:
    """Return an authority's certificate and those above it as PEM, nearest first."""
    assert authority.certificate is not None  # noqa: S101  (asked of signed authorities only)
    return [pem_of(der) for der in (authority.certificate, *authority.chain)]


def signing_state(authority: Authority, *, is_external: bool, now: datetime) -> str:
    """Return the status of a CA, apart from whether an intermediate has a template."""
    if authority.certificate is None:
        return SIGNED_CERTIFICATE_REQUIRED if is_external else SIGNING_REQUIRED
    if authority.revoked_at is not None:
        return REVOKED
    if authority.not_after is not None and authority.not_after <= now:
        return EXPIRED
    return CONFIGURED


def require_able(named: NamedAuthority, now: datetime, *, field: str | None = None) -> None:
    """Refuse a CA that cannot sign.

    Raises:
        Invalid: ``state_forbids``, saying why.
    """
    configuration = named.configuration
    is_external = configuration.document.get("signing_method") == "external"
    state = signing_state(named.authority, is_external=is_external, now=now)
    if state != CONFIGURED:
        raise Invalid(
            ErrorCode.STATE_FORBIDS,
            f"The certificate authority {configuration.name} cannot sign: its status is {state}.",
            field=field,
            hint=_HINTS[state],
        )
    if named.is_cut_off:
        raise Invalid(
            ErrorCode.STATE_FORBIDS,
            f"The certificate authority {configuration.name} cannot sign: one above it was revoked, so nobody would "
            "trust what it signs.",
            field=field,
            hint=_HINTS[REVOKED],
        )


_KEPT_BY_OTHERS: Final = (IssuedKind.LEAF, IssuedKind.CA, IssuedKind.SIGNED_CSR)
_HINTS: Final = {
    SIGNING_REQUIRED: "Have it signed with the action sign_intermediate on its parent.",
    SIGNED_CERTIFICATE_REQUIRED: "Sign its CSR outside and add the certificate with the action set_signed.",
    EXPIRED: "Make a new certificate authority.",
    REVOKED: "Make a new certificate authority.",
}


def changed_meanwhile() -> Overtaken:
    """Return the refusal of a commit whose preparation relied on something that changed."""
    return Overtaken(
        ErrorCode.STALE_VERSION,
        "The certificate authority or template was changed by another request at the same time.",
        hint="Repeat the request.",
    )


def require_unchanged(unit: ReadUnit, first: Configuration, second: Configuration | None = None) -> None:
    """Refuse a commit if a configuration that was relied on is not as it was, and keep it so until the commit.

    Raises:
        Conflict: ``stale_version``.
    """
    relied_on = [item for item in (first, second) if item is not None]
    if unit.configurations.rely_on(*(item.id for item in relied_on)) != {
        item.id: item.row_version for item in relied_on
    }:
        raise changed_meanwhile()


def require_there(unit: ReadUnit, configuration: Configuration) -> None:
    """Refuse a commit if a configuration that is to be named is gone, and keep it there until the commit.

    Raises:
        Conflict: ``stale_version``.
    """
    if not unit.configurations.rely_on(configuration.id):
        raise changed_meanwhile()


def hold_unchanged(unit: Unit, configuration: Configuration) -> None:
    """Refuse a commit if a CA is not as it was, and begin to change what it signs with.

    Until the commit, nobody else acts on it, issues or signs with it; after it, nothing that was prepared with the CA
    as it was is committed any more.

    Raises:
        Conflict: ``stale_version``.
    """
    now = unit.configurations.find_for_update(configuration.id)
    if now is None or now.row_version != configuration.row_version:
        raise changed_meanwhile()
    unit.configurations.touch(configuration.id)


def require_same_name(unit: ReadUnit, before: Authority, after: Authority) -> None:
    """Refuse another name for an authority that has issued: whoever has a certificate of it looks for its list by name.

    Raises:
        Invalid: ``state_forbids``.
    """
    if before.certificate is None or has_same_subject(certificate_of(before), certificate_of(after)):
        return
    if any(unit.authorities.has_issued(before.id, kind) for kind in _KEPT_BY_OTHERS):
        raise Invalid(
            ErrorCode.STATE_FORBIDS,
            "The certificate has another subject than the present one of the certificate authority, which has issued "
            "under that name: nobody could learn any more which of its certificates are revoked.",
            hint="Have the same subject signed again, or make a new certificate authority.",
        )


def require_unrevoked(unit: ReadUnit, authority: Authority) -> None:
    """Refuse a commit if the authority that signed, or one above it, was revoked, signed again or deleted meanwhile.

    Raises:
        Conflict: ``stale_version``.
    """
    now = unit.authorities.find(authority.id)
    if now is None or now.revoked_at is not None or now.serial != authority.serial or _is_cut_off(unit, now):
        raise changed_meanwhile()
