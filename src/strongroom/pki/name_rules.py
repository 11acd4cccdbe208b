"""Which names a template allows in a certificate.

Every common name, DNS name and e-mail address is judged in this order: its form, host-name syntax, wildcards, then
whether anything allows it: any name, localhost, or one of the allowed domains. The switches mean what they mean for
roles of Vault's PKI engine, with these differences, all on the strict side:

- upper and lower case never matter, and international names are compared in their ASCII form (A-labels);
- a wildcard is the whole leftmost label (``*.example.com``) where host names are enforced;
- ``allow_localhost`` alone does not allow ``*.localhost``, which is a subdomain;
- a glob without ``@`` must fit an e-mail address and its host part alone, so that ``example.*`` allows no address
  ``example.user@other.test``, and ``*.example.com`` allows ``user@www.example.com``.

With ``allowed_domains_template`` an allowed domain may hold placeholders, filled with facts about the caller; see
`pki.placeholders`.

Source: contract domain section 5.5; RFC 5280 section 4.2.1.6, RFC 6125 section 6.4.3, RFC 9525 section 6.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

from strongroom.kernel.value import value
from strongroom.pki import names, placeholders
from strongroom.pki.members import shorten
from strongroom.pki.names import NameProblem
from strongroom.pki.profile import Profile
from strongroom.pki.subject import MAX_COMMON_NAME
from strongroom.pki.verdicts import Rule, Verdict, failed, passed, skipped

_LOCAL_NAMES: Final = ("localhost", "localdomain")
_WIDENING: Final = ("allow_localhost", "allow_bare_domains", "allow_subdomains", "allow_glob_domains")
_ENTRIES_SHOWN: Final = 3

Kind = Literal["common_name", "dns", "email"]


@value
class Name:
    """One name of a certificate, as it stands there.

    Attributes:
        is_common_name: an alternative name that is the common name as well.
    """

    text: str
    kind: Kind
    is_common_name: bool = False

    @property
    def field(self) -> str:
        """Return the request member that it comes from: a common name becomes an alternative name by itself."""
        return "common_name" if self.kind == "common_name" or self.is_common_name else "alt_names"

    @property
    def is_email(self) -> bool:
        """Return whether it has a host part behind an ``@``."""
        return self.kind == "email" or (self.kind == "common_name" and "@" in self.text)

    @property
    def host(self) -> str:
        """Return the part that is a host name."""
        return self.text.rpartition("@")[2] if self.is_email else self.text

    @property
    def is_wildcard(self) -> bool:
        """Return whether it stands for many hosts."""
        return "*" in self.text


def check_names(listed: Iterable[Name], profile: Profile, caller: Mapping[str, str]) -> Iterator[Verdict]:
    """Judge every name; a name that occurs twice is judged once."""
    entries = resolve_domains(profile, caller)
    unique: dict[str, Name] = {}
    for name in listed:
        # Lower case of other scripts may be ASCII; such a name is another one.
        key = name.text.lower() if name.text.isascii() else name.text
        # Of a common name and the same SAN, the SAN is judged: its form is the stricter one.
        if key not in unique:
            unique[key] = name
        elif unique[key].kind == "common_name":
            unique[key] = Name(text=name.text, kind=name.kind, is_common_name=True)
    for name in unique.values():
        yield from check_name(name, profile, entries)


def check_name(name: Name, profile: Profile, entries: Sequence[str]) -> Iterator[Verdict]:
    """Judge one name.

    Args:
        name: of the certificate.
        profile: the template's rules.
        entries: of `resolve_domains`.
    """
    shown = shorten(name.text)
    problem = _find_form_problem(name)
    if problem:
        message = f"{name.field} `{shown}` cannot be in a certificate: {problem}."
        yield failed(Rule.NAME_SYNTAX, message, advice=_form_advice(name), value=shown, field=name.field)
        return
    hostname_verdict = _check_hostname(name, profile, shown)
    yield hostname_verdict
    if hostname_verdict.verdict == "fail":
        yield skipped(Rule.ALLOWED_DOMAINS, f"{name.field} `{shown}` was refused before.", value=shown)
        return
    if name.is_wildcard:
        yield _check_wildcard(name, profile, shown)
    yield _check_allowed(name, profile, entries, shown)


def _find_form_problem(name: Name) -> str:  # noqa: C901 one early return per rule of the form
    text = name.text
    if not text.strip():
        return "it is empty"
    if not text.isprintable():
        return "it has control characters"
    if name.kind == "common_name":
        if len(text) > MAX_COMMON_NAME:
            return f"it has {len(text)} characters; at most {MAX_COMMON_NAME} are allowed"
    elif not text.isascii() or " " in text:
        return "a name here has no spaces and is in its ASCII form (xn--...)"
    if name.kind == "dns" and "@" in text:
        return "an e-mail address is no DNS name"
    if name.is_email:
        local, at, host = text.rpartition("@")
        if not at or not local or not host or "@" in local:
            return "an e-mail address looks like name@example.com"
        if name.is_wildcard:
            return "an e-mail address has no wildcard"
    elif text.count("*") > 1 or "*" in text.partition(".")[2]:
        return "a wildcard is one * in the part before the first dot"
    if name.kind != "common_name" and any(not label for label in name.host.split(".")):
        return "there is an empty part between or around its dots"
    return ""


def _form_advice(name: Name) -> str:
    bare = name.text.strip(".")
    if name.kind == "dns" and bare and bare != name.text and not _find_form_problem(replace(name, text=bare)):
        return f"{shorten(bare)}, without the outer dots"
    return "an address such as name@example.com" if name.is_email else "a name such as www.example.com"


def _check_hostname(name: Name, profile: Profile, shown: str) -> Verdict:
    rule = Rule.ENFORCE_HOSTNAMES
    if not profile.enforce_hostnames:
        return skipped(rule, "The template does not insist on host names.", value=shown)
    try:
        _check_host_syntax(name)
    except NameProblem as problem:
        return failed(
            rule,
            f"{name.field} `{shown}` is no valid host name: {problem}.",
            advice="a name such as www.example.com, or enforce_hostnames false on the template",
            value=shown,
            field=name.field,
        )
    return passed(rule, f"{name.field} `{shown}` is a valid host name.", value=shown)


def _check_host_syntax(name: Name) -> None:
    if name.kind == "common_name" and _is_address(name.text):
        return
    if name.is_email:
        names.check_email(name.text)
    if "_" in names.check_host(name.host):
        # RFC 1123 section 2.1; `check_host` lets them through for certificates that others sign.
        raise NameProblem("an underscore is no letter of host names")


def _is_address(text: str) -> bool:
    try:
        names.check_address(text)
    except NameProblem:
        return False
    return True


def _check_wildcard(name: Name, profile: Profile, shown: str) -> Verdict:
    rule = Rule.ALLOW_WILDCARD_CERTIFICATES
    if profile.allow_wildcard_certificates:
        return passed(rule, f"The template allows wildcards such as `{shown}`.", value=shown)
    return failed(
        rule,
        f"{name.field} `{shown}` is a wildcard, and the template allows none.",
        advice="a name without *, or allow_wildcard_certificates on the template",
        value=shown,
        field=name.field,
    )


def _check_allowed(name: Name, profile: Profile, entries: Sequence[str], shown: str) -> Verdict:
    rule = Rule.ALLOWED_DOMAINS
    switch = find_allowance(name, profile, entries)
    if switch:
        return passed(rule, f"{name.field} `{shown}` is allowed by {switch}.", value=shown)
    return failed(
        rule,
        f"{name.field} `{shown}` is not among the names that the template allows.",
        advice=_advise(name, profile, entries),
        value=shown,
        field=name.field,
    )


def find_allowance(name: Name, profile: Profile, entries: Sequence[str]) -> str:
    """Return the switch that allows a name of sound form, or nothing."""
    if profile.allow_any_name:
        return "allow_any_name"
    whole, host = to_comparable(name.text), to_comparable(name.host)
    if profile.allow_localhost:
        if host in _LOCAL_NAMES:
            return "allow_localhost"
        if profile.allow_subdomains and any(_is_below(host, local) for local in _LOCAL_NAMES):
            return "allow_localhost with allow_subdomains"
    for entry in entries:
        if profile.allow_bare_domains and entry in {whole, host if name.is_email else whole}:
            return f"allow_bare_domains for {entry}"
        if profile.allow_subdomains and _is_below(host, entry):
            return f"allow_subdomains below {entry}"
        if profile.allow_glob_domains and "*" in entry and _fits_glob(entry, whole, host):
            return f"allow_glob_domains with {entry}"
    return ""


def _is_below(host: str, domain: str) -> bool:
    # `*.example.com` and `web*.example.com` are below `example.com`, and so is every host that they stand for.
    return host.endswith(f".{domain}") and len(host) > len(domain) + 1


def _fits_glob(entry: str, whole: str, host: str) -> bool:
    # Vault asks for the first only; an address could then bring the part that fits in front of its @.
    return matches_glob(entry, whole) and ("@" in entry or matches_glob(entry, host))


def _advise(name: Name, profile: Profile, entries: Sequence[str]) -> str:
    for switch in _WIDENING:
        widened: dict[str, Any] = {switch: True}
        if not getattr(profile, switch) and find_allowance(name, replace(profile, **widened), entries):
            change = f"{switch} on the template"
            break
    else:
        change = _advise_listing(name, profile)
    allowed = _describe_allowed(profile, entries)
    return f"{change}, or {allowed}" if allowed else change


def _advise_listing(name: Name, profile: Profile) -> str:
    host = to_comparable(name.host)
    above = host.partition(".")[2]
    if (name.is_wildcard and above) or (profile.allow_subdomains and not profile.allow_bare_domains and "." in above):
        domain, switch = above, "allow_subdomains"
    else:
        domain, switch = host, "allow_bare_domains"
    listed = f"{shorten(domain)} in allowed_domains"
    return listed if getattr(profile, switch) else f"{listed} with {switch}"


def _describe_allowed(profile: Profile, entries: Sequence[str]) -> str:
    """Return what passes today, as an end of the sentence "or ..."."""
    ways = []
    for entry in entries[:_ENTRIES_SHOWN]:
        if profile.allow_subdomains and "*" not in entry:
            ways.append(f"a name below {entry}")
        elif profile.allow_bare_domains:
            ways.append(entry)
        elif profile.allow_glob_domains and "*" in entry:
            ways.append(f"a name that fits {entry}")
    if not ways and profile.allow_localhost:
        ways.append("localhost")
    return ", ".join(map(shorten, ways))


def resolve_domains(profile: Profile, caller: Mapping[str, str]) -> tuple[str, ...]:
    """Return the allowed domains for comparing, placeholders filled; entries that allow nothing are left out."""
    resolved = []
    for entry in profile.allowed_domains:
        filled = placeholders.fill(entry, caller) if profile.allowed_domains_template else entry
        comparable = to_comparable(filled.strip())
        if comparable:
            resolved.append(comparable)
    return tuple(dict.fromkeys(resolved))


def to_comparable(text: str) -> str:
    """Return a name or an allowed domain in the form that is compared: lower case, labels in ASCII."""
    local, at, host = text.rpartition("@")
    return (
        (local.lower() if local.isascii() else local)
        + at
        + ".".join(_comparable_label(label) for label in host.split("."))
    )


def _comparable_label(label: str) -> str:
    if label.isascii():
        return label.lower()
    try:
        encoded = names.check_host(label)
    except NameProblem:
        return label
    # Characters that only look like ASCII must not become the ASCII name.
    return encoded.lower() if encoded.isascii() and encoded.lower().startswith("xn--") else label


def matches_glob(pattern: str, text: str) -> bool:
    """Return whether a text fits a pattern in which ``*`` stands for any characters, dots and none included.

    Takes no more steps than the product of both lengths.
    """
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    last = rest.pop()
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    position, end = len(first), len(text) - len(last)
    for part in rest:
        position = text.find(part, position, end)
        if position < 0:
            return False
        position += len(part)
    return True
