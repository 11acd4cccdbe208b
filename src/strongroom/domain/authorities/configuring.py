"""CA configurations: making roots and intermediates, and acting on them.

Source: contract domain sections 5.1 to 5.4 and 5.8 to 5.11; api-v2 sections 2.7 and 4.6.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from strongroom.domain.access.principals import Principal
from strongroom.domain.authorities.context import (
    CONFIGURED,
    REQUEST_LABEL,
    TEMPLATE_REQUIRED,
    AuthorityContext,
    certificate_of,
    chain_of,
    current_of,
    require_there,
    signing_state,
)
from strongroom.domain.authorities.crls import Crls
from strongroom.domain.authorities.facts import AuthorityFacts
from strongroom.domain.authorities.model import Authority, AuthorityId, Issued, IssuedKind
from strongroom.domain.authorities.signing import Action, Signing, names_of_children
from strongroom.domain.authorities.templates import AUTHORITY
from strongroom.domain.authorities.token_keys import (
    CRYPTO_KEY,
    hold_pin,
    release_pin,
    require_unshared,
    require_usable,
)
from strongroom.domain.change import Change
from strongroom.domain.configurations.engine import NewConfiguration, PreparedConfiguration, Quota
from strongroom.domain.configurations.model import ConfigKind, ConfigType, Configuration
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.ids import ConfigurationId, new_uuid
from strongroom.pki.armor import encode_pem
from strongroom.pki.authority import AuthoritySpec, parse_authority, patch_authority
from strongroom.pki.authority_drafts import build_ca_csr, draft_root
from strongroom.pki.draft import Issuer, new_serial, serial_hex, sign_draft
from strongroom.pki.encoding import certificate_der, key_identifier
from strongroom.pki.formats import CertificateFormat, certificate_text, serial_text
from strongroom.pki.inspect import inspect_certificate


class AuthorityConfigurations:
    """Keeps root and intermediate CAs."""

    config_types: Final = frozenset({ConfigType.ROOT_CA, ConfigType.INTERMEDIATE_CA})

    def __init__(self, context: AuthorityContext, crls: Crls, signing: Signing) -> None:
        self._context = context
        self._crls = crls
        self._signing = signing

    def quota(self, config_type: ConfigType) -> Quota:
        """Return how many CAs of the type there may be."""
        limits = self._context.limits
        most = limits.root_authorities if config_type is ConfigType.ROOT_CA else limits.intermediate_authorities
        return Quota(most=most, among=frozenset({config_type}), what=f"configurations of type {config_type}")

    def prepare_new(self, new: NewConfiguration) -> PreparedConfiguration:
        """Make a CA: its key, and its certificate or signing request."""
        is_root = new.config_type is ConfigType.ROOT_CA
        document, spec = parse_authority(new.values, root=is_root, allow_p224=self._context.allow_p224)
        external = new.values.get(CRYPTO_KEY)
        if external is not None:
            self._context.storage.look(lambda unit: require_usable(unit, new.by, external))
            document = {**document, CRYPTO_KEY: external}
        if is_root:
            return self._new_root(new, document, spec)
        return self._new_intermediate(new, document, spec)

    def prepare_patch(
        self, configuration: Configuration, secrets: Mapping[str, Any], changes: Mapping[str, Any]
    ) -> PreparedConfiguration:
        """Change what the CA writes into certificates from now on, and how it publishes."""
        before, document = configuration.document, patch_authority(configuration.document, changes)
        deciding = ("crl_disable", "crl_expiry_seconds")
        if all(before.get(name) == document.get(name) for name in deciding):
            return PreparedConfiguration(document=document)

        def renew_lists(unit: Unit, after: Configuration) -> None:
            for authority in unit.authorities.generations(after.id):
                unit.authorities.want_crl(authority.id)

        return PreparedConfiguration(document=document, on_commit=renew_lists)

    def deleted(self, unit: Unit, configuration: Configuration, by: Principal) -> None:
        """Let go of the secret with the PIN of its token."""
        release_pin(unit, configuration)

    def dependants(self, unit: ReadUnit, configuration: Configuration) -> Sequence[str]:
        """Return the CAs below it and the templates that issue with it."""
        children = [f"the intermediate CA {name}" for name in names_of_children(unit, configuration)]
        templates = [
            f"the certificate template {item.name}"
            for item in unit.configurations.of_kind(ConfigKind.TEMPLATE)
            if item.document[AUTHORITY] == configuration.name
        ]
        return [*children, *templates]

    def facts(
        self, unit: ReadUnit, configurations: Sequence[Configuration]
    ) -> Mapping[ConfigurationId, AuthorityFacts]:
        """Return status, certificate and chain of CAs."""
        served = {item.document[AUTHORITY] for item in unit.configurations.of_kind(ConfigKind.TEMPLATE)}
        return {item.id: self._facts(unit, item, has_template=item.name in served) for item in configurations}

    def act(
        self, by: Principal, configuration: Configuration, action: str, values: Mapping[str, Any]
    ) -> Change[Mapping[str, Any]]:
        """Prepare an action."""
        actions: Mapping[str, Callable[[Configuration, Mapping[str, Any]], Change[Mapping[str, Any]]]] = {
            Action.SIGN_INTERMEDIATE: self._signing.sign_intermediate,
            Action.SIGN_CSR: self._signing.sign_csr,
            Action.SET_SIGNED: self._signing.set_signed,
            Action.REVOKE: self._signing.revoke,
            Action.ROTATE_CRL: self._rotate_crl,
            Action.ROTATE: self._signing.rotate,
        }
        prepare = actions.get(action)
        if prepare is None:
            raise Invalid(
                ErrorCode.NOT_SUPPORTED,
                f"The action {action} does not apply to certificate authorities.",
                field="action_type",
            )
        return prepare(configuration, values)

    def _new_root(
        self, new: NewConfiguration, document: Mapping[str, Any], spec: AuthoritySpec
    ) -> PreparedConfiguration:
        context, external = self._context, document.get(CRYPTO_KEY)
        authority_id = AuthorityId(new_uuid())
        made = context.keys.make(authority_id, spec.key, external)
        now = context.now()
        draft = draft_root(spec, made.key.public_key(), now)
        serial = new_serial()
        certificate = sign_draft(draft, Issuer(subject=draft.subject, key=made.key), serial)
        authority = Authority(
            id=authority_id,
            configuration_id=new.id,
            generation=1,
            certificate=certificate_der(certificate),
            serial=serial_hex(serial),
            issuer=authority_id,
            sealed_key=made.sealed,
            external_key=made.external,
            key_id=key_identifier(draft.public_key),
            not_before=draft.not_before,
            not_after=draft.not_after,
            created_at=now,
        )

        def on_commit(unit: Unit, configuration: Configuration) -> None:
            hold_pin(unit, configuration)
            require_unshared(unit, made)
            unit.authorities.add(authority)
            unit.authorities.add_issued(
                Issued(
                    configuration_id=new.id,
                    authority_id=authority_id,
                    serial=serial_hex(serial),
                    kind=IssuedKind.SELF,
                    not_after=draft.not_after,
                    issued_at=now,
                )
            )

        return PreparedConfiguration(document=document, on_commit=on_commit)

    def _new_intermediate(
        self, new: NewConfiguration, document: Mapping[str, Any], spec: AuthoritySpec
    ) -> PreparedConfiguration:
        context, external = self._context, document.get(CRYPTO_KEY)
        parent = self._parent(document)
        authority_id = AuthorityId(new_uuid())
        made = context.keys.make(authority_id, spec.key, external)
        authority = Authority(
            id=authority_id,
            configuration_id=new.id,
            generation=1,
            csr=build_ca_csr(spec, made.key),
            sealed_key=made.sealed,
            external_key=made.external,
            key_id=key_identifier(made.key.public_key()),
            created_at=context.now(),
        )
        signed = None
        if parent is not None and document["auto_sign"]:
            signed = self._signing.certify(parent, authority, document, {})

        def on_commit(unit: Unit, configuration: Configuration) -> None:
            if parent is not None:
                require_there(unit, parent)
            hold_pin(unit, configuration)
            require_unshared(unit, made)
            unit.authorities.add(authority)
            if signed is not None:
                signed.record(unit)

        return PreparedConfiguration(document=document, on_commit=on_commit)

    def _parent(self, document: Mapping[str, Any]) -> Configuration | None:
        """Return the CA that is to sign an intermediate; ``None`` if that is done outside."""
        if document["signing_method"] != "internal":
            return None
        name = document["issuer"]
        found = self._context.storage.look(lambda unit: unit.configurations.find(ConfigKind.PRIVATE_CA, name))
        if found is None:
            raise Invalid(
                ErrorCode.INVALID_FIELD,
                f"issuer names no certificate authority of this instance: {name}.",
                field="issuer",
            )
        return found

    def _rotate_crl(self, configuration: Configuration, _: Mapping[str, Any]) -> Change[Mapping[str, Any]]:
        now = self._context.now()
        generations = self._context.storage.read(lambda unit: unit.authorities.generations(configuration.id))
        alive = [item for item in generations if item.certificate is not None and (item.not_after or now) > now]
        if not alive:
            raise Invalid(
                ErrorCode.STATE_FORBIDS,
                f"The certificate authority {configuration.name} has no valid certificate to sign a list with.",
            )
        for authority in alive:
            self._crls.rebuild(configuration, authority.id)
        return Change(lambda _: {"success": True})

    def _facts(self, unit: ReadUnit, configuration: Configuration, *, has_template: bool) -> AuthorityFacts:
        authority = current_of(unit, configuration).authority
        is_external = configuration.document.get("signing_method") == "external"
        status = signing_state(authority, is_external=is_external, now=self._context.now())
        if status == CONFIGURED and configuration.config_type is ConfigType.INTERMEDIATE_CA and not has_template:
            status = TEMPLATE_REQUIRED
        data: dict[str, Any] = {}
        if authority.csr is not None:
            data["csr"] = encode_pem(authority.csr, REQUEST_LABEL)
            data["private_key_type"] = configuration.document["key_type"]
        if authority.certificate is None or authority.not_after is None:
            return AuthorityFacts(status=status, data=data)
        certificate = certificate_of(authority)
        chain = chain_of(authority)
        layout = CertificateFormat(configuration.document["format"])
        data |= {
            "certificate": certificate_text(chain[0], chain[1:], layout),
            "issuing_ca": chain[1] if len(chain) > 1 else chain[0],
            "ca_chain": chain,
            "expiration": int(authority.not_after.timestamp()),
            "serial_number": serial_text(certificate.serial_number),
        }
        return AuthorityFacts(
            status=status,
            expiration=authority.not_after,
            serial_number=serial_text(certificate.serial_number),
            issuer=inspect_certificate(certificate).issuer,
            data=data,
        )
