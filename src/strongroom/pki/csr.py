"""Managed signing requests: what may be asked for, and the request that is built from it.

Source: contract of the compatible API, model `ImportedCertificateManagedCsr`; RFC 2986 for the request itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.result import Json
from strongroom.pki import names, usages
from strongroom.pki.draft import signature_hash
from strongroom.pki.extensions import build_extended_key_usage, build_key_usage, build_policies, build_san
from strongroom.pki.keys import IssuedKey, KeySpec
from strongroom.pki.members import Members
from strongroom.pki.san import AltNames, OtherSan, build_alt_names, check_other_san, join_common_name
from strongroom.pki.subject import (
    build_subject,
    read_common_name,
    read_subject_lists,
    subject_check,
    subject_of,
    subject_view,
)

PREFIX: Final = "managed_csr"
_MAX_USER_ID: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedCsrSpec:
    """A managed CSR that may be built; only `parse_managed_csr` makes one.

    Names are in the form that goes into the request (ASCII host names, shortest addresses); an empty tuple or text
    means none.

    Attributes:
        key: kind of key, sizes filled in.
        given: the string members exactly as they were sent, to be shown again.
    """

    ou: tuple[str, ...]
    organization: tuple[str, ...]
    country: tuple[str, ...]
    locality: tuple[str, ...]
    province: tuple[str, ...]
    street_address: tuple[str, ...]
    postal_code: tuple[str, ...]
    require_cn: bool
    common_name: str
    alt_names: tuple[str, ...]
    ip_sans: tuple[str, ...]
    uri_sans: tuple[str, ...]
    other_sans: tuple[OtherSan, ...]
    exclude_cn_from_sans: bool
    user_ids: tuple[str, ...]
    server_flag: bool
    client_flag: bool
    code_signing_flag: bool
    email_protection_flag: bool
    key: KeySpec
    key_usage: tuple[str, ...]
    ext_key_usage: tuple[str, ...]
    policy_identifiers: tuple[str, ...]
    ext_key_usage_oids: tuple[str, ...]
    rotate_keys: bool
    given: Mapping[str, str]

    @property
    def hosts_and_emails(self) -> tuple[str, ...]:
        """Return the DNS and e-mail SANs, the common name first if it is one of them."""
        return join_common_name(self.common_name, self.alt_names, exclude=self.exclude_cn_from_sans)


_MEMBERS: Final = frozenset(field.name for field in fields(ManagedCsrSpec)) - {"key", "given"} | {
    "key_type",
    "key_bits",
}


def parse_managed_csr(values: Mapping[str, object]) -> ManagedCsrSpec:
    """Check the members of ``managed_csr`` and fill in what is absent or null.

    Args:
        values: members by their API names; a stored `managed_csr_view` is fine too.

    Raises:
        Invalid: every broken rule, each with a field such as ``managed_csr.common_name``.
    """
    reader = Members(values, within=PREFIX, what="a managed CSR")
    reader.refuse_unknown(_MEMBERS)
    require_cn = reader.read_flag("require_cn", default=True)
    spec = ManagedCsrSpec(
        **read_subject_lists(reader),
        require_cn=require_cn,
        common_name=read_common_name(reader, required=require_cn, remark="; leave it out only with require_cn false"),
        alt_names=reader.read_listed("alt_names", names.check_host_or_email),
        ip_sans=reader.read_listed("ip_sans", names.check_address),
        uri_sans=reader.read_listed("uri_sans", names.check_uri),
        other_sans=reader.read_listed("other_sans", check_other_san),
        exclude_cn_from_sans=reader.read_flag("exclude_cn_from_sans", default=False),
        user_ids=reader.read_listed("user_ids", subject_check(_MAX_USER_ID)),
        server_flag=reader.read_flag("server_flag", default=True),
        client_flag=reader.read_flag("client_flag", default=True),
        code_signing_flag=reader.read_flag("code_signing_flag", default=False),
        email_protection_flag=reader.read_flag("email_protection_flag", default=False),
        key=reader.read_key_spec(allow_p224=True),
        key_usage=_read_key_usage(reader),
        ext_key_usage=reader.read_listed("ext_key_usage", usages.check_extended_key_usage),
        policy_identifiers=reader.read_listed("policy_identifiers", names.check_oid),
        ext_key_usage_oids=reader.read_listed("ext_key_usage_oids", names.check_oid),
        rotate_keys=reader.read_flag("rotate_keys", default=False),
        given=reader.given,
    )
    reader.problems.raise_any()
    if not managed_csr_names(spec):
        raise Invalid(
            ErrorCode.MISSING_FIELD,
            f"{PREFIX}.common_name or one of alt_names, ip_sans, uri_sans and other_sans must be given: a certificate "
            "without any name is of no use.",
            field=f"{PREFIX}.common_name",
        )
    return spec


def _read_key_usage(reader: Members) -> tuple[str, ...]:
    chosen = reader.read_listed("key_usage", usages.check_key_usage)
    if not usages.go_together(chosen):
        reader.refuse("key_usage", "needs KeyAgreement beside EncipherOnly and DecipherOnly.")
    return chosen


def managed_csr_names(spec: ManagedCsrSpec) -> set[str]:
    """Return every name the request asks for: the common name and all SANs, in lower case."""
    common = spec.common_name
    if names.looks_like_name(common):
        common = names.check_host_or_email(common)
    listed = {common, *spec.alt_names, *spec.ip_sans, *spec.uri_sans, *map(str, spec.other_sans)}
    return {name.lower() for name in listed if name}


def check_name_kept(old: ManagedCsrSpec, new: ManagedCsrSpec) -> None:
    """Check that a change of a managed CSR keeps at least one name.

    Raises:
        Invalid: ``csr_names_changed`` if no old name is left.
    """
    if managed_csr_names(old).isdisjoint(managed_csr_names(new)):
        kept = ", ".join(sorted(managed_csr_names(old))[:5])
        raise Invalid(
            ErrorCode.CSR_NAMES_CHANGED,
            f"{PREFIX} must keep at least one name of before (common name or alternative name), such as {kept}.",
            field=PREFIX,
            hint="Create a new secret for a certificate with entirely different names.",
        )


def managed_csr_view(spec: ManagedCsrSpec) -> Json:
    """Return the members as the API shows them, without ``csr`` and ``private_key``.

    Required members are always there; strings are as they were given, and absent if they were. The result can be
    stored and given to `parse_managed_csr` again.
    """
    view: Json = {**subject_view(spec)}
    flags = ("require_cn", "exclude_cn_from_sans", "rotate_keys", *(name for name, _ in usages.FLAG_USAGES))
    view |= {name: getattr(spec, name) for name in flags}
    return {**view, **spec.given, "key_type": spec.key.kind, "key_bits": spec.key.bits}


def build_csr(spec: ManagedCsrSpec, key: IssuedKey) -> str:
    """Build and sign the request; return it as PEM.

    Args:
        spec: what to ask for.
        key: a key of the kind that ``spec.key`` names.
    """
    subject = build_subject(subject_of(spec), spec.common_name, user_ids=spec.user_ids)
    builder = x509.CertificateSigningRequestBuilder(subject)
    for extension in _build_extensions(spec, has_subject=bool(list(subject))):
        builder = builder.add_extension(extension.value, critical=extension.critical)
    return builder.sign(key, signature_hash(key)).public_bytes(Encoding.PEM).decode()


def _build_extensions(spec: ManagedCsrSpec, *, has_subject: bool) -> list[x509.Extension[x509.ExtensionType]]:
    found = AltNames(
        hosts_and_emails=spec.hosts_and_emails, addresses=spec.ip_sans, uris=spec.uri_sans, others=spec.other_sans
    )
    flags = [oid for flag, oid in usages.FLAG_USAGES if getattr(spec, flag)]
    return [
        *build_san(build_alt_names(found), has_subject=has_subject),
        *build_key_usage(spec.key_usage),
        *build_extended_key_usage(usages.purposes(flags, spec.ext_key_usage, spec.ext_key_usage_oids)),
        *build_policies(spec.policy_identifiers),
    ]
