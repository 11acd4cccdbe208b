"""What authorities sign for other authorities, and take back.

Source: contract domain sections 5.3, 5.8 and 5.9; api-v2-models M4.7; design, section 8 ("private certificates").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from strongroom.domain.authorities.context import (
    REQUEST_LABEL,
    AuthorityContext,
    NamedAuthority,
    certificate_of,
    chain_of,
    changed_meanwhile,
    current_of,
    hold_unchanged,
    pem_of,
    require_able,
    require_same_name,
    require_unchanged,
    require_unrevoked,
)
from strongroom.domain.authorities.issuing import issuing_of
from strongroom.domain.authorities.model import Authority, AuthorityId, Issued, IssuedKind
from strongroom.domain.authorities.token_keys import CRYPTO_KEY, next_in_token, require_unshared
from strongroom.domain.change import Change, Overtaken
from strongroom.domain.configurations.model import ConfigKind, ConfigType, Configuration
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.kernel.errors import Conflict, ErrorCode, Invalid
from strongroom.kernel.ids import new_uuid
from strongroom.kernel.value import value
from strongroom.pki.armor import encode_pem
from strongroom.pki.authority import NAME_MEMBERS, authority_spec
from strongroom.pki.authority_drafts import build_renewed_csr, draft_child
from strongroom.pki.crl import entry_der
from strongroom.pki.draft import Draft, new_serial, serial_hex, sign_draft
from strongroom.pki.encoding import Certificate, SigningRequest, certificate_der, key_identifier, load_own_request
from strongroom.pki.formats import CertificateFormat, certificate_text
from strongroom.pki.set_signed import check_signed
from strongroom.pki.signing_options import SigningOptions, parse_signing_options, renewal_options, signing_defaults
from strongroom.pki.signing_request import load_signing_request

_CHILD: Final = "intermediate_certificate_authority"


class Action(StrEnum):
    """What can be done with a CA; the API's ``action_type``."""

    SIGN_INTERMEDIATE = "private_cert_configuration_action_sign_intermediate"
    SIGN_CSR = "private_cert_configuration_action_sign_csr"
    SET_SIGNED = "private_cert_configuration_action_set_signed"
    REVOKE = "private_cert_configuration_action_revoke_ca_certificate"
    ROTATE_CRL = "private_cert_configuration_action_rotate_crl"
    ROTATE = "private_cert_configuration_action_rotate_intermediate"


@value
class SignedAuthority:
    """An authority with a certificate that is not recorded yet."""

    parent: NamedAuthority
    authority: Authority
    at: datetime

    def record(self, unit: Unit) -> None:
        """Store the certificate with its authority, if the parent is still as it was.

        Raises:
            Conflict: ``stale_version`` if it is not, or the authority was signed by another request meanwhile.
        """
        require_unchanged(unit, self.parent.configuration)
        require_unrevoked(unit, self.parent.authority)
        assert self.authority.serial is not None and self.authority.not_after is not None  # noqa: S101, PT018
        unit.authorities.save(self.authority)
        unit.authorities.add_issued(
            Issued(
                configuration_id=self.parent.configuration.id,
                authority_id=self.parent.authority.id,
                serial=self.authority.serial,
                kind=IssuedKind.CA,
                child_id=self.authority.id,
                not_after=self.authority.not_after,
                issued_at=self.at,
            )
        )


