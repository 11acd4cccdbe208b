"""Certificate templates: from the members of a request to the document that is stored, and to the rules in it.

The stored document has the API's spelling and holds every setting; durations are seconds, 0 where there is none.
`Profile` is the same as values that the rules work with.

Source: contract domain section 5.5, model M4.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import timedelta
from typing import Any, Final, Literal, cast

from strongroom.kernel.result import Json
from strongroom.kernel.value import value
from strongroom.pki import names, placeholders, usages
from strongroom.pki.keys import KeyKind, KeySpec
from strongroom.pki.members import Members, write_duration
from strongroom.pki.names import NameProblem
from strongroom.pki.san import check_other_san
from strongroom.pki.subject import MAX_SERIAL_NUMBER, SUBJECT_MEMBERS, read_subject_lists

LintLevel = Literal["off", "warn", "error"]

LINT_LEVELS: Final = ("off", "warn", "error")
DEFAULT_KEY_USAGE: Final = ("DigitalSignature", "KeyAgreement", "KeyEncipherment")
ANY_OTHER_SAN: Final = "*"

_SECOND: Final = timedelta(seconds=1)
_LEAST_MAX_TTL: Final = timedelta(hours=1)
_MOST_TTL: Final = timedelta(hours=876_000)
_BACKDATE: Final = timedelta(seconds=30)
_MOST_BACKDATE: Final = timedelta(days=365)
_MAX_DOMAIN: Final = 512
_MAX_GROUPS_TEXT: Final = 1024
_MAX_GROUP: Final = 64
_CA_NAME_LENGTHS: Final = (2, 128)

_FLAGS: Final = {
    "allow_localhost": True,
    "allowed_domains_template": False,
    "allow_bare_domains": False,
    "allow_subdomains": False,
    "allow_glob_domains": False,
    "allow_wildcard_certificates": True,
    "allow_any_name": False,
    "enforce_hostnames": True,
    "allow_ip_sans": True,
    "server_flag": True,
    "client_flag": True,
    "code_signing_flag": False,
    "email_protection_flag": False,
    "use_csr_common_name": True,
    "use_csr_sans": True,
    "require_cn": True,
    "basic_constraints_valid_for_non_ca": False,
}
_DURATIONS: Final = ("max_ttl", "ttl", "not_before_duration")
_LISTS: Final = (
    "allowed_domains",
    "allowed_uri_sans",
    "allowed_other_sans",
    "key_usage",
    "ext_key_usage",
    "ext_key_usage_oids",
    "policy_identifiers",
)
_FIXED: Final = ("name", "config_type", "certificate_authority")
_SETTINGS: Final = frozenset(
    {
        *_FLAGS,
        *_DURATIONS,
        *_LISTS,
        *SUBJECT_MEMBERS,
        "allowed_secret_groups",
        "key_type",
        "key_bits",
        "lint_level",
        "serial_number",
    }
)


@value
class Profile:
    """What a template asks of every certificate; only `profile_of` makes one outside of tests.

    Attributes:
        max_ttl: longest life; ``None`` leaves it to the CA.
        ttl: life when the request names none.
        key: kind of the keys that are generated, and the least that a CSR must bring.
        not_before: how far back-dated.
    """

    max_ttl: timedelta | None = None
    ttl: timedelta | None = None
    allowed_domains: tuple[str, ...] = ()
    allow_bare_domains: bool = False
    allow_subdomains: bool = False
    allow_glob_domains: bool = False
    allow_wildcard_certificates: bool = True
    allow_any_name: bool = False
    allow_localhost: bool = True
    allowed_domains_template: bool = False
    enforce_hostnames: bool = True
    allow_ip_sans: bool = True
    allowed_uri_sans: tuple[str, ...] = ()
    allowed_other_sans: tuple[str, ...] = ()
    server_flag: bool = True
    client_flag: bool = True
    code_signing_flag: bool = False
    email_protection_flag: bool = False
    key: KeySpec = field(default=KeySpec(kind="rsa", bits=2048))
    key_usage: tuple[str, ...] = DEFAULT_KEY_USAGE
    ext_key_usage: tuple[str, ...] = ()
    ext_key_usage_oids: tuple[str, ...] = ()
    policy_identifiers: tuple[str, ...] = ()
    basic_constraints_valid_for_non_ca: bool = False
    not_before: timedelta = _BACKDATE
    require_cn: bool = True
    use_csr_common_name: bool = True
    use_csr_sans: bool = True
    ou: tuple[str, ...] = ()
    organization: tuple[str, ...] = ()
    country: tuple[str, ...] = ()
    locality: tuple[str, ...] = ()
    province: tuple[str, ...] = ()
    street_address: tuple[str, ...] = ()
    postal_code: tuple[str, ...] = ()
    lint_level: LintLevel = "warn"

    @property
    def extended_key_usages(self) -> tuple[str, ...]:
        """Return the object identifiers of all extended key usages: of the flags, then by name, then by number."""
        flagged = (oid for flag, oid in usages.FLAG_USAGES if getattr(self, flag))
        named = (usages.EXTENDED_KEY_USAGES[name] for name in self.ext_key_usage)
        return tuple(dict.fromkeys((*flagged, *named, *self.ext_key_usage_oids)))


_PLAIN: Final = (*_FLAGS, "lint_level")


def parse_template(values: Mapping[str, object], *, allow_p224: bool = False) -> Json:
    """Check the members of a create body and return the document to be stored, defaults filled in.

    Args:
        values: members by their API names; null is the same as absent, ``name`` and ``config_type`` are passed over.
        allow_p224: whether keys on the curve P-224 may be asked for.

    Raises:
        Invalid: every broken rule, by field.
    """
    members = Members(values, what="a certificate template")
    members.refuse_unknown(_SETTINGS | set(_FIXED))
    members.require("certificate_authority")
    document: Json = {"certificate_authority": _read_authority_name(members)}
    document |= _read_optional_texts(members)
    document |= _read_durations(members)
    document |= {name: members.read_flag(name, default=default) for name, default in _FLAGS.items()}
    document |= {name: list(found) for name, found in _read_lists(members, document).items()}
    document |= {name: list(found) for name, found in read_subject_lists(members).items()}
    key = members.read_key_spec(allow_p224=allow_p224)
    document |= {"key_type": key.kind, "key_bits": key.bits}
    document["lint_level"] = members.read_choice("lint_level", LINT_LEVELS, default="warn")
    members.problems.raise_any()
    return document


def patch_template(document: Mapping[str, Any], changes: Mapping[str, object], *, allow_p224: bool = False) -> Json:
    """Return the document with some settings replaced; null puts a setting back to its default.

    Raises:
        Invalid: every broken rule, by field; those that belong to no template at all too.
    """
    members = Members(changes, what="a certificate template")
    members.refuse_unknown(_SETTINGS | set(_FIXED))
    for name in _FIXED:
        if name in changes:
            members.refuse(name, "cannot be changed; make another template.")
    members.problems.raise_any()
    stored = _write_request(document)
    if "key_type" in changes and changes["key_type"] != stored["key_type"]:
        # The size belonged to the other kind.
        del stored["key_bits"]
    return parse_template({**stored, **changes}, allow_p224=allow_p224)


def _write_request(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body that would create the template as it is."""
    known = _SETTINGS | {"certificate_authority"}
    request = {name: found for name, found in document.items() if name in known}
    for name in _DURATIONS:
        seconds = document[f"{name}_seconds"]
        if seconds or name == "not_before_duration":
            request[name] = seconds
    return request


