"""Certificate authorities of our own: from the members of a request to what is stored and built.

The stored document has the API's spelling and holds every setting, defaults filled in; durations are seconds.
`AuthoritySpec` is what a certificate or signing request is built from.

Source: contract of the compatible API, model M4.2, domain sections 5.2 to 5.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from strongroom.kernel.errors import ErrorCode
from strongroom.kernel.result import Json
from strongroom.kernel.value import value
from strongroom.pki import names
from strongroom.pki.formats import read_certificate_format, read_key_format
from strongroom.pki.keys import KeySpec
from strongroom.pki.members import Members, write_duration
from strongroom.pki.names import NameProblem
from strongroom.pki.san import AltNames, join_common_name, read_alt_names
from strongroom.pki.subject import (
    SUBJECT_MEMBERS,
    Subject,
    read_common_name,
    read_serial_number,
    read_subject,
    subject_view,
)

LEAST_MAX_TTL: Final = timedelta(hours=1)
MOST_TTL: Final = timedelta(hours=876_000)
DEFAULT_CRL_EXPIRY: Final = timedelta(hours=72)
UNLIMITED: Final = -1
MOST_PATH_LENGTH: Final = 10

_LEAST_CRL_EXPIRY: Final = timedelta(minutes=1)
_MOST_CRL_EXPIRY: Final = timedelta(days=365)
_SECOND: Final = timedelta(seconds=1)

_SIGNING_METHODS: Final = ("internal", "external")
_FLAGS: Final = (
    "crl_disable",
    "crl_distribution_points_encoded",
    "issuing_certificates_urls_encoded",
    "ocsp_urls_encoded",
)
_PATCHABLE: Final = frozenset({"max_ttl", "crl_expiry", *_FLAGS})
NAME_MEMBERS: Final = (
    "common_name",
    "alt_names",
    "ip_sans",
    "uri_sans",
    "other_sans",
    "exclude_cn_from_sans",
    *SUBJECT_MEMBERS,
    "serial_number",
)
"""Members that say how a CA is called."""
_OF_BOTH: Final = frozenset({*NAME_MEMBERS, *_PATCHABLE, "format", "private_key_format", "key_type", "key_bits"})
_PASSED_OVER: Final = frozenset({"config_type", "name", "crypto_key"})
_OF_ROOTS: Final = frozenset({"ttl", "max_path_length", "permitted_dns_domains"})
_OF_INTERMEDIATES: Final = frozenset({"signing_method", "issuer", "auto_sign"})
_CA_NAME_LENGTHS: Final = (2, 128)


@value
class CaNames:
    """How a CA is called.

    Attributes:
        serial_number: attribute of the subject, not the number of the certificate.
        alt_names: those asked for, without the common name.
    """

    common_name: str
    subject: Subject
    serial_number: str
    alt_names: AltNames
    exclude_cn_from_sans: bool

    @property
    def all_alt_names(self) -> AltNames:
        """Return the alternative names, the common name among them if it is such a name."""
        joined = join_common_name(self.common_name, self.alt_names.hosts_and_emails, exclude=self.exclude_cn_from_sans)
        return AltNames(
            hosts_and_emails=joined,
            addresses=self.alt_names.addresses,
            uris=self.alt_names.uris,
            others=self.alt_names.others,
        )


@value
class AuthoritySpec:
    """What a CA's certificate or signing request is built from.

    Attributes:
        ttl: life of a root's certificate.
        max_path_length: CA certificates below it; -1 for any number. Of an intermediate, its signer decides.
        permitted_dns_domains: the only domains of names below it; none means any.
    """

    names: CaNames
    key: KeySpec
    ttl: timedelta
    max_path_length: int = UNLIMITED
    permitted_dns_domains: tuple[str, ...] = ()


def parse_authority(
    values: Mapping[str, object], *, root: bool, allow_p224: bool = False
) -> tuple[Json, AuthoritySpec]:
    """Check the members of a create body; return the document to be stored, and what to build.

    Args:
        values: members by their API names; null is the same as absent. ``name``, ``config_type`` and ``crypto_key``
            are passed over.
        root: a root, or an intermediate.
        allow_p224: whether keys on the curve P-224 may be asked for.

    Raises:
        Invalid: every broken rule, by field.
    """
    members = Members(values, what="a root CA" if root else "an intermediate CA")
    members.refuse_unknown(_OF_BOTH | _PASSED_OVER | (_OF_ROOTS if root else _OF_INTERMEDIATES))
    ca_names = read_ca_names(members, required=True)
    key = members.read_key_spec(allow_p224=allow_p224)
    members.require("max_ttl")
    max_ttl = members.read_duration("max_ttl", least=LEAST_MAX_TTL, most=MOST_TTL) or LEAST_MAX_TTL
    document: Json = {
        **_names_document(ca_names, values),
        "key_type": key.kind,
        "key_bits": key.bits,
        "max_ttl_seconds": _seconds(max_ttl),
        "crl_expiry_seconds": _seconds(_read_crl_expiry(members)),
        **{name: members.read_flag(name, default=False) for name in _FLAGS},
        "format": read_certificate_format(members).value,
        "private_key_format": read_key_format(members).value,
    }
    if root:
        spec, more = _read_root(members, ca_names, key, max_ttl)
    else:
        spec, more = AuthoritySpec(names=ca_names, key=key, ttl=max_ttl), _read_intermediate(members)
    members.problems.raise_any()
    return {**document, **more}, spec


def authority_spec(document: Mapping[str, Any]) -> AuthoritySpec:
    """Return what to build from a document that `parse_authority` made, for another key of the same CA."""
    members = Members(document, what="a CA")
    spec = AuthoritySpec(
        names=read_ca_names(members, required=True),
        key=members.read_key_spec(allow_p224=True),
        ttl=timedelta(seconds=document.get("ttl_seconds") or document["max_ttl_seconds"]),
        max_path_length=members.read_number("max_path_length", default=UNLIMITED),
        permitted_dns_domains=read_permitted_domains(members),
    )
    members.problems.raise_any()
    return spec


def patch_authority(document: Mapping[str, Any], changes: Mapping[str, object]) -> Json:
    """Return the document with some settings replaced; null puts a setting back to its default.

    Certificates that exist are not changed.

    Raises:
        Invalid: every broken rule, by field.
    """
    members = Members(changes, what="a certificate authority")
    for name in sorted(set(changes) & ((_OF_BOTH | _PASSED_OVER | _OF_ROOTS | _OF_INTERMEDIATES) - _PATCHABLE)):
        members.refuse(name, f"cannot be changed; only {', '.join(sorted(_PATCHABLE))} can.")
    members.refuse_unknown(_OF_BOTH | _PASSED_OVER | _OF_ROOTS | _OF_INTERMEDIATES)
    changed = dict(document)
    if "max_ttl" in changes:
        members.require("max_ttl")
        max_ttl = members.read_duration("max_ttl", least=LEAST_MAX_TTL, most=MOST_TTL)
        changed["max_ttl_seconds"] = _seconds(max_ttl or LEAST_MAX_TTL)
    if "crl_expiry" in changes:
        changed["crl_expiry_seconds"] = _seconds(_read_crl_expiry(members))
    changed |= {name: members.read_flag(name, default=False) for name in _FLAGS if name in changes}
    members.problems.raise_any()
    return changed


def read_ca_names(members: Members, *, required: bool) -> CaNames:
    """Read how a CA is called, noting what is wrong with it."""
    return CaNames(
        common_name=read_common_name(members, required=required),
        subject=read_subject(members),
        serial_number=read_serial_number(members),
        alt_names=read_alt_names(members),
        exclude_cn_from_sans=members.read_flag("exclude_cn_from_sans", default=False),
    )


def read_permitted_domains(members: Members) -> tuple[str, ...]:
    """Read ``permitted_dns_domains``, noting what is wrong with them."""
    return members.read_texts("permitted_dns_domains", _check_domain)


def read_path_length(members: Members) -> int:
    """Read ``max_path_length``, noting what is wrong with it; -1 if there is none."""
    length = members.read_number("max_path_length", default=UNLIMITED)
    if not UNLIMITED <= length <= MOST_PATH_LENGTH:
        members.refuse("max_path_length", f"is {length}; 0 to {MOST_PATH_LENGTH}, or -1 for no limit, are allowed.")
    return length


def _check_domain(text: str) -> str:
    if text.startswith("."):
        # RFC 5280 section 4.2.1.10 knows no leading dot, and verifiers disagree about it.
        raise NameProblem(f"leave out the dot at its start: {text.lstrip('.')} covers its subdomains too")
    if "*" in text:
        raise NameProblem("a domain has no wildcard; it covers its subdomains anyway")
    return names.check_host(text)


def _read_crl_expiry(members: Members) -> timedelta:
    return members.read_duration("crl_expiry", least=_LEAST_CRL_EXPIRY, most=_MOST_CRL_EXPIRY) or DEFAULT_CRL_EXPIRY


def _read_root(members: Members, ca_names: CaNames, key: KeySpec, max_ttl: timedelta) -> tuple[AuthoritySpec, Json]:
    ttl = members.read_duration("ttl", least=_SECOND, most=MOST_TTL) or max_ttl
    if ttl > max_ttl:
        members.refuse("ttl", f"is {write_duration(ttl)}, which is more than max_ttl, {write_duration(max_ttl)}.")
    spec = AuthoritySpec(
        names=ca_names,
        key=key,
        ttl=ttl,
        max_path_length=read_path_length(members),
        permitted_dns_domains=read_permitted_domains(members),
    )
    return spec, {
        "ttl_seconds": _seconds(ttl),
        "max_path_length": spec.max_path_length,
        "permitted_dns_domains": list(spec.permitted_dns_domains),
    }


def _read_intermediate(members: Members) -> Json:
    members.require("signing_method")
    method = members.read_choice("signing_method", _SIGNING_METHODS, default="")
    issuer = members.read_text("issuer")
    low, high = _CA_NAME_LENGTHS
    if method == "internal" and not issuer:
        members.refuse("issuer", "is required with signing_method internal.", code=ErrorCode.MISSING_FIELD)
    elif issuer and not low <= len(issuer) <= high:
        members.refuse("issuer", f"has {len(issuer)} characters; {low} to {high} are allowed.")
    auto_sign = members.read_flag("auto_sign", default=False)
    if auto_sign and method == "external":
        members.refuse("auto_sign", "needs signing_method internal: nobody here can sign it.")
    document: Json = {"signing_method": method, "auto_sign": auto_sign}
    return {**document, "issuer": issuer} if issuer else document


def _names_document(ca_names: CaNames, values: Mapping[str, object]) -> Json:
    """Return how the CA is called as the API shows it: alternative names as they were sent."""
    document: Json = {
        "common_name": ca_names.common_name,
        "exclude_cn_from_sans": ca_names.exclude_cn_from_sans,
        **subject_view(ca_names.subject),
    }
    sent = ("alt_names", "ip_sans", "uri_sans", "other_sans", "serial_number")
    return document | {name: values[name] for name in sent if values.get(name) is not None}


def _seconds(duration: timedelta) -> int:
    return int(duration.total_seconds())
