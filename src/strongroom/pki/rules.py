"""Holds the certificate about to be signed against its template.

What is judged is the `Draft`: every name, usage and extension that the signature will cover. A request never is, so
that nothing in it can slip past. There is one verdict for each rule, and for rules about names one for each name; the
smallest change that would pass goes with every failure.

Source: contract domain sections 5.5 and 5.6, design section 8 ("life of a leaf"); RFC 5280 section 4.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from strongroom.kernel.time import format_rfc3339
from strongroom.pki import usages
from strongroom.pki.constraint_rules import check_constraints
from strongroom.pki.draft import CertifiedKey, Draft
from strongroom.pki.extensions import build_addresses, build_key_ids, build_key_usage
from strongroom.pki.issuing import Issuing, longest_life
from strongroom.pki.keys import EC_CURVES, RSA_SIZES, KeySpec
from strongroom.pki.members import shorten, write_duration
from strongroom.pki.name_rules import Kind, Name, check_names
from strongroom.pki.names import check_host_or_email, looks_like_name
from strongroom.pki.profile import Profile
from strongroom.pki.san_rules import check_alt_names
from strongroom.pki.subject import build_subject, find_common_name, subject_of
from strongroom.pki.verdicts import Rule, Verdict, failed, passed, skipped

ExtensionT = TypeVar("ExtensionT", bound=x509.ExtensionType)

_KNOWN_EXTENSIONS: Final = (
    x509.SubjectAlternativeName,
    x509.KeyUsage,
    x509.ExtendedKeyUsage,
    x509.BasicConstraints,
    x509.SubjectKeyIdentifier,
    x509.AuthorityKeyIdentifier,
    x509.CRLDistributionPoints,
    x509.AuthorityInformationAccess,
    x509.CertificatePolicies,
)
_NEVER_CRITICAL: Final = (
    # RFC 5280 sections 4.2.1.1, 4.2.1.2 and 4.2.2.1.
    x509.AuthorityKeyIdentifier,
    x509.SubjectKeyIdentifier,
    x509.AuthorityInformationAccess,
)
_MOST_RSA_BITS: Final = max(RSA_SIZES)
_LEAST_RSA_EXPONENT: Final = 3


def check_draft(
    draft: Draft, profile: Profile, *, issuing: Issuing, now: datetime, caller: Mapping[str, str]
) -> tuple[Verdict, ...]:
    """Judge a certificate by every rule of its template and of the authority that will sign it.

    Args:
        draft: exactly what will be signed.
        profile: the template's rules.
        issuing: the authority.
        now: instant from which its life counts.
        caller: facts for placeholders in allowed domains, by the names of `placeholders.FACTS`.
    """
    listed = _find(draft, x509.SubjectAlternativeName)
    alt_names = list(listed) if listed is not None else []
    now = now.replace(microsecond=0)
    return (
        *_check_subject(draft, profile),
        _check_common_name(draft, profile, alt_names),
        *check_names(_collect_names(draft, alt_names), profile, caller),
        *check_alt_names(alt_names, profile),
        *check_constraints(_constrained(draft, alt_names), (issuing.certificate, *issuing.above)),
        _check_key(draft.public_key, profile.key),
        _check_key_usage(draft, profile),
        _check_extended_usages(draft, profile),
        _check_policies(draft, profile),
        _check_basic_constraints(draft, profile),
        *_check_key_ids(draft, issuing),
        _check_issuer_urls(draft, issuing),
        _check_extensions(draft),
        _check_start(draft, profile, now),
        *_check_life(draft, profile, issuing, now),
    )


def _find(draft: Draft, kind: type[ExtensionT]) -> ExtensionT | None:
    """Return the extension of a kind; `_check_extensions` refuses a second one, and those that only look like it."""
    for item in draft.extensions:
        found = item.value
        if type(found) is kind:
            return found
    return None


def _constrained(draft: Draft, alt_names: list[x509.GeneralName]) -> list[x509.GeneralName]:
    """Return the names that name constraints are about; verifiers take a host in the common name for one, too."""
    common_name = find_common_name(draft.subject)
    if any(isinstance(name, x509.DNSName) for name in alt_names) or not looks_like_name(common_name):
        return alt_names
    host = common_name if "@" in common_name else check_host_or_email(common_name)
    return alt_names if "@" in host else [*alt_names, x509.DNSName(host)]


def _check_subject(draft: Draft, profile: Profile) -> Iterator[Verdict]:
    expected = build_subject(subject_of(profile), "")
    found = [attribute for attribute in draft.subject if attribute.oid != NameOID.COMMON_NAME]
    wanted = list(expected)
    foreign = [attribute for attribute in found if attribute not in wanted]
    missing = [attribute for attribute in wanted if attribute not in found]
    shown = shorten(x509.Name(found).rfc4514_string())
    advice = f"exactly the subject of the template, {_show_subject(expected)}"
    if foreign:
        what = ", ".join(shorten(attribute.rfc4514_string()) for attribute in foreign)
        message = f"The subject holds {what}, which the template does not have."
        yield failed(Rule.SUBJECT, message, advice=advice, value=shown)
    elif missing:
        what = ", ".join(shorten(attribute.rfc4514_string()) for attribute in missing)
        yield failed(Rule.SUBJECT, f"The subject lacks {what} of the template.", advice=advice, value=shown)
    elif len(found) != len(wanted) or any(len(rdn) > 1 for rdn in draft.subject.rdns):
        message = "The subject holds a value twice, or several values in one part."
        yield failed(Rule.SUBJECT, message, advice=advice, value=shown)
    else:
        yield passed(Rule.SUBJECT, "Beside the common name, the subject is that of the template.", value=shown)


def _show_subject(name: x509.Name) -> str:
    return shorten(name.rfc4514_string()) if list(name) else "which is empty"


def _common_names(draft: Draft) -> list[str]:
    return [str(attribute.value) for attribute in draft.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]


def _check_common_name(draft: Draft, profile: Profile, alt_names: list[x509.GeneralName]) -> Verdict:
    found = _common_names(draft)
    if len(found) > 1:
        return failed(
            Rule.REQUIRE_CN,
            f"The subject has {len(found)} common names.",
            advice="one common name, and the other names in alt_names",
            value=shorten(", ".join(found)),
        )
    if found:
        return passed(Rule.REQUIRE_CN, "There is a common name.", value=shorten(found[0]))
    if profile.require_cn:
        return failed(
            Rule.REQUIRE_CN,
            "common_name is missing, and the template requires one.",
            advice="a common_name, or require_cn false on the template",
        )
    if not alt_names:
        return failed(
            Rule.REQUIRE_CN,
            "The certificate would have no name at all.",
            advice="a common_name, or one of alt_names, ip_sans, uri_sans and other_sans",
        )
    return skipped(Rule.REQUIRE_CN, "The template requires no common name.")


def _collect_names(draft: Draft, alt_names: Iterable[x509.GeneralName]) -> Iterator[Name]:
    for text in _common_names(draft):
        yield Name(text=text, kind="common_name")
    kinds: dict[type[x509.GeneralName], Kind] = {x509.DNSName: "dns", x509.RFC822Name: "email"}
    for alt_name in alt_names:
        kind = kinds.get(type(alt_name))
        if kind:
            yield Name(text=str(alt_name.value), kind=kind)


def _check_key(key: CertifiedKey, wanted: KeySpec) -> Verdict:
    shown, fits = _judge_key(key, wanted)
    if fits:
        return passed(Rule.KEY_TYPE, f"The key, {shown}, is of the template's kind.", value=shown)
    advice = {
        "rsa": f"an RSA key of {wanted.bits} bits or more, up to {_MOST_RSA_BITS}",
        "ec": f"a key on P-{wanted.bits} or a larger NIST curve",
        "ed25519": "an Ed25519 key",
    }[wanted.kind]
    message = f"The key is {shown}, and the template wants {wanted.kind} {wanted.bits or ''}".rstrip() + "."
    return failed(Rule.KEY_TYPE, message, advice=f"{advice}, or key_type and key_bits of it", value=shown, field="csr")


def _judge_key(key: object, wanted: KeySpec) -> tuple[str, bool]:
    match key:
        case rsa.RSAPublicKey():
            exponent = key.public_numbers().e
            sound = exponent >= _LEAST_RSA_EXPONENT and exponent % 2 == 1
            fits = sound and wanted.kind == "rsa" and wanted.bits <= key.key_size <= _MOST_RSA_BITS
            return f"RSA {key.key_size}" + ("" if sound else f" with the exponent {exponent}"), fits
        case ec.EllipticCurvePublicKey():
            known = any(isinstance(key.curve, curve) for curve in EC_CURVES.values())
            return f"EC {key.curve.name}", known and wanted.kind == "ec" and key.curve.key_size >= wanted.bits
        case ed25519.Ed25519PublicKey():
            return "Ed25519", wanted.kind == "ed25519"
    return type(key).__name__, False


def _check_key_usage(draft: Draft, profile: Profile) -> Verdict:
    found = _find(draft, x509.KeyUsage)
    wanted = next((item.value for item in build_key_usage(profile.key_usage)), None)
    shown = ", ".join(_list_usages(found)) if found is not None else ""
    if found == wanted:
        return passed(Rule.KEY_USAGE, "The key usages are those of the template.", value=shown)
    return failed(
        Rule.KEY_USAGE,
        f"The key usages are {shown or 'none'}, not those of the template.",
        advice=f"exactly {', '.join(profile.key_usage) or 'none'}",
        value=shown,
    )


def _list_usages(found: x509.KeyUsage) -> list[str]:
    # Under the underscore the last two are readable without key agreement as well.
    return [name for name, keyword in usages.KEY_USAGES.items() if getattr(found, f"_{keyword}")]


def _check_extended_usages(draft: Draft, profile: Profile) -> Verdict:
    found = [oid.dotted_string for oid in _find(draft, x509.ExtendedKeyUsage) or ()]
    return _compare_oids(Rule.EXT_KEY_USAGE, "extended key usages", found, profile.extended_key_usages)


def _check_policies(draft: Draft, profile: Profile) -> Verdict:
    policies = list(_find(draft, x509.CertificatePolicies) or ())
    found = [policy.policy_identifier.dotted_string for policy in policies]
    if any(policy.policy_qualifiers for policy in policies):
        return failed(
            Rule.POLICY_IDENTIFIERS,
            "A certificate policy has qualifiers, which no template gives.",
            advice="policies without qualifiers",
            value=shorten(", ".join(found)),
        )
    return _compare_oids(Rule.POLICY_IDENTIFIERS, "certificate policies", found, profile.policy_identifiers)


def _compare_oids(rule: Rule, what: str, found: list[str], wanted: tuple[str, ...]) -> Verdict:
    shown = shorten(", ".join(found))
    if sorted(found) == sorted(wanted):
        return passed(rule, f"The {what} are those of the template.", value=shown)
    return failed(
        rule,
        f"The {what} are {shown or 'none'}, not those of the template.",
        advice=f"exactly {', '.join(wanted) or 'none'}",
        value=shown,
    )


def _check_basic_constraints(draft: Draft, profile: Profile) -> Verdict:
    found = _find(draft, x509.BasicConstraints)
    wanted = profile.basic_constraints_valid_for_non_ca
    shown = "" if found is None else f"CA:{str(found.ca).upper()}"
    if found is not None and (found.ca or found.path_length is not None):
        message = "The certificate would be one of a CA, which no template gives."
        advice = "a leaf; a Manager signs CAs with an action of the parent"
    elif (found is not None) != wanted:
        message = f"The basic constraints are {'there' if found else 'missing'}, against the template."
        advice = f"basic constraints {'with CA false' if wanted else 'left out'}"
    else:
        return passed(Rule.BASIC_CONSTRAINTS, "The certificate is one of a leaf.", value=shown)
    return failed(Rule.BASIC_CONSTRAINTS, message, advice=advice, value=shown)


def _check_key_ids(draft: Draft, issuing: Issuing) -> Iterator[Verdict]:
    rules = {
        x509.SubjectKeyIdentifier: (Rule.SUBJECT_KEY_IDENTIFIER, "its own key"),
        x509.AuthorityKeyIdentifier: (Rule.AUTHORITY_KEY_IDENTIFIER, "the key of the authority that signs"),
    }
    for wanted in build_key_ids(draft.public_key, issuing.certificate):
        rule, whose = rules[type(wanted.value)]
        if _find(draft, type(wanted.value)) == wanted.value:
            yield passed(rule, f"The identifier is that of {whose}.")
        else:
            message = f"The certificate lacks the identifier of {whose}, or has another one."
            yield failed(rule, message, advice=f"the identifier of {whose}", field="csr")


def _check_issuer_urls(draft: Draft, issuing: Issuing) -> Verdict:
    wanted = build_addresses(crl_url=issuing.crl_url, ca_url=issuing.ca_url, ocsp_url=issuing.ocsp_url)
    values = {type(item.value): item.value for item in wanted}
    for kind in (x509.CRLDistributionPoints, x509.AuthorityInformationAccess):
        if _find(draft, kind) != values.get(kind):
            return failed(
                Rule.ISSUER_URLS,
                "The addresses of revocation list, issuer or responder are not those of the authority that signs.",
                advice="the addresses that the authority's settings put into certificates, and no others",
                field="csr",
            )
    return passed(Rule.ISSUER_URLS, "The addresses in the certificate are those of the authority.")


def _check_extensions(draft: Draft) -> Verdict:
    problem, shown = _find_extension_problem(draft)
    if not problem:
        return passed(Rule.EXTENSIONS, "There is no extension but those of the template and the authority.")
    return failed(
        Rule.EXTENSIONS,
        f"The extension {shown} {problem}.",
        advice="only the extensions that the template and the authority bring",
        value=shown,
        field="csr",
    )


def _find_extension_problem(draft: Draft) -> tuple[str, str]:
    seen = set()
    for item in draft.extensions:
        shown = item.oid.dotted_string
        # An extension of unknown form may carry any number, also that of a form we judge.
        if type(item.value) not in _KNOWN_EXTENSIONS or item.oid != item.value.oid:
            return "comes from neither the template nor the authority", shown
        if item.oid in seen:
            return "is there twice", shown
        if item.critical and isinstance(item.value, _NEVER_CRITICAL):
            return "must not be critical", shown
        if isinstance(item.value, x509.SubjectAlternativeName) and item.critical == bool(list(draft.subject)):
            return "must be critical if the subject is empty, and only then", shown
        seen.add(item.oid)
    return "", ""


def _check_start(draft: Draft, profile: Profile, now: datetime) -> Verdict:
    rule, shown = Rule.NOT_BEFORE, format_rfc3339(draft.not_before)
    if now - profile.not_before <= draft.not_before <= now:
        return passed(rule, "The certificate is back-dated as far as the template says, or less.", value=shown)
    return failed(
        rule,
        f"The certificate would be valid from {shown}.",
        advice=f"a start between {write_duration(profile.not_before)} ago and now",
        value=shown,
    )


def _check_life(draft: Draft, profile: Profile, issuing: Issuing, now: datetime) -> Iterator[Verdict]:
    end, authority_end = draft.not_after, issuing.certificate.not_valid_after_utc
    life = end - now
    shown = write_duration(life)
    if life <= timedelta(0):
        message = f"The certificate would end on {format_rfc3339(end)}, before it is issued."
        yield failed(Rule.MAX_TTL, message, advice="a ttl of a second or more", value=shown)
        return
    if profile.max_ttl is None:
        yield skipped(Rule.MAX_TTL, "The template has no max_ttl.", value=shown)
    else:
        yield _check_ttl(Rule.MAX_TTL, "max_ttl of the template", life, profile.max_ttl)
    yield _check_ttl(Rule.CA_MAX_TTL, "max_ttl of the authority", life, issuing.max_ttl)
    longest = longest_life(now)
    yield _check_ttl(Rule.LONGEST_LIFE, "the three years that a certificate may live", life, longest)
    if end <= authority_end:
        yield passed(Rule.CA_END, "The certificate ends before that of the authority.", value=format_rfc3339(end))
    else:
        yield failed(
            Rule.CA_END,
            f"The certificate would end on {format_rfc3339(end)}, after that of the authority.",
            advice=f"an end up to {format_rfc3339(authority_end)}, or a renewed authority",
            value=format_rfc3339(end),
        )


def _check_ttl(rule: Rule, what: str, life: timedelta, most: timedelta) -> Verdict:
    shown = write_duration(life)
    if life <= most:
        return passed(rule, f"The life of {shown} is within {what}.", value=shown)
    message = f"The life of {shown} is more than {what}, {write_duration(most)}."
    return failed(rule, message, advice=f"a ttl of {write_duration(most)} or less", value=shown)
