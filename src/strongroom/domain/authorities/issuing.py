"""Issuing leaf certificates through templates. Source: contract domain sections 5.5 to 5.7; design, section 8.

Nothing is signed before the rules were asked about the very certificate that is to be signed, and nothing leaves the
process before the commit that records its serial number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any, Final

from strongroom.domain.authorities.context import (
    AuthorityContext,
    NamedAuthority,
    certificate_of,
    chain_of,
    current_of,
    load_certificate,
    pem_of,
    require_able,
    require_unchanged,
)
from strongroom.domain.authorities.linting import Linted, Linting, queue_lint
from strongroom.domain.authorities.model import Issued, IssuedKind
from strongroom.domain.authorities.templates import AUTHORITY, allowed_groups, profile_of_template
from strongroom.domain.change import Overtaken
from strongroom.domain.configurations.model import ConfigKind, Configuration
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.domain.secrets.model import Secret
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.ids import GroupId, VersionId
from strongroom.kernel.time import format_rfc3339
from strongroom.kernel.value import value
from strongroom.pki.draft import CertifiedKey, Draft, new_serial, serial_hex, sign_draft
from strongroom.pki.encoding import Certificate, certificate_der
from strongroom.pki.formats import certificate_text, private_key_text
from strongroom.pki.issuing import Issuing
from strongroom.pki.keys import IssuedKey, KeySpec, generate_private_key
from strongroom.pki.leaf import LeafRequest, draft_leaf, parse_leaf_request
from strongroom.pki.leaf_facts import LeafFacts, facts_of_leaf
from strongroom.pki.rules import check_draft
from strongroom.pki.signing_request import certified_key
from strongroom.pki.verdicts import HELP_PAGE, Verdict, refusal

TEMPLATE: Final = "certificate_template"
_KNOWN_FOR: Final = timedelta(seconds=1)
_KNOWN_MOST: Final = 100


@value
class Leaf:
    """A signed certificate that is not recorded yet.

    Attributes:
        payload: members of the payload in the API's spelling.
        forget: has the next request read template and CA anew.
        linted: what the linter said, or that it is to be asked.
    """

    certificate: Certificate
    draft: Draft
    facts: LeafFacts
    serial: int
    payload: Mapping[str, Any] = field(repr=False)
    template: Configuration
    issuer: NamedAuthority
    issued_at: datetime
    linted: Linted
    forget: Callable[[], object] = field(repr=False)

    def record(self, unit: Unit, secret: Secret, version_id: VersionId) -> None:
        """Record the certificate, if what it was made with is still as it was; queue its lint, if it wants one.

        Raises:
            Conflict: ``stale_version`` if the template or the authority changed meanwhile.
        """
        # The row version of a CA moves with each of its certificates, and when one above it is revoked.
        try:
            require_unchanged(unit, self.template, self.issuer.configuration)
        except Overtaken:
            self.forget()
            raise
        unit.authorities.add_issued(
            Issued(
                configuration_id=self.issuer.configuration.id,
                authority_id=self.issuer.authority.id,
                serial=serial_hex(self.serial),
                kind=IssuedKind.LEAF,
                not_after=self.certificate.not_valid_after_utc,
                issued_at=self.issued_at,
                secret_id=secret.id,
                version_id=version_id,
                template_id=self.template.id,
            )
        )
        shape = self.linted.wanted
        if shape is not None:
            queue_lint(unit, shape, certificate_der(self.certificate), secret, version_id, self.issued_at)


@value
class Judged:
    """A certificate about to be signed, and what the rules say of it.

    Attributes:
        key: made for it; ``None`` if the requester has the key.
    """

    request: LeafRequest
    draft: Draft
    verdicts: Sequence[Verdict]
    template: Configuration
    issuer: NamedAuthority
    key: IssuedKey | None = field(default=None, repr=False)

    @property
    def is_allowed(self) -> bool:
        """Tell whether no rule is broken."""
        return all(item.verdict != "fail" for item in self.verdicts)


@value
class _Known:
    """A template with its CA, as they were read."""

    template: Configuration
    issuer: NamedAuthority
    at: datetime


class Issuance:
    """Makes leaf certificates."""

    def __init__(self, context: AuthorityContext, linting: Linting) -> None:
        self._context = context
        self._linting = linting
        self._known: dict[str, _Known] = {}

    def issue(
        self, values: Mapping[str, Any], *, group_id: GroupId, caller: Mapping[str, str], is_automatic: bool = False
    ) -> Leaf:
        """Make and sign a certificate.

        Args:
            values: of the request, in the API's spelling.
            group_id: where its secret lies.
            caller: facts about who asks.
            is_automatic: nobody looks at the answer: refuse a certificate that the end of its CA would cut short.

        Raises:
            Invalid: every broken rule, or the template or CA cannot be used.
        """
        judged = None if is_automatic else self._judge_by_known(values, group_id=group_id, caller=caller)
        if judged is None:
            judged = self.judge(values, group_id=group_id, caller=caller)
        refused = refusal(judged.verdicts)
        if refused is not None:
            raise refused
        if is_automatic:
            _require_full_life(judged)
        linted = self._linting.before_signing(judged.draft, judged.template, judged.issuer)
        context = self._context
        serial = new_serial()
        certificate = sign_draft(judged.draft, context.issuer(judged.issuer.authority), serial)
        return Leaf(
            certificate=certificate,
            draft=judged.draft,
            facts=facts_of_leaf(judged.draft, certificate, certificate_of(judged.issuer.authority)),
            serial=serial,
            payload=_payload(judged, certificate),
            template=judged.template,
            issuer=judged.issuer,
            issued_at=context.now(),
            linted=linted,
            forget=partial(self._known.pop, judged.template.name, None),
        )

    def judge(
        self, values: Mapping[str, Any], *, group_id: GroupId, caller: Mapping[str, str], is_dry: bool = False
    ) -> Judged:
        """Draft the certificate that a request leads to, and ask the rules about it.

        Args:
            values: of the request, in the API's spelling.
            group_id: where its secret lies.
            caller: facts about who asks.
            is_dry: nothing will be signed, so a key that serves for all such drafts will do.

        Raises:
            Invalid: the request cannot even be drafted, or the template or CA cannot be used.
        """
        name = str(values[TEMPLATE])
        template, issuer = self._context.storage.look(lambda unit: _find(unit, name))
        if len(self._known) >= _KNOWN_MOST:
            self._known.clear()
        self._known[name] = _Known(template=template, issuer=issuer, at=self._context.now())
        return self._judge(values, template, issuer, group_id=group_id, caller=caller, is_dry=is_dry)

    def _judge_by_known(
        self, values: Mapping[str, Any], *, group_id: GroupId, caller: Mapping[str, str]
    ) -> Judged | None:
        """Judge by template and CA as they were a moment ago: the commit finds out whether they still are.

        Returns ``None`` where they are not known or would refuse: a refusal has to be of now.
        """
        known = self._known.get(str(values[TEMPLATE]))
        if known is None or not timedelta() <= self._context.now() - known.at < _KNOWN_FOR:
            return None
        try:
            judged = self._judge(values, known.template, known.issuer, group_id=group_id, caller=caller)
        except Invalid:
            return None
        return judged if judged.is_allowed else None

    def _judge(
        self,
        values: Mapping[str, Any],
        template: Configuration,
        issuer: NamedAuthority,
        *,
        group_id: GroupId,
        caller: Mapping[str, str],
        is_dry: bool = False,
    ) -> Judged:
        context = self._context
        now = context.now().replace(microsecond=0)
        groups = allowed_groups(template)
        if groups and group_id not in groups:
            raise Invalid(
                ErrorCode.TEMPLATE_VIOLATION,
                f"secret_group_id: the template {template.name} does not allow certificates in the group {group_id}.",
                field="secret_group_id",
                hint=f"It allows {', '.join(groups)}; a Manager may add the group to allowed_secret_groups.",
                help_page=HELP_PAGE,
            )
        require_able(issuer, now, field=TEMPLATE)
        profile = profile_of_template(template)
        request = parse_leaf_request(values, allow_p224=context.allow_p224)
        key: IssuedKey | None = None
        if request.csr is not None:
            certified = certified_key(request.csr, field="csr", allow_p224=context.allow_p224)
        elif is_dry:
            certified = _stand_in(profile.key)
        else:
            key = context.keys.make_leaf(profile.key)
            certified = key.public_key()
        issuing = issuing_of(context, issuer)
        draft = draft_leaf(request, profile, issuing, certified, now)
        facts = {**caller, "secret_group_id": group_id}
        verdicts = check_draft(draft, profile, issuing=issuing, now=now, caller=facts)
        return Judged(request=request, draft=draft, verdicts=verdicts, template=template, issuer=issuer, key=key)


def _require_full_life(judged: Judged) -> None:
    """Refuse a certificate whose life the end of its CA would cut short.

    Source: contract domain section 5.7: automatic rotation stops then, and people have to hear of it in time.
    """
    name, end = judged.issuer.configuration.name, judged.issuer.authority.not_after
    if end is not None and judged.draft.not_after >= end:
        raise Invalid(
            ErrorCode.STATE_FORBIDS,
            f"The certificate authority {name} ends at {format_rfc3339(end)}, too soon for another certificate of "
            "full life.",
            hint="Rotate or replace the certificate authority; rotating the certificate by hand gives a shorter one.",
        )


def issuing_of(context: AuthorityContext, issuer: NamedAuthority) -> Issuing:
    """Return what a draft takes from the authority that will sign it."""
    document, name, authority = issuer.configuration.document, issuer.configuration.name, issuer.authority
    addresses = context.addresses
    return Issuing(
        certificate=certificate_of(authority),
        max_ttl=timedelta(seconds=document["max_ttl_seconds"]),
        above=tuple(map(load_certificate, authority.chain)),
        crl_url=addresses.crl(name, authority) if document.get("crl_distribution_points_encoded") else None,
        ca_url=addresses.certificate(name, authority) if document.get("issuing_certificates_urls_encoded") else None,
        ocsp_url=addresses.ocsp(name) if document.get("ocsp_urls_encoded") else None,
    )


def _find(unit: ReadUnit, name: str) -> tuple[Configuration, NamedAuthority]:
    template = unit.configurations.find(ConfigKind.TEMPLATE, name)
    if template is None:
        raise Invalid(ErrorCode.INVALID_FIELD, f"{TEMPLATE} names no certificate template: {name}.", field=TEMPLATE)
    authority = unit.configurations.find(ConfigKind.PRIVATE_CA, template.document[AUTHORITY])
    if authority is None:
        raise Invalid(
            ErrorCode.STATE_FORBIDS,
            f"The certificate authority {template.document[AUTHORITY]} of the template {name} is not there any more.",
            field=TEMPLATE,
        )
    return template, current_of(unit, authority)


@cache
def _stand_in(spec: KeySpec) -> CertifiedKey:
    return generate_private_key(spec).public_key()


def _payload(judged: Judged, certificate: Certificate) -> dict[str, Any]:
    chain = chain_of(judged.issuer.authority)
    request = judged.request
    key = None if judged.key is None else private_key_text(judged.key, request.private_key_format)
    return {
        "certificate": certificate_text(pem_of(certificate_der(certificate)), chain, request.format, private_key=key),
        "private_key": key or "",
        "issuing_ca": chain[0],
        "ca_chain": chain,
    }
