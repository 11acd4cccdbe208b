"""What the rules of a template say about one certificate."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from typing import Final, Literal

from strongroom.kernel.errors import ErrorCode, Invalid, Problems
from strongroom.kernel.value import value as value_object


class Rule(StrEnum):
    """The rules by stable names; most are the template's setting that decides."""

    REQUIRE_CN = "require_cn"
    NAME_SYNTAX = "name_syntax"
    ENFORCE_HOSTNAMES = "enforce_hostnames"
    ALLOW_WILDCARD_CERTIFICATES = "allow_wildcard_certificates"
    ALLOWED_DOMAINS = "allowed_domains"
    ALLOW_IP_SANS = "allow_ip_sans"
    ALLOWED_URI_SANS = "allowed_uri_sans"
    ALLOWED_OTHER_SANS = "allowed_other_sans"
    SAN_KINDS = "san_kinds"
    SUBJECT = "subject"
    NAME_CONSTRAINTS = "name_constraints"
    KEY_TYPE = "key_type"
    KEY_USAGE = "key_usage"
    EXT_KEY_USAGE = "ext_key_usage"
    POLICY_IDENTIFIERS = "policy_identifiers"
    BASIC_CONSTRAINTS = "basic_constraints_valid_for_non_ca"
    SUBJECT_KEY_IDENTIFIER = "subject_key_identifier"
    AUTHORITY_KEY_IDENTIFIER = "authority_key_identifier"
    ISSUER_URLS = "issuer_urls"
    EXTENSIONS = "extensions"
    NOT_BEFORE = "not_before_duration"
    MAX_TTL = "max_ttl"
    CA_MAX_TTL = "ca_max_ttl"
    CA_END = "ca_end"
    LONGEST_LIFE = "longest_life"


Outcome = Literal["pass", "fail", "skipped"]

HELP_PAGE: Final = "certificate-refused"
"""Every rule, and what passes it."""

_KEPT: Final = 256
"""Most verdicts are the same for all certificates of a template."""

_FIELDS: Final = {
    Rule.REQUIRE_CN: "common_name",
    Rule.ALLOW_IP_SANS: "ip_sans",
    Rule.ALLOWED_URI_SANS: "uri_sans",
    Rule.ALLOWED_OTHER_SANS: "other_sans",
    Rule.MAX_TTL: "ttl",
    Rule.CA_MAX_TTL: "ttl",
    Rule.CA_END: "ttl",
    Rule.LONGEST_LIFE: "ttl",
}
"""Rules that concern one member of the request, whatever the name at fault."""


@value_object
class Verdict:
    """One rule, held against one value of a certificate.

    Attributes:
        verdict: ``skipped`` if the rule is off, has nothing to judge, or an earlier one failed for the same value.
        value: what was judged, short enough for a line.
        message: a sentence.
        would_pass: for a failure, the smallest change that would pass; otherwise empty.
        field: the request member that the value comes from; empty if it is none.
    """

    rule: Rule
    verdict: Outcome
    value: str = ""
    message: str
    would_pass: str = ""
    field: str = ""


@lru_cache(maxsize=_KEPT)
def passed(rule: Rule, message: str, *, value: str = "") -> Verdict:
    """Return a verdict of a rule that holds."""
    return Verdict(rule=rule, verdict="pass", value=value, message=message, field=_FIELDS.get(rule, ""))


@lru_cache(maxsize=_KEPT)
def skipped(rule: Rule, message: str, *, value: str = "") -> Verdict:
    """Return a verdict of a rule that was not applied."""
    return Verdict(rule=rule, verdict="skipped", value=value, message=message, field=_FIELDS.get(rule, ""))


def failed(rule: Rule, message: str, *, advice: str, value: str = "", field: str = "") -> Verdict:
    """Return a verdict of a rule that is broken."""
    return Verdict(
        rule=rule,
        verdict="fail",
        value=value,
        message=message,
        would_pass=advice,
        field=field or _FIELDS.get(rule, ""),
    )


def refusal(verdicts: Iterable[Verdict]) -> Invalid | None:
    """Return the error for everything that failed, one cause each; ``None`` if nothing did."""
    problems = Problems()
    for verdict in verdicts:
        if verdict.verdict == "fail":
            hint = f"What would pass: {verdict.would_pass}."
            field = verdict.field or "certificate_template"
            problems.note(
                Invalid(ErrorCode.TEMPLATE_VIOLATION, verdict.message, field=field, hint=hint, help_page=HELP_PAGE)
            )
    try:
        problems.raise_any()
    except Invalid as error:
        return error
    return None
