"""Which IP addresses, URIs and names of other kinds a template allows among the alternative names.

Globs are compared with the whole text, upper and lower case being different. Kinds that a template cannot name
(directory names, registered ids) are refused.

Source: contract domain section 5.5; RFC 5280 section 4.2.1.6.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cryptography import x509

from strongroom.pki import der
from strongroom.pki.members import shorten
from strongroom.pki.name_rules import matches_glob
from strongroom.pki.names import NameProblem, check_uri
from strongroom.pki.profile import ANY_OTHER_SAN, Profile
from strongroom.pki.san import check_other_san
from strongroom.pki.verdicts import Rule, Verdict, failed, passed, skipped


def check_alt_names(alt_names: Iterable[x509.GeneralName], profile: Profile) -> Iterator[Verdict]:
    """Judge all alternative names but DNS names and e-mail addresses."""
    listed = list(alt_names)
    yield from _check_addresses(listed, profile)
    yield from _check_uris(listed, profile)
    yield from _check_others(listed, profile)
    yield from _check_kinds(listed)


def _check_addresses(alt_names: Iterable[x509.GeneralName], profile: Profile) -> Iterator[Verdict]:
    rule = Rule.ALLOW_IP_SANS
    found = [str(name.value) for name in alt_names if isinstance(name, x509.IPAddress)]
    if not found:
        yield skipped(rule, "There are no IP addresses.")
    for address in found:
        if "/" in address:
            message = f"ip_sans `{address}` is a network, not an address."
            yield failed(rule, message, advice="an address such as 192.0.2.1", value=address)
        elif profile.allow_ip_sans:
            yield passed(rule, f"The template allows IP addresses such as {address}.", value=address)
        else:
            message = f"ip_sans `{address}` is an IP address, and the template allows none."
            advice = "a certificate without IP addresses, or allow_ip_sans on the template"
            yield failed(rule, message, advice=advice, value=address)


def _check_uris(alt_names: Iterable[x509.GeneralName], profile: Profile) -> Iterator[Verdict]:
    rule = Rule.ALLOWED_URI_SANS
    found = [name.value for name in alt_names if isinstance(name, x509.UniformResourceIdentifier)]
    if not found:
        yield skipped(rule, "There are no URIs.")
    for uri in dict.fromkeys(found):
        shown = shorten(uri)
        try:
            check_uri(uri)
        except NameProblem as problem:
            message = f"uri_sans `{shown}` cannot be in a certificate: {problem}."
            yield failed(Rule.NAME_SYNTAX, message, advice="a URI with a scheme", value=shown, field="uri_sans")
            continue
        pattern = next((pattern for pattern in profile.allowed_uri_sans if matches_glob(pattern, uri)), None)
        if pattern is not None:
            yield passed(rule, f"uri_sans `{shown}` fits {shorten(pattern)}.", value=shown)
        else:
            allowed = _alternatives("a URI that fits", profile.allowed_uri_sans)
            advice = f"{shown} in allowed_uri_sans of the template{allowed}"
            yield failed(rule, f"uri_sans `{shown}` fits no URI of the template.", advice=advice, value=shown)


def _check_others(alt_names: Iterable[x509.GeneralName], profile: Profile) -> Iterator[Verdict]:
    rule = Rule.ALLOWED_OTHER_SANS
    found = [name for name in alt_names if isinstance(name, x509.OtherName)]
    if not found:
        yield skipped(rule, "There are no names of other kinds.")
    for name in found:
        text = _read_text(name)
        oid = name.type_id.dotted_string
        if text is None:
            message = f"other_sans holds a value of kind {oid} that is no UTF-8 text."
            yield failed(rule, message, advice="a value written as oid;UTF8:value", value=oid)
            continue
        shown = shorten(f"{oid};UTF8:{text}")
        pattern = next((entry for entry in profile.allowed_other_sans if _allows_other(entry, oid, text)), None)
        if pattern is not None:
            yield passed(rule, f"other_sans `{shown}` fits {shorten(pattern)}.", value=shown)
        else:
            allowed = _alternatives("one that fits", profile.allowed_other_sans)
            advice = f"{shown} in allowed_other_sans of the template{allowed}"
            yield failed(rule, f"other_sans `{shown}` fits none of the template.", advice=advice, value=shown)


def _read_text(name: x509.OtherName) -> str | None:
    try:
        text = der.read_only(name.value, der.UTF8_STRING).content.decode()
    except (der.DerError, UnicodeDecodeError):
        return None
    return text if text and text.isprintable() else None


def _allows_other(entry: str, oid: str, text: str) -> bool:
    if entry == ANY_OTHER_SAN:
        return True
    allowed = check_other_san(entry)
    return allowed.oid == oid and matches_glob(allowed.value, text)


def _alternatives(words: str, entries: tuple[str, ...]) -> str:
    return f", or {words} {shorten(', '.join(entries[:3]))}" if entries else ""


def _check_kinds(alt_names: Iterable[x509.GeneralName]) -> Iterator[Verdict]:
    judged = (x509.DNSName, x509.RFC822Name, x509.IPAddress, x509.UniformResourceIdentifier, x509.OtherName)
    foreign = [name for name in alt_names if type(name) not in judged]
    if not foreign:
        yield passed(Rule.SAN_KINDS, "All alternative names are of kinds that a template can allow.")
    for name in foreign:
        kind = type(name).__name__
        yield failed(
            Rule.SAN_KINDS,
            f"The alternative names hold a {kind}, which no template can allow.",
            advice="DNS names, e-mail addresses, IP addresses, URIs and other_sans only",
            value=kind,
            field="csr",
        )