class Signing:
    """Signs, rotates and revokes intermediates."""

    def __init__(self, context: AuthorityContext) -> None:
        self._context = context

    def certify(
        self, parent: Configuration, authority: Authority, document: Mapping[str, Any], values: Mapping[str, Any]
    ) -> SignedAuthority:
        """Sign the request of an intermediate.

        Args:
            parent: the CA that signs.
            authority: of the intermediate.
            document: of the intermediate: what counts where the action says nothing.
            values: members of the action.

        Raises:
            Invalid: the parent cannot sign, or a value breaks a rule.
        """
        options = parse_signing_options(
            values, defaults=signing_defaults(document), allow_p224=self._context.allow_p224
        )
        assert authority.csr is not None  # noqa: S101  (intermediates always have one)
        named, certificate, draft = self._sign(parent, load_own_request(authority.csr), options)
        assert named.authority.certificate is not None  # noqa: S101  (it signed)
        return SignedAuthority(
            parent=named,
            authority=replace(
                authority,
                certificate=certificate_der(certificate),
                chain=(named.authority.certificate, *named.authority.chain),
                serial=serial_hex(certificate.serial_number),
                issuer=named.authority.id,
                not_before=draft.not_before,
                not_after=draft.not_after,
            ),
            at=self._context.now(),
        )

    def sign_intermediate(self, parent: Configuration, values: Mapping[str, Any]) -> Change[Mapping[str, Any]]:
        """Sign an intermediate of this instance; signing again replaces its certificate."""
        name = values[_CHILD]

        def look_up(unit: ReadUnit) -> NamedAuthority:
            found = unit.configurations.find(ConfigKind.PRIVATE_CA, name)
            if found is None or found.config_type is not ConfigType.INTERMEDIATE_CA:
                raise Invalid(
                    ErrorCode.INVALID_FIELD,
                    f"{_CHILD} names no intermediate CA of this instance: {name}.",
                    field=_CHILD,
                )
            return current_of(unit, found)

        child = self._context.storage.read(look_up)
        _require_child(child, parent)
        signed = self.certify(parent, child.authority, child.configuration.document, values)

        def commit(unit: Unit) -> Mapping[str, Any]:
            hold_unchanged(unit, child.configuration)
            now = unit.authorities.find(child.authority.id)
            if now is None or now.revoked_at is not None or now.serial != child.authority.serial:
                raise changed_meanwhile()
            require_same_name(unit, now, signed.authority)
            signed.record(unit)
            unit.authorities.want_crl(now.id)
            return values

        return Change(commit)

    def sign_csr(self, signer: Configuration, values: Mapping[str, Any]) -> Change[Mapping[str, Any]]:
        """Sign the request of a CA that is not of this instance."""
        allow_p224 = self._context.allow_p224
        csr = load_signing_request(values["csr"], field="csr", allow_p224=allow_p224)
        options = parse_signing_options(values, allow_p224=allow_p224)
        named, certificate, draft = self._sign(signer, csr, options)
        chain = chain_of(named.authority)
        pem = pem_of(certificate_der(certificate))
        issued = Issued(
            configuration_id=signer.id,
            authority_id=named.authority.id,
            serial=serial_hex(certificate.serial_number),
            kind=IssuedKind.SIGNED_CSR,
            not_after=draft.not_after,
            issued_at=self._context.now(),
        )

        def commit(unit: Unit) -> Mapping[str, Any]:
            require_unchanged(unit, named.configuration)
            require_unrevoked(unit, named.authority)
            unit.authorities.add_issued(issued)
            data = {
                "certificate": certificate_text(pem, chain, options.format),
                "issuing_ca": chain[0],
                "ca_chain": chain,
                "expiration": int(draft.not_after.timestamp()),
            }
            return {**values, "data": data}

        return Change(commit)

    def set_signed(self, configuration: Configuration, values: Mapping[str, Any]) -> Change[Mapping[str, Any]]:
        """Take the certificate that was signed outside for an intermediate."""
        if configuration.document.get("signing_method") != "external":
            raise Invalid(
                ErrorCode.STATE_FORBIDS,
                f"The certificate authority {configuration.name} is not one that is signed outside: only an "
                "intermediate with signing_method external takes a certificate.",
                field="action_type",
            )

        def look_up(unit: ReadUnit) -> tuple[NamedAuthority, list[Certificate]]:
            known = [certificate_of(item) for item in unit.authorities.current() if item.certificate is not None]
            return current_of(unit, configuration), known

        named, known = self._context.storage.read(look_up)
        authority = named.authority
        assert authority.csr is not None  # noqa: S101  (intermediates always have one)
        certificate, chain = check_signed(
            values["certificate"], load_own_request(authority.csr), self._context.now(), known
        )
        signed = replace(
            authority,
            certificate=certificate_der(certificate),
            chain=tuple(certificate_der(item) for item in chain),
            serial=serial_hex(certificate.serial_number),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
        )

        def commit(unit: Unit) -> Mapping[str, Any]:
            hold_unchanged(unit, configuration)
            now = unit.authorities.find_for_update(authority.id)
            if now is None or now.serial != authority.serial:
                raise changed_meanwhile()
            require_same_name(unit, now, signed)
            unit.authorities.save(signed)
            unit.authorities.want_crl(authority.id)
            return {"certificate": values["certificate"]}

        return Change(commit)

    def revoke(self, configuration: Configuration, _: Mapping[str, Any]) -> Change[Mapping[str, Any]]:
        """Revoke the certificates of an intermediate; it can issue nothing more."""
        self._require_internal(configuration, "revoked")

        def commit(unit: Unit) -> Mapping[str, Any]:
            hold_unchanged(unit, configuration)
            at = self._context.now().replace(microsecond=0)
            generations = unit.authorities.generations(configuration.id)
            require_able(NamedAuthority(configuration=configuration, authority=generations[0]), at)
            for authority in generations:
                _revoke(unit, authority, at)
            # What stands below it is cut off with it.
            for other in unit.configurations.of_kind(ConfigKind.PRIVATE_CA):
                if other.id != configuration.id:
                    unit.configurations.touch(other.id)
            return {"revocation_time_seconds": int(at.timestamp())}

        return Change(commit)

    def rotate(self, configuration: Configuration, _: Mapping[str, Any]) -> Change[Mapping[str, Any]]:
        """Give an intermediate a new key and certificate; what the old one signed stays valid."""
        context = self._context
        self._require_internal(configuration, "rotated")

        def look_up(unit: ReadUnit) -> tuple[NamedAuthority, Configuration | None]:
            _refuse_parents(unit, configuration)
            return current_of(unit, configuration), unit.configurations.find(
                ConfigKind.PRIVATE_CA, configuration.document["issuer"]
            )

        present, parent = context.storage.read(look_up)
        require_able(present, context.now())
        assert parent is not None  # noqa: S101  (it cannot be deleted while it has children)
        document = configuration.document
        authority_id = AuthorityId(new_uuid())
        generation = present.authority.generation + 1
        made = context.keys.make(
            authority_id, authority_spec(document).key, next_in_token(document.get(CRYPTO_KEY), generation)
        )
        bare = Authority(
            id=authority_id,
            configuration_id=configuration.id,
            generation=generation,
            csr=build_renewed_csr(certificate_of(present.authority), made.key),
            sealed_key=made.sealed,
            external_key=made.external,
            key_id=key_identifier(made.key.public_key()),
            created_at=context.now(),
        )
        signed = self.certify(parent, bare, document, renewal_options(certificate_of(present.authority)))

        def commit(unit: Unit) -> Mapping[str, Any]:
            try:
                hold_unchanged(unit, configuration)
            except Overtaken as error:
                if current_of(unit, configuration).authority.id != present.authority.id:
                    # Rotated by another request: this one came late and must not rotate a second time.
                    raise Conflict(error.code, error.detail, hint=error.hint) from None
                raise
            _refuse_parents(unit, configuration)
            require_unrevoked(unit, present.authority)
            require_unshared(unit, made)
            unit.authorities.add(bare)
            signed.record(unit)
            return {"name": configuration.name, "config": _rotated(signed.authority, document)}

        return Change(commit)

    def _sign(
        self, signer: Configuration, csr: SigningRequest, options: SigningOptions
    ) -> tuple[NamedAuthority, Certificate, Draft]:
        context = self._context
        named = context.storage.read(lambda unit: current_of(unit, signer))
        require_able(named, context.now())
        draft = draft_child(csr, options, issuing_of(context, named), context.now())
        return named, sign_draft(draft, context.issuer(named.authority), new_serial()), draft

    def _require_internal(self, configuration: Configuration, done: str) -> None:
        if configuration.document.get("signing_method") != "internal":
            raise Invalid(
                ErrorCode.STATE_FORBIDS,
                f"The certificate authority {configuration.name} cannot be {done} here: only an intermediate that a CA "
                "of this instance signed can.",
                field="action_type",
            )


