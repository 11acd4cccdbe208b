"""Template cases: a template, a request at its edge, and what becomes of it here and at a peer.

Both sides are compared by what they allow and, if they do, by the common name, the alternative names and the life of
the certificate. The peer's roles and our templates spell their settings alike. Where we differ on purpose, `explain`
names the reason; whatever it cannot explain is a bug of one of the two.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from strongroom.kernel.errors import Invalid
from strongroom.pki import der
from strongroom.pki.draft import CertifiedKey, Draft
from strongroom.pki.leaf import LeafRequest, draft_leaf, parse_leaf_request
from strongroom.pki.profile import Profile, parse_template, profile_of
from strongroom.pki.rules import check_draft
from strongroom.pki.subject import find_common_name
from tests.factories.certificates import Key, rsa_key
from tests.factories.drafts import CALLER, NOW, issuing, leaf_key

AltName = tuple[str, str]
"""Kind and value."""

KEYS: Final = ("ec256", "ec384", "rsa", "ed25519")
_BASE: Final = {"certificate_authority": "issuing-ca", "key_type": "ec", "key_bits": 256}
_LISTS: Final = ("allowed_domains", "allowed_uri_sans", "allowed_other_sans")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A template and a request.

    Attributes:
        template: settings that differ from the defaults.
        request: members of the request; ``csr`` is a description, see `csr_pem`.
    """

    template: dict[str, Any]
    request: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a certificate was refused: the rule or the member at fault, the value, the sentence."""

    rule: str
    value: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a case: a certificate, or the causes of its refusal.

    Attributes:
        life: seconds from issuing to the end.
    """

    allowed: bool
    common_name: str = ""
    alt_names: tuple[AltName, ...] = ()
    life: int = 0
    causes: tuple[Cause, ...] = field(default=(), compare=False)

    def as_json(self) -> dict[str, Any]:
        if not self.allowed:
            return {"allowed": False}
        listed = [list(name) for name in self.alt_names]
        return {"allowed": True, "common_name": self.common_name, "alt_names": listed, "life": self.life}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Outcome:
        listed = tuple((kind, text) for kind, text in found.get("alt_names", ()))
        return cls(**{**found, "alt_names": listed})


@functools.cache
def _request_key(kind: str) -> Key:
    match kind:
        case "ec256":
            return ec.generate_private_key(ec.SECP256R1())
        case "ec384":
            return ec.generate_private_key(ec.SECP384R1())
        case "rsa":
            return rsa_key()
    return ed25519.Ed25519PrivateKey.generate()


def csr_pem(described: Mapping[str, Any]) -> str:
    """Build a signing request of ``key``, ``common_name`` and ``alt_names``, a list of kinds and values."""
    common_name = described.get("common_name", "")
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name, _validate=False)] if common_name else []
    builder = x509.CertificateSigningRequestBuilder(x509.Name(attributes))
    listed = [_general_name(kind, text) for kind, text in described.get("alt_names", ())]
    if listed:
        builder = builder.add_extension(x509.SubjectAlternativeName(listed), critical=not common_name)
    key = _request_key(described["key"])
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM).decode()


def _general_name(kind: str, text: str) -> x509.GeneralName:
    match kind:
        case "dns":
            return x509.DNSName._init_without_validation(text)
        case "email":
            return x509.RFC822Name._init_without_validation(text)
        case "ip":
            return x509.IPAddress(ipaddress.ip_address(text))
        case "uri":
            return x509.UniformResourceIdentifier._init_without_validation(text)
    oid, _, value = text.partition(";UTF8:")
    return x509.OtherName(x509.ObjectIdentifier(oid), der.encode_utf8_string(value))


def list_alt_names(listed: Sequence[x509.GeneralName]) -> tuple[AltName, ...]:
    """Return the alternative names of a certificate, sorted."""
    return tuple(sorted(_kind_and_text(name) for name in listed))


def _kind_and_text(name: x509.GeneralName) -> AltName:
    match name:
        case x509.DNSName():
            return "dns", name.value
        case x509.RFC822Name():
            return "email", name.value
        case x509.IPAddress():
            return "ip", str(name.value)
        case x509.UniformResourceIdentifier():
            return "uri", name.value
        case x509.OtherName():
            value = der.read_only(name.value, der.UTF8_STRING).content.decode()
            return "other", f"{name.type_id.dotted_string};UTF8:{value}"
    return type(name).__name__, repr(name.value)


def is_same(one: Outcome, other: Outcome) -> bool:
    """Return whether two outcomes are the same; a name that is there twice counts once."""
    return replace(one, alt_names=()) == replace(other, alt_names=()) and set(one.alt_names) == set(other.alt_names)


