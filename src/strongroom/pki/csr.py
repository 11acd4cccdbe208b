"""Managed signing requests: what may be asked for, and the request that is built from it.

Source: contract of the compatible API, model `ImportedCertificateManagedCsr`; RFC 2986 for the request itself.
"""

from __future__ import annotations

import ipaddress
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.result import Json
from strongroom.pki import names, usages
from strongroom.pki.csr_values import PREFIX, Values
from strongroom.pki.der import encode_utf8_string
from strongroom.pki.keys import EC_CURVES, RSA_SIZES, IssuedKey, KeySpec
from strongroom.pki.names import NameProblem

MAX_COMMON_NAME: Final = 128

_OTHER_SAN: Final = re.compile(r"([0-9.]+)[;:](?:UTF-?8|UTF8String):(.+)", re.IGNORECASE)
_COUNTRY: Final = re.compile(r"[A-Za-z]{2}")
_MAX_OTHER_VALUE: Final = 1024
_MAX_USER_ID: Final = 256

_SUBJECT_LIMITS: Final = {
    # Upper bounds of RFC 5280 appendix A.1 (ub-...); certificate authorities refuse more.
    "organization": 64,
    "ou": 64,
    "locality": 128,
    "province": 128,
    "street_address": 128,
    "postal_code": 40,
}
_SUBJECT_OIDS: Final = (
    ("country", NameOID.COUNTRY_NAME),
    ("province", NameOID.STATE_OR_PROVINCE_NAME),
    ("locality", NameOID.LOCALITY_NAME),
    ("street_address", NameOID.STREET_ADDRESS),
    ("postal_code", NameOID.POSTAL_CODE),
    ("organization", NameOID.ORGANIZATION_NAME),
    ("ou", NameOID.ORGANIZATIONAL_UNIT_NAME),
    ("user_ids", NameOID.USER_ID),
)
_FLAG_USAGES: Final = (
    ("server_flag", usages.SERVER_AUTH),
    ("client_flag", usages.CLIENT_AUTH),
    ("code_signing_flag", usages.CODE_SIGNING),
    ("email_protection_flag", usages.EMAIL_PROTECTION),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherSan:
    """A subject alternative name of a kind of its own, always text.

    Attributes:
        oid: dotted kind.
        value: the text.
    """

    oid: str
    value: str

    def __str__(self) -> str:
        return f"{self.oid};UTF8:{self.value}"


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
        listed = list(self.alt_names)
        if not self.exclude_cn_from_sans and names.looks_like_name(self.common_name):
            listed.insert(0, names.check_host_or_email(self.common_name))
        unique = {name.lower(): name for name in reversed(listed)}
        return tuple(reversed(unique.values()))


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
    reader = Values(values)
    reader.refuse_unknown(_MEMBERS)
    subject = {name: reader.read_subject(name, _subject_check(limit)) for name, limit in _SUBJECT_LIMITS.items()}
    require_cn = reader.read_flag("require_cn", default=True)
    spec = ManagedCsrSpec(
        country=reader.read_subject("country", _check_country),
        **subject,
        require_cn=require_cn,
        common_name=_read_common_name(reader, required=require_cn),
        alt_names=reader.read_listed("alt_names", names.check_host_or_email),
        ip_sans=reader.read_listed("ip_sans", names.check_address),
        uri_sans=reader.read_listed("uri_sans", names.check_uri),
        other_sans=reader.read_listed("other_sans", _check_other_san),
        exclude_cn_from_sans=reader.read_flag("exclude_cn_from_sans", default=False),
        user_ids=reader.read_listed("user_ids", _subject_check(_MAX_USER_ID)),
        server_flag=reader.read_flag("server_flag", default=True),
        client_flag=reader.read_flag("client_flag", default=True),
        code_signing_flag=reader.read_flag("code_signing_flag", default=False),
        email_protection_flag=reader.read_flag("email_protection_flag", default=False),
        key=_read_key(reader),
        key_usage=_read_key_usage(reader),
        ext_key_usage=reader.read_listed("ext_key_usage", _check_extended_usage),
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


def _subject_check(limit: int) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not text.strip():
            raise NameProblem("it is empty")
        if not text.isprintable():
            raise NameProblem("it has control characters")
        if len(text) > limit:
            raise NameProblem(f"it has {len(text)} characters; at most {limit} are allowed")
        return text

    return check


def _check_country(text: str) -> str:
    if not _COUNTRY.fullmatch(text):
        raise NameProblem("a country is a code of two letters, such as DE or US")
    return text


def _check_other_san(text: str) -> OtherSan:
    match = _OTHER_SAN.fullmatch(text)
    if match is None:
        raise NameProblem("write it as oid;UTF8:value, such as 2.5.4.5;UTF8:1234")
    if len(match[2]) > _MAX_OTHER_VALUE:
        raise NameProblem(f"the value has at most {_MAX_OTHER_VALUE} characters")
    if not match[2].isprintable():
        raise NameProblem("the value has control characters")
    return OtherSan(oid=names.check_oid(match[1]), value=match[2])


def _check_extended_usage(text: str) -> str:
    usage = usages.find_extended_key_usage(text)
    if usage is None:
        raise NameProblem(f"extended key usages are {', '.join(usages.EXTENDED_KEY_USAGES)}")
    return usage


def _check_usage(text: str) -> str:
    usage = usages.find_key_usage(text)
    if usage is None:
        raise NameProblem(f"key usages are {', '.join(usages.KEY_USAGES)}")
    return usage


def _read_common_name(reader: Values, *, required: bool) -> str:
    text = reader.read_text("common_name")
    if required and not text:
        reader.refuse(
            "common_name", "is required; leave it out only with require_cn false.", code=ErrorCode.MISSING_FIELD
        )
    if len(text) > MAX_COMMON_NAME:
        reader.refuse("common_name", f"has {len(text)} characters; at most {MAX_COMMON_NAME} are allowed.")
    if not text.isprintable():
        reader.refuse("common_name", "has control characters.")
    return text


def _read_key_usage(reader: Values) -> tuple[str, ...]:
    chosen = reader.read_listed("key_usage", _check_usage)
    if {"EncipherOnly", "DecipherOnly"} & set(chosen) and "KeyAgreement" not in chosen:
        # RFC 5280 section 4.2.1.3: without keyAgreement their meaning is undefined.
        reader.refuse("key_usage", "needs KeyAgreement beside EncipherOnly and DecipherOnly.")
    return chosen


def _read_key(reader: Values) -> KeySpec:
    kind, bits = reader.read_text("key_type") or "rsa", reader.read_number("key_bits")
    match kind:
        case "rsa":
            sizes, default = tuple(RSA_SIZES), 2048
        case "ec":
            sizes, default = tuple(EC_CURVES), 256
        case "ed25519":
            return KeySpec(kind="ed25519", bits=0)
        case _:
            reader.refuse("key_type", "must be rsa, ec or ed25519.")
            return KeySpec(kind="rsa", bits=2048)
    bits = bits or default
    if bits not in sizes:
        reader.refuse("key_bits", f"is {bits}; for key_type {kind} it must be one of {', '.join(map(str, sizes))}.")
    return KeySpec(kind=kind, bits=bits)


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
    view: Json = {name: list(getattr(spec, name)) for name in (*_SUBJECT_LIMITS, "country")}
    flags = ("require_cn", "exclude_cn_from_sans", "rotate_keys", *(name for name, _ in _FLAG_USAGES))
    view |= {name: getattr(spec, name) for name in flags}
    return {**view, **spec.given, "key_type": spec.key.kind, "key_bits": spec.key.bits}


def build_csr(spec: ManagedCsrSpec, key: IssuedKey) -> str:
    """Build and sign the request; return it as PEM.

    Args:
        spec: what to ask for.
        key: a key of the kind that ``spec.key`` names.
    """
    builder = x509.CertificateSigningRequestBuilder(_build_subject(spec))
    for extension, critical in _build_extensions(spec):
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(key, _choose_hash(key)).public_bytes(Encoding.PEM).decode()


def _build_subject(spec: ManagedCsrSpec) -> x509.Name:
    attributes = [
        # Authorities want the country code in capitals; it is shown again as it was sent.
        x509.NameAttribute(oid, value.upper() if member == "country" else value)
        for member, oid in _SUBJECT_OIDS
        for value in getattr(spec, member)
    ]
    if spec.common_name:
        attributes.append(_build_common_name(spec.common_name))
    return x509.Name(attributes)


def _build_common_name(text: str) -> x509.NameAttribute[str]:
    # DEVIATION: RFC 5280 stops at 64 characters, the compatible API at 128; private authorities sign the longer ones.
    # The library counts bytes besides, so that 40 characters of some scripts would be too many for it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return x509.NameAttribute(NameOID.COMMON_NAME, text, _validate=False)


def _build_extensions(spec: ManagedCsrSpec) -> list[tuple[x509.ExtensionType, bool]]:
    built: list[tuple[x509.ExtensionType, bool]] = []
    alt_names = _build_alt_names(spec)
    if alt_names:
        # RFC 5280 section 4.2.1.6: critical where the subject is empty.
        has_subject = bool(spec.common_name) or any(getattr(spec, member) for member, _ in _SUBJECT_OIDS)
        built.append((x509.SubjectAlternativeName(alt_names), not has_subject))
    if spec.key_usage:
        chosen = {keyword: name in spec.key_usage for name, keyword in usages.KEY_USAGES.items()}
        built.append((x509.KeyUsage(**chosen), True))
    purposes = [oid for flag, oid in _FLAG_USAGES if getattr(spec, flag)]
    purposes += [usages.EXTENDED_KEY_USAGES[name] for name in spec.ext_key_usage]
    purposes += spec.ext_key_usage_oids
    if purposes:
        unique = dict.fromkeys(purposes)
        built.append((x509.ExtendedKeyUsage([x509.ObjectIdentifier(oid) for oid in unique]), False))
    if spec.policy_identifiers:
        policies = [x509.PolicyInformation(x509.ObjectIdentifier(oid), None) for oid in spec.policy_identifiers]
        built.append((x509.CertificatePolicies(policies), False))
    return built


def _build_alt_names(spec: ManagedCsrSpec) -> list[x509.GeneralName]:
    listed: list[x509.GeneralName] = [
        x509.RFC822Name(name) if "@" in name else x509.DNSName(name) for name in spec.hosts_and_emails
    ]
    listed += [x509.IPAddress(ipaddress.ip_address(address)) for address in spec.ip_sans]
    listed += [x509.UniformResourceIdentifier(uri) for uri in spec.uri_sans]
    listed += [x509.OtherName(x509.ObjectIdentifier(san.oid), encode_utf8_string(san.value)) for san in spec.other_sans]
    return listed


def _choose_hash(key: IssuedKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    # A hash as strong as the curve, which is what authorities ask for (RFC 5758, BR 7.1.3.2.2).
    match key:
        case ed25519.Ed25519PrivateKey():
            return None
        case ec.EllipticCurvePrivateKey() if key.curve.key_size > 384:
            return hashes.SHA512()
        case ec.EllipticCurvePrivateKey() if key.curve.key_size > 256:
            return hashes.SHA384()
        case _:
            return hashes.SHA256()
