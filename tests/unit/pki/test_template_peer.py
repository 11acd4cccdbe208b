"""The short form of the template cases: recorded ones; ``python -m tests.soak.template_cases`` asks the peer anew."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.factories.template_cases import Case, Outcome, csr_pem, explain, judge, soften
from tests.soak.random_templates import Generator
from tests.soak.template_cases import RECORD, record, replay

_RECORDED = json.loads(RECORD.read_text(encoding="utf-8"))
_REFUSED = Outcome(allowed=False)


def test_templates_allow_what_the_peer_allowed_but_for_what_is_meant() -> None:
    totals = replay(_RECORDED)
    assert not totals.failures, totals.failures[0]
    assert totals.cases == 500
    assert totals.allowed >= 100
    assert totals.refused >= 100
    assert len(totals.meant) >= 8


def _explained(template: dict[str, Any], request: dict[str, Any], peer: Outcome) -> tuple[str, ...]:
    case = Case(template=template, request=request)
    return explain(case, judge(case), peer, peer)


def _issued(*names: str, life: int = 3600) -> Outcome:
    return Outcome(allowed=True, common_name=names[0], alt_names=tuple(("dns", name) for name in names), life=life)


def test_plain_name_that_only_one_side_allows_is_never_explained() -> None:
    listed: dict[str, Any] = {"allowed_domains": ["example.com"], "ttl": "1h"}
    request = {"common_name": "www.example.com"}
    assert not _explained(listed, request, _issued("www.example.com"))
    assert not _explained({**listed, "allow_subdomains": True}, request, _REFUSED)


def test_certificate_with_another_name_or_life_is_never_explained() -> None:
    template = {"allow_any_name": True, "allowed_domains": [], "ttl": "1h"}
    request = {"common_name": "www.example.com"}
    assert not _explained(template, request, _issued("www.example.com", "example.com"))
    assert not _explained(template, request, _issued("www.example.com", life=7200))


@pytest.mark.parametrize(
    ("template", "request_", "peer", "reason"),
    [
        ({"allow_localhost": True}, {"common_name": "*.localhost"}, _issued("*.localhost"), "below localhost"),
        ({"allow_any_name": True}, {"common_name": "w*.example.com"}, _issued("w*.example.com"), "the form of one"),
        ({"allow_any_name": True, "require_cn": False}, {}, _issued(""), "must have a name"),
        (
            {"allow_glob_domains": True, "allowed_domains": ["example.*"]},
            {"common_name": "example.user@other.test"},
            _issued("example.user@other.test"),
            "a glob without @",
        ),
    ],
)
def test_stricter_rule_is_explained(
    template: dict[str, Any], request_: dict[str, Any], peer: Outcome, reason: str
) -> None:
    if not request_:
        peer = replace(peer, alt_names=())
    (found,) = _explained({"allowed_domains": [], "ttl": "1h", **template}, request_, peer)
    assert reason in found


def test_generated_cases_can_be_judged_recorded_and_repeated() -> None:
    one, other = Generator(7), Generator(7)
    for _ in range(100):
        case = one.case()
        assert case == other.case()
        if "csr" in case.request:
            assert "CERTIFICATE REQUEST" in csr_pem(case.request["csr"])
        ours = judge(case)
        kept = json.loads(json.dumps(record(case, ours, judge(soften(case)[0]))))
        assert Outcome.from_json(kept["peer"]) == ours
        assert Case(template=kept["template"], request=kept["request"]) == case
