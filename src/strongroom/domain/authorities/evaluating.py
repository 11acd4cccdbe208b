"""What a request for a certificate would lead to, without issuing anything. Source: design, section 12."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from strongroom.domain.authorities.context import certificate_of
from strongroom.domain.authorities.issuing import Issuance
from strongroom.domain.authorities.linting import Linting, is_error
from strongroom.domain.authorities.templates import profile_of_template
from strongroom.kernel.errors import Invalid, StrongroomError
from strongroom.kernel.ids import GroupId
from strongroom.kernel.value import value
from strongroom.pki.describe import describe_draft
from strongroom.pki.draft import Draft
from strongroom.pki.verdicts import Verdict


@value
class Evaluation:
    """The answer to a dry run.

    Attributes:
        rules: one object per rule: ``rule``, ``verdict``, ``value``, ``message``, ``would_pass``.
        draft: the certificate about to be signed; ``None`` if the request did not get that far.
        certificate_text: the draft, readable.
    """

    allowed: bool
    rules: Sequence[Mapping[str, str]]
    draft: Draft | None = None
    certificate_text: str = ""
    lint: Sequence[Mapping[str, str]] = ()


class DryRun:
    """Judges requests."""

    def __init__(self, issuance: Issuance, linting: Linting) -> None:
        self._issuance = issuance
        self._linting = linting

    def evaluate(self, values: Mapping[str, Any], *, group_id: GroupId, caller: Mapping[str, str]) -> Evaluation:
        """Tell what the rules and the linter say of the certificate that a request leads to.

        A request that no certificate can be drafted from shows what it breaks as failed rules, too.
        """
        try:
            judged = self._issuance.judge(values, group_id=group_id, caller=caller, is_dry=True)
        except Invalid as error:
            return Evaluation(allowed=False, rules=[_broken(item) for item in error.causes or (error,)])
        findings = self._linting.preview(judged.draft, judged.template, judged.issuer)
        refuses = profile_of_template(judged.template).lint_level == "error"
        is_stopped = refuses and any(map(is_error, findings))
        return Evaluation(
            allowed=judged.is_allowed and not is_stopped,
            rules=[_shown(item) for item in judged.verdicts],
            draft=judged.draft,
            certificate_text=describe_draft(judged.draft, certificate_of(judged.issuer.authority)),
            lint=findings,
        )


def _shown(verdict: Verdict) -> dict[str, str]:
    return {
        "rule": verdict.rule.value,
        "verdict": verdict.verdict,
        "value": verdict.value,
        "message": verdict.message,
        "would_pass": verdict.would_pass,
    }


def _broken(error: StrongroomError) -> dict[str, str]:
    return {
        "rule": error.field or error.code.value,
        "verdict": "fail",
        "value": "",
        "message": error.detail,
        "would_pass": error.hint or "",
    }