def _require_child(child: NamedAuthority, parent: Configuration) -> None:
    name, document = child.configuration.name, child.configuration.document
    if document["signing_method"] != "internal":
        raise Invalid(
            ErrorCode.STATE_FORBIDS,
            f"The intermediate CA {name} is signed outside: take its CSR to the action sign_csr, and the certificate "
            "to its action set_signed.",
            field=_CHILD,
        )
    if document["issuer"] != parent.name:
        raise Invalid(
            ErrorCode.STATE_FORBIDS,
            f"The intermediate CA {name} is to be signed by {document['issuer']}, not by {parent.name}.",
            field=_CHILD,
        )
    if child.authority.revoked_at is not None:
        raise Invalid(ErrorCode.STATE_FORBIDS, f"The intermediate CA {name} was revoked; make a new one.", field=_CHILD)


def _revoke(unit: Unit, authority: Authority, at: datetime) -> None:
    """Revoke all certificates of one key of an intermediate, unless it waits for its first.

    The key may have been certified several times. A chain with an older certificate must not stay valid.
    """
    if authority.issuer is None or authority.serial is None or authority.revoked_at is not None:
        return
    issuer = unit.authorities.find(authority.issuer)
    if issuer is not None:
        for serial in unit.authorities.serials_of_child(issuer.id, authority.id):
            unit.authorities.revoke(issuer.configuration_id, serial, at, entry_der(int(serial, 16), at))
    unit.authorities.save(replace(authority, revoked_at=at))


