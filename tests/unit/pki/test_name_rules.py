"""The table of names in ``tests/assets/template-cases.json``, and what a naive reading of the switches allows."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.pki.name_rules import Name, check_names, matches_glob, resolve_domains, to_comparable
from strongroom.pki.profile import Profile, parse_template, profile_of
from strongroom.pki.rules import check_draft
from strongroom.pki.verdicts import Verdict
from tests.factories.drafts import CALLER, EC, NOW, issuing, make_draft, name_of

_TABLE = Path(__file__).parents[2] / "assets" / "template-cases.json"


class Case(NamedTuple):
    template: dict[str, Any]
    kind: str
    text: str
    rule: str | None


def _cases() -> list[Any]:
    found = []
    for group in json.loads(_TABLE.read_text(encoding="utf-8")):
        texts = {**dict.fromkeys(group["allowed"]), **group["refused"]}
        for text, rule in texts.items():
            case = Case(group["template"], group["kind"], text, rule)
            found.append(pytest.param(case, id=f"{group['about'].partition(': the caller')[0]}: {text[:40]!a}"))
    return found


_CASES = _cases()


def _judge(case: Case) -> list[Verdict]:
    template = {"certificate_authority": "issuing-ca", "require_cn": False, "key_type": "ec", **case.template}
    profile = _read_profile(template)
    if case.kind == "common_name":
        draft = make_draft(profile, common_name=case.text)
    else:
        draft = make_draft(profile, alt_names=[name_of(case.kind, case.text)])
    return list(check_draft(draft, profile, issuing=issuing(), now=NOW, caller=CALLER))


def _read_profile(template: dict[str, Any]) -> Profile:
    # Some entries could never match, and no template may hold them; the rules must not rely on that.
    domains = template.get("allowed_domains", [])
    document = parse_template({**template, "allowed_domains": []})
    return profile_of({**document, "allowed_domains": domains})


def test_table_has_the_promised_size() -> None:
    assert len(_CASES) >= 200


@pytest.mark.parametrize("case", _CASES)
def test_name_is_judged_as_the_table_says(case: Case) -> None:
    verdicts = _judge(case)
    broken = [verdict for verdict in verdicts if verdict.verdict == "fail"]
    assert [verdict.rule.value for verdict in broken] == ([case.rule] if case.rule else []), broken
    for verdict in broken:
        assert verdict.message.endswith(".")
        assert verdict.would_pass
        assert verdict.field or verdict.rule.value == "subject"


def _profile(**settings_: Any) -> Profile:
    return Profile(**{"require_cn": False, "key": EC, **settings_})


def _names_refused(profile: Profile, *listed: tuple[str, str]) -> list[Verdict]:
    judged = check_names((Name(text=text, kind=kind) for kind, text in listed), profile, CALLER)  # type: ignore[arg-type]
    return [verdict for verdict in judged if verdict.verdict == "fail"]


@pytest.mark.parametrize(
    ("switches", "text", "advice"),
    [
        ({"allow_localhost": False}, "localhost", "allow_localhost on the template"),
        ({}, "example.com", "allow_bare_domains on the template"),
        ({}, "www.example.com", "allow_subdomains on the template"),
        ({}, "*.example.com", "allow_subdomains on the template"),
        ({}, "ftp1.example.org", "allow_glob_domains on the template"),
        (
            {"allow_bare_domains": True},
            "www.example.com",
            "allow_subdomains on the template, or example.com, ftp*.example.org",
        ),
        (
            {"allow_subdomains": True},
            "example.com",
            "allow_bare_domains on the template, or a name below example.com",
        ),
        (
            {"allow_glob_domains": True},
            "www.example.org",
            "www.example.org in allowed_domains with allow_bare_domains, or a name that fits ftp*.example.org",
        ),
        ({"allow_bare_domains": True}, "example.net", "example.net in allowed_domains, or example.com"),
        ({"allow_subdomains": True}, "www.example.net", "example.net in allowed_domains, or a name below"),
        ({"allow_subdomains": True}, "*.example.net", "example.net in allowed_domains, or"),
        ({}, "www.example.net", "www.example.net in allowed_domains with allow_bare_domains, or localhost"),
    ],
)
def test_refusal_names_the_smallest_change(switches: dict[str, bool], text: str, advice: str) -> None:
    profile = _profile(allowed_domains=("example.com", "ftp*.example.org"), **switches)
    (verdict,) = _names_refused(profile, ("dns", text))
    assert verdict.would_pass.startswith(advice)
    assert text in verdict.message


def test_advice_for_outer_dots_is_the_name_without_them() -> None:
    (verdict,) = _names_refused(_profile(allow_any_name=True), ("dns", "www.example.com."))
    assert verdict.would_pass == "www.example.com, without the outer dots"


def test_every_name_has_a_verdict_and_repeated_names_one() -> None:
    profile = _profile(allowed_domains=("example.com",), allow_subdomains=True)
    listed = [
        ("common_name", "a.example.org"),
        ("dns", "A.example.org"),
        ("dns", "b.example.org"),
        ("dns", "b.example.org"),
    ]
    refused = _names_refused(profile, *listed)
    assert [verdict.value for verdict in refused] == ["A.example.org", "b.example.org"]
    assert [verdict.field for verdict in refused] == ["common_name", "alt_names"]


def test_common_name_is_no_repetition_of_a_name_that_only_looks_like_it() -> None:
    profile = _profile(allowed_domains=("kilo.example.com",), allow_bare_domains=True, enforce_hostnames=False)
    refused = _names_refused(profile, ("common_name", "\u212ailo.example.com"), ("dns", "kilo.example.com"))
    assert [verdict.field for verdict in refused] == ["common_name"]


@pytest.mark.parametrize("fact", ["*", "a*", "", "a b", "{{name}}", "a/b", "a\n", "b\u00fccher", "x" * 254])
def test_caller_cannot_widen_a_domain_by_its_facts(fact: str) -> None:
    profile = _profile(allowed_domains=("{{name}}.example.com",), allowed_domains_template=True)
    assert resolve_domains(profile, {"name": fact}) == ()


def test_same_domain_counts_once() -> None:
    profile = _profile(allowed_domains=("example.com", " Example.com ", "{{name}}"), allowed_domains_template=True)
    assert resolve_domains(profile, {"name": "example.com"}) == ("example.com",)


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("", "", True),
        ("", "a", False),
        ("a", "a", True),
        ("*", "", True),
        ("**", "ab", True),
        ("a*", "a", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("*b*", "abc", True),
        ("a*b*c", "acb", False),
        ("a*bc*c", "abc", False),
        ("a.c", "abc", False),
    ],
)
def test_glob_stands_for_any_characters(pattern: str, text: str, fits: bool) -> None:
    assert matches_glob(pattern, text) is fits


@given(pattern=st.text("ab*", max_size=8), text=st.text("ab", max_size=10))
def test_glob_fits_what_the_regular_expression_fits(pattern: str, text: str) -> None:
    expression = ".*".join(re.escape(part) for part in pattern.split("*"))
    assert matches_glob(pattern, text) is (re.fullmatch(expression, text) is not None)


def test_glob_with_many_stars_is_quick() -> None:
    assert not matches_glob("a*" * 250 + "b", "a" * 2000 + "c")


def test_labels_that_cannot_be_written_in_ascii_are_compared_as_they_are() -> None:
    assert to_comparable("WWW.\u2603.Example") == "www.\u2603.example"


_LABELS = st.sampled_from(["a", "b", "ab", "localhost", "*", "a*"])
_DOMAINS = st.lists(_LABELS, min_size=1, max_size=3).map(".".join)
_SWITCHES = [
    field.name for field in fields(Profile) if field.name.startswith("allow_") and field.name != "allow_ip_sans"
]


def _naively_allowed(name: str, profile: Profile) -> bool:
    """Read the switches one by one, with regular expressions in place of the glob of the product."""
    host = name.rpartition("@")[2].lower()
    if "*" in name and not profile.allow_wildcard_certificates:
        return False
    if profile.allow_any_name:
        return True
    patterns = []
    bases = ["localhost", "localdomain"] if profile.allow_localhost else []
    patterns += [re.escape(base) for base in bases]
    if profile.allow_subdomains:
        patterns += [rf".+\.{re.escape(base)}" for base in (*bases, *profile.allowed_domains)]
    if profile.allow_glob_domains:
        patterns += [re.escape(domain).replace(r"\*", ".*") for domain in profile.allowed_domains if "*" in domain]
    if profile.allow_bare_domains:
        patterns += [re.escape(domain) for domain in profile.allowed_domains]
    return any(re.fullmatch(pattern, host) for pattern in patterns)


@settings(max_examples=400)
@given(
    switches=st.fixed_dictionaries({name: st.booleans() for name in _SWITCHES}),
    enforced=st.booleans(),
    domains=st.lists(_DOMAINS, max_size=3),
    common_name=_DOMAINS,
    hosts=st.lists(_DOMAINS, max_size=3),
    emails=st.lists(_DOMAINS.map(lambda host: f"user@{host}"), max_size=2),
)
def test_draft_that_passes_has_no_name_outside_the_naive_allowance(
    switches: dict[str, bool],
    enforced: bool,
    domains: list[str],
    common_name: str,
    hosts: list[str],
    emails: list[str],
) -> None:
    profile = replace(_profile(**switches), enforce_hostnames=enforced, allowed_domains=tuple(domains))
    alt_names = [name_of("dns", host) for host in hosts] + [name_of("email", email) for email in emails]
    draft = make_draft(profile, common_name=common_name, alt_names=alt_names)

    verdicts = check_draft(draft, profile, issuing=issuing(), now=NOW, caller=CALLER)

    listed = [common_name, *hosts, *emails]
    refused = any(verdict.verdict == "fail" for verdict in verdicts)
    if not refused:
        assert all(_naively_allowed(name, profile) for name in listed)
    elif not enforced and not any("*" in name for name in listed):
        assert not all(_naively_allowed(name, profile) for name in listed)