def profile_of(document: Mapping[str, Any]) -> Profile:
    """Return the rules in a document that `parse_template` or `patch_template` made."""
    settings: dict[str, Any] = {name: document[name] for name in _PLAIN}
    settings |= {name: tuple(document[name]) for name in (*_LISTS, *SUBJECT_MEMBERS)}
    return Profile(
        max_ttl=timedelta(seconds=document["max_ttl_seconds"]) or None,
        ttl=timedelta(seconds=document["ttl_seconds"]) or None,
        not_before=timedelta(seconds=document["not_before_duration_seconds"]),
        key=KeySpec(kind=cast("KeyKind", document["key_type"]), bits=document["key_bits"]),
        **settings,
    )


def _read_authority_name(members: Members) -> str:
    name = members.read_text("certificate_authority")
    low, high = _CA_NAME_LENGTHS
    if name and not low <= len(name) <= high:
        members.refuse("certificate_authority", f"has {len(name)} characters; {low} to {high} are allowed.")
    return name


def _read_optional_texts(members: Members) -> Json:
    """Read what is left out of answers where it was not set."""
    serial_number = members.read_text("serial_number")
    if len(serial_number) > MAX_SERIAL_NUMBER or not serial_number.isprintable():
        members.refuse("serial_number", f"is ignored, and may have at most {MAX_SERIAL_NUMBER} printable characters.")
    groups = members.read_text("allowed_secret_groups")
    if len(groups) > _MAX_GROUPS_TEXT:
        members.refuse(
            "allowed_secret_groups", f"has {len(groups)} characters; at most {_MAX_GROUPS_TEXT} are allowed."
        )
    else:
        members.read_listed("allowed_secret_groups", _check_group)
    found = {"allowed_secret_groups": groups, "serial_number": serial_number}
    return {name: text for name, text in found.items() if text}