def names_of_children(unit: ReadUnit, configuration: Configuration) -> list[str]:
    """Return the intermediates that a CA of this instance signed, or is to sign."""
    return [
        item.name
        for item in unit.configurations.of_kind(ConfigKind.PRIVATE_CA)
        if item.document.get("signing_method") == "internal" and item.document.get("issuer") == configuration.name
    ]


def _refuse_parents(unit: ReadUnit, configuration: Configuration) -> None:
    """Refuse to rotate a CA that other CAs hang on: they would keep its old certificate above them."""
    children = names_of_children(unit, configuration)
    outside = any(
        unit.authorities.has_issued(item.id, kind)
        for item in unit.authorities.generations(configuration.id)
        for kind in (IssuedKind.CA, IssuedKind.SIGNED_CSR)
    )
    if children or outside:
        what = f"it signed the certificate authorities {', '.join(children)}" if children else "it signed another CA"
        raise Invalid(
            ErrorCode.STATE_FORBIDS,
            f"The certificate authority {configuration.name} cannot be rotated: {what}. Make a new one beside it and "
            "move over.",
            field="action_type",
        )


def _rotated(authority: Authority, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the rotation action shows of the new certificate."""
    assert authority.not_after is not None and authority.not_before is not None  # noqa: S101, PT018  (just signed)
    assert authority.csr is not None  # noqa: S101  (intermediates always have one)
    chain = chain_of(authority)
    shown = {name: document[name] for name in (*NAME_MEMBERS, "format") if document.get(name) is not None}
    return {
        **shown,
        "ttl": int((authority.not_after - authority.not_before).total_seconds()),
        "csr": encode_pem(authority.csr, REQUEST_LABEL),
        "data": {
            "certificate": certificate_text(chain[0], chain[1:], CertificateFormat(document["format"])),
            "issuing_ca": chain[1],
            "ca_chain": chain,
            "expiration": int(authority.not_after.timestamp()),
        },
    }
