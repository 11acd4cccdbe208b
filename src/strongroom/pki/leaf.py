"""Leaf certificates of private authorities: what may be asked for, and the draft that comes of it.

A draft takes names from the request, everything else from the template and the issuing authority. Whether the
template allows the names is decided on the draft, not here. Of a signing request only the key counts, and its common
name and alternative names where the template says so.

Source: contract of the compatible API, domain sections 5.5 and 5.6; RFC 5280 for the extensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.value import value
from strongroom.pki.draft import CertifiedKey, Draft
from strongroom.pki.extensions import (
    Extensions,
    build_extended_key_usage,
    build_key_usage,
    build_policies,
    build_san,
    extension,
)
from strongroom.pki.formats import CertificateFormat, KeyFormat, read_certificate_format, read_key_format
from strongroom.pki.issuing import Issuing, backdated, issuer_extensions, longest_life, remaining_life
from strongroom.pki.members import Members
from strongroom.pki.names import looks_like_name
from strongroom.pki.profile import Profile
from strongroom.pki.san import (
    AltNames,
    OtherSan,
    build_alt_names,
    build_hosts_and_emails,
    join_common_name,
    read_alt_names,
)
from strongroom.pki.signing_request import load_signing_request, request_alt_names, request_common_name
from strongroom.pki.subject import build_subject, read_common_name, subject_of

_MAX_TTL_SENT: Final = timedelta(hours=876_000)
_SECOND: Final = timedelta(seconds=1)


@value
class LeafRequest:
    """A request for a leaf certificate; only `parse_leaf_request` makes one.

    Names are in the form that goes into the certificate.

    Attributes:
        ttl: the life that was asked for; ``None`` for the template's.
        csr: certify its key instead of a new one.
    """

    common_name: str
    alt_names: tuple[str, ...]
    ip_sans: tuple[str, ...]
    uri_sans: tuple[str, ...]
    other_sans: tuple[OtherSan, ...]
    exclude_cn_from_sans: bool
    ttl: timedelta | None
    csr: x509.CertificateSigningRequest | None
    format: CertificateFormat
    private_key_format: KeyFormat


def parse_leaf_request(values: Mapping[str, object], *, allow_p224: bool = False) -> LeafRequest:
    """Check the members of a ``private_cert`` request that describe its certificate; others are not looked at.

    Args:
        values: members by their API names.
        allow_p224: certify keys on that curve.

    Raises:
        Invalid: every broken rule, each with its field.
    """
    members = Members(values, what="a private certificate")
    found = read_alt_names(members)
    request = LeafRequest(
        common_name=read_common_name(members, required=False),
        alt_names=found.hosts_and_emails,
        ip_sans=found.addresses,
        uri_sans=found.uris,
        other_sans=found.others,
        exclude_cn_from_sans=members.read_flag("exclude_cn_from_sans", default=False),
        ttl=members.read_duration("ttl", least=_SECOND, most=_MAX_TTL_SENT),
        csr=_read_csr(members, allow_p224=allow_p224),
        format=read_certificate_format(members),
        private_key_format=read_key_format(members),
    )
    members.problems.raise_any()
    return request


def _read_csr(members: Members, *, allow_p224: bool) -> x509.CertificateSigningRequest | None:
    if not members.read_text("csr"):
        return None
    try:
        return load_signing_request(members.given["csr"], field="csr", allow_p224=allow_p224)
    except Invalid as problem:
        members.problems.note(problem)
        return None


def draft_leaf(
    request: LeafRequest,
    profile: Profile,
    issuing: Issuing,
    public_key: CertifiedKey,
    now: datetime,
) -> Draft:
    """Draft a leaf certificate.

    Args:
        request: what was asked for.
        profile: the template.
        issuing: the authority that will sign.
        public_key: the key to be certified: that of the request's ``csr``, or a new one.
        now: instant from which its life counts.

    Raises:
        Invalid: ``missing_field`` if it would have no name at all, ``invalid_field`` for names in a ``csr`` that cannot
            be used, ``state_forbids`` if the authority has expired.
    """
    now = now.replace(microsecond=0)
    left = remaining_life(issuing, now)
    common_name = _choose_common_name(request, profile)
    subject = build_subject(subject_of(profile), common_name)
    alt_names = _choose_alt_names(request, profile, common_name)
    if not alt_names and not common_name:
        raise Invalid(
            ErrorCode.MISSING_FIELD,
            "common_name or one of alt_names, ip_sans, uri_sans and other_sans must be given: a certificate without "
            "any name is of no use.",
            field="common_name",
        )
    return Draft(
        subject=subject,
        public_key=public_key,
        not_before=backdated(issuing, now, profile.not_before),
        not_after=now + (request.ttl or _default_life(profile, issuing, now, left)),
        extensions=(
            *build_san(alt_names, has_subject=bool(list(subject))),
            *_profile_extensions(profile),
            *issuer_extensions(issuing, public_key),
        ),
    )


def _profile_extensions(profile: Profile) -> Extensions:
    built = build_key_usage(profile.key_usage)
    if profile.basic_constraints_valid_for_non_ca:
        built.append(extension(x509.BasicConstraints(ca=False, path_length=None), critical=True))
    built += build_extended_key_usage(profile.extended_key_usages)
    return [*built, *build_policies(profile.policy_identifiers)]


def _choose_common_name(request: LeafRequest, profile: Profile) -> str:
    if request.csr is not None and profile.use_csr_common_name:
        # Clients must send a common name even with a request that has one; where it has none, theirs counts.
        return request_common_name(request.csr, field="csr") or request.common_name
    return request.common_name


def _choose_alt_names(request: LeafRequest, profile: Profile, common_name: str) -> list[x509.GeneralName]:
    if request.csr is None or not profile.use_csr_sans:
        joined = join_common_name(common_name, request.alt_names, exclude=request.exclude_cn_from_sans)
        return build_alt_names(
            AltNames(
                hosts_and_emails=joined, addresses=request.ip_sans, uris=request.uri_sans, others=request.other_sans
            )
        )
    listed = list(dict.fromkeys(request_alt_names(request.csr, field="csr")))
    if request.exclude_cn_from_sans or not looks_like_name(common_name):
        return listed
    own = build_hosts_and_emails(join_common_name(common_name, (), exclude=False))
    return [*(name for name in own if not _is_among(name, listed)), *listed]


def _is_among(name: x509.GeneralName, listed: list[x509.GeneralName]) -> bool:
    return any(type(other) is type(name) and str(other.value).lower() == str(name.value).lower() for other in listed)


def _default_life(profile: Profile, issuing: Issuing, now: datetime, left: timedelta) -> timedelta:
    """Return how long a leaf lives whose request does not say: as the template says, else as the authority allows.

    One that was asked for is not shortened: the rules refuse it if it is too long.

    Source: design, section 8 ("life of a leaf").
    """
    wanted = profile.ttl or profile.max_ttl or issuing.max_ttl
    limits = (left, longest_life(now), issuing.max_ttl, profile.max_ttl or wanted)
    return min(wanted, *limits)