def _check_group(text: str) -> str:
    if len(text) > _MAX_GROUP or not text.isprintable() or " " in text:
        raise NameProblem("a secret group is named by its id, or by the word default")
    return text


def _read_durations(members: Members) -> Json:
    max_ttl = members.read_duration("max_ttl", least=_LEAST_MAX_TTL, most=_MOST_TTL)
    ttl = members.read_duration("ttl", least=_SECOND, most=_MOST_TTL)
    if max_ttl is not None and ttl is not None and ttl > max_ttl:
        members.refuse("ttl", f"is {write_duration(ttl)}, which is more than max_ttl, {write_duration(max_ttl)}.")
    backdate = members.read_duration("not_before_duration", least=timedelta(0), most=_MOST_BACKDATE)
    read = {"max_ttl": max_ttl, "ttl": ttl, "not_before_duration": _BACKDATE if backdate is None else backdate}
    return {f"{name}_seconds": int(found.total_seconds()) if found else 0 for name, found in read.items()}


def _read_lists(members: Members, flags: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    checks: dict[str, Callable[[str], str]] = {
        "allowed_domains": _domain_check(flags),
        "allowed_uri_sans": _check_uri_pattern,
        "allowed_other_sans": _check_other_san_pattern,
        "key_usage": _check_leaf_usage,
        "ext_key_usage": usages.check_extended_key_usage,
        "ext_key_usage_oids": names.check_oid,
        "policy_identifiers": names.check_oid,
    }
    read = {name: members.read_texts(name, check) for name, check in checks.items()}
    if not members.has("key_usage"):
        read["key_usage"] = DEFAULT_KEY_USAGE
    elif not usages.go_together(read["key_usage"]):
        members.refuse("key_usage", "needs KeyAgreement beside EncipherOnly and DecipherOnly.")
    return read


def _domain_check(flags: Mapping[str, Any]) -> Callable[[str], str]:
    """Return the check of allowed domains, which also refuses those that could never match."""

    def check(text: str) -> str:
        domain = text.strip()
        if not domain:
            raise NameProblem("it is empty")
        if not domain.isprintable():
            raise NameProblem("it has control characters")
        if len(domain) > _MAX_DOMAIN:
            raise NameProblem(f"it has {len(domain)} characters; at most {_MAX_DOMAIN} are allowed")
        if flags["allowed_domains_template"] and "{{" in domain:
            placeholders.check(domain)
        elif flags["enforce_hostnames"] and "*" not in domain:
            names.check_host_or_email(domain)
        return domain

    return check


def _check_uri_pattern(text: str) -> str:
    stripped = text.strip()
    if not stripped or not stripped.isascii() or not stripped.isprintable() or " " in stripped:
        raise NameProblem("a pattern for URIs has ASCII characters without spaces, such as spiffe://example.com/*")
    if len(stripped) > names.MAX_URI_LENGTH:
        raise NameProblem(f"a URI has at most {names.MAX_URI_LENGTH} characters")
    return stripped


def _check_other_san_pattern(text: str) -> str:
    stripped = text.strip()
    return stripped if stripped == ANY_OTHER_SAN else str(check_other_san(stripped))


def _check_leaf_usage(text: str) -> str:
    usage = usages.check_key_usage(text)
    if usage == "CertSign":
        # RFC 5280 section 4.2.1.3; some verifiers take such a leaf without basic constraints for a CA.
        raise NameProblem("only CAs sign certificates; make an intermediate CA for that")
    return usage