def judge(case: Case) -> Outcome:
    """Return what becomes of a case here."""
    causes: list[Cause] = []
    try:
        profile = _read_profile(case.template, causes)
        sent = dict(case.request)
        if "csr" in sent:
            sent["csr"] = csr_pem(sent["csr"])
        request = parse_leaf_request(sent)
        draft = draft_leaf(request, profile, issuing(), _key_of(request), NOW)
    except Invalid as error:
        causes += _causes_of(error, case)
        return Outcome(allowed=False, causes=tuple(causes))
    causes += _broken_rules(draft, profile)
    if any(cause.rule != "template entry" for cause in causes):
        return Outcome(allowed=False, causes=tuple(causes))
    found = [item.value for item in draft.extensions if isinstance(item.value, x509.SubjectAlternativeName)]
    return Outcome(
        allowed=True,
        common_name=find_common_name(draft.subject),
        alt_names=list_alt_names([name for extension in found for name in extension]),
        life=int((draft.not_after - NOW).total_seconds()),
        causes=tuple(causes),
    )


def _read_profile(template: Mapping[str, Any], causes: list[Cause]) -> Profile:
    """Read a template, leaving out list entries that no template may hold: the peer must not match them either."""
    kept = {**_BASE, **template}
    for name in _LISTS:
        entries = []
        for entry in template.get(name, ()):
            try:
                parse_template({**_BASE, **template, **{key: [] for key in _LISTS}, name: [entry]})
                entries.append(entry)
            except Invalid as error:
                if not (error.field or "").startswith(name):
                    raise
                causes.append(Cause(rule="template entry", value=entry, message=error.detail))
        kept[name] = entries
    return profile_of(parse_template(kept))


def _key_of(request: LeafRequest) -> CertifiedKey:
    if request.csr is None:
        return leaf_key()
    key: Any = request.csr.public_key()
    return key  # type: ignore[no-any-return]  # `parse_leaf_request` has judged it


def _causes_of(error: Invalid, case: Case) -> Iterator[Cause]:
    for one in error.causes or (error,):
        name, _, index = (one.field or "").partition("[")
        value = case.request.get(name, case.template.get(name, ""))
        if index:
            value = value[int(index.rstrip("]"))]
        yield Cause(rule=name, value=str(value), message=one.detail)


def _broken_rules(draft: Draft, profile: Profile) -> Iterator[Cause]:
    for verdict in check_draft(draft, profile, issuing=issuing(), now=NOW, caller=CALLER):
        if verdict.verdict == "fail":
            yield Cause(rule=verdict.rule.value, value=verdict.value, message=verdict.message)


# What follows says where we differ on purpose. Its notion of a plain name is its own, so that a mistake in the rules
# cannot explain itself.

_LABEL: Final = "[A-Za-z0-9\u00fc](?:[A-Za-z0-9\u00fc-]*[A-Za-z0-9\u00fc])?"
_PLAIN_HOST: Final = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_PLAIN_EMAIL: Final = re.compile(rf"[A-Za-z0-9.-]+@{_LABEL}(?:\.{_LABEL})*")
_LOCAL_WILDCARDS: Final = ("*.localhost", "*.localdomain")
_LEFT_OUT: Final = "the peer leaves out names with underscores without a word"
_NAME_RULES: Final = ("alt_names", "name_syntax", "enforce_hostnames")


def soften(case: Case) -> tuple[Case, tuple[str, ...]]:
    """Return a case without what the peer is known to stumble over, and the reasons for the changes."""
    reasons = []
    template, request = case.template, dict(case.request)
    others = template.get("allowed_other_sans", [])
    if "*" in others and len(others) > 1:
        reasons.append("the peer takes * for all other_sans only if it is the only entry")
        template = {**template, "allowed_other_sans": ["*"]}
    if "other_sans" in request and _takes_names_of_csr(case):
        reasons.append("the peer adds other_sans of the request to the names of a CSR")
        del request["other_sans"]
    trouble = _common_name_trouble(_effective_common_name(case))
    if trouble and not request.get("exclude_cn_from_sans"):
        reasons.append(trouble)
        request["exclude_cn_from_sans"] = True
    softened = _lower({"template": template, "request": request})
    if softened != {"template": template, "request": request}:
        reasons.append("upper and lower case never matter here")
    return Case(template=softened["template"], request=softened["request"]), tuple(reasons)


def _common_name_trouble(text: str) -> str:
    """Return why a common name is none of the alternative names here, where the peer makes it one or fails on it."""
    if not all(text.rpartition("@")[2].split(".")):
        return "the peer insists on a common name that fits among the alternative names"
    if not text.isascii() and "." not in text:
        return "an international word alone names a person or a thing, not a host"
    if text.rpartition(".")[2].isdigit():
        return "a common name with a number at its end is no host name"
    if "@" in text and not _is_plain(text.replace("_", "")):
        return "a common name that is no address of a host is none of the alternative names"
    return ""


def _takes_names_of_csr(case: Case) -> bool:
    return "csr" in case.request and bool(case.template.get("use_csr_sans", True))


def _effective_common_name(case: Case) -> str:
    described = case.request.get("csr", {})
    of_csr = described.get("common_name", "") if case.template.get("use_csr_common_name", True) else ""
    return str(of_csr or case.request.get("common_name", ""))


def _lower(found: Any) -> Any:
    """Lower the case of all names, not of the word in front of the value of another name."""
    match found:
        case str():
            return found.lower().replace(";utf8:", ";UTF8:")
        case list():
            return [_lower(item) for item in found]
        case dict():
            return {key: _lower(item) for key, item in found.items()}
    return found


def explain(case: Case, ours: Outcome, peer: Outcome, softened: Outcome) -> tuple[str, ...]:
    """Return why two outcomes differ on purpose; nothing if that cannot be explained.

    Args:
        case: the case.
        ours: what became of it here.
        peer: what became of it there.
        softened: what became there of the case that `soften` gives.
    """
    if not ours.allowed:
        return _explain_refusal(case, ours, softened if softened.allowed else peer)
    dropped, reasons = _without_dropped(case, ours, softened)
    if _comparable(dropped) != _comparable(softened):
        return ()
    return (*soften(case)[1], *reasons)


def _comparable(outcome: Outcome) -> tuple[Any, ...]:
    names = {(kind, text.lower()) for kind, text in outcome.alt_names}
    return outcome.allowed, outcome.common_name.lower(), names, outcome.life


def _without_dropped(case: Case, ours: Outcome, peer: Outcome) -> tuple[Outcome, tuple[str, ...]]:
    """Leave out the alternative names that the peer leaves out without a word."""
    if case.template.get("enforce_hostnames", True) or not peer.allowed:
        return ours, ()
    held = {text for _, text in peer.alt_names}
    kept = tuple((kind, text) for kind, text in ours.alt_names if "_" not in text or text.lower() in held)
    if kept == ours.alt_names:
        return ours, ()
    return replace(ours, alt_names=kept), (_LEFT_OUT,)


def _explain_refusal(case: Case, ours: Outcome, peer: Outcome) -> tuple[str, ...]:
    causes = [cause for cause in ours.causes if cause.rule != "template entry"]
    reasons = [_explain_cause(cause, case, peer) for cause in causes]
    return tuple(dict.fromkeys(reasons)) if all(reasons) else ()


def _explain_cause(cause: Cause, case: Case, peer: Outcome) -> str:
    template, request = case.template, case.request
    text = cause.value
    if cause.rule in _NAME_RULES and not _is_plain(text):
        return "a name must have the form of one"
    if "_" in text and text not in {name for _, name in peer.alt_names} | {peer.common_name}:
        return _LEFT_OUT
    if cause.rule == "common_name" and not (peer.common_name or peer.alt_names):
        return "a certificate must have a name"
    if cause.rule == "max_ttl" and _hours(request["ttl"]) > _hours(template["max_ttl"]):
        return "a ttl beyond max_ttl is refused, not shortened"
    if cause.rule in {"ip_sans", "uri_sans", "other_sans"} and _takes_names_of_csr(case):
        return "members that the CSR overrules must have their form as well"
    if cause.rule == "allowed_uri_sans" and not text.startswith(text.partition(":")[0].lower()):
        return "the scheme of a URI is compared as it stands"
    return _explain_unlisted(text, template) if cause.rule == "allowed_domains" else ""


def _explain_unlisted(text: str, template: Mapping[str, Any]) -> str:
    host = text.rpartition("@")[2]
    if text.lower() in _LOCAL_WILDCARDS and not template.get("allow_subdomains"):
        return "a wildcard below localhost is a subdomain"
    if host.startswith("."):
        return "a subdomain has a part in front of the domain"
    globs = [entry.lower() for entry in template["allowed_domains"] if "*" in entry and "@" not in entry]
    fitting = [entry for entry in globs if fnmatchcase(text.lower(), entry)]
    if "@" in text and fitting and not any(fnmatchcase(host.lower(), entry) for entry in fitting):
        return "a glob without @ must fit the host part of an address"
    return ""


def _is_plain(text: str) -> bool:
    host = text.rpartition("@")[2]
    if host.rpartition(".")[2].isdigit():
        return False
    return bool((_PLAIN_EMAIL if "@" in text else _PLAIN_HOST).fullmatch(text))


def _hours(duration: str) -> int:
    return int(duration.removesuffix("h"))
