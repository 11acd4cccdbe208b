"""Asking the linter about certificates: before they are signed, or soon after.

Source: design, section 3 ("lint").
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Protocol

from strongroom.domain.authorities.context import AuthorityContext, NamedAuthority
from strongroom.domain.authorities.lint_shapes import Findings, KnownFindings, shape_of
from strongroom.domain.authorities.templates import profile_of_template
from strongroom.domain.configurations.model import Configuration
from strongroom.domain.jobs.model import Job
from strongroom.domain.jobs.steps import Commit, Done, Ended, Step, new_job
from strongroom.domain.ports import Unit
from strongroom.domain.secrets.model import Secret
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.ids import VersionId
from strongroom.kernel.value import value
from strongroom.pki.draft import Draft
from strongroom.pki.encoding import certificate_der
from strongroom.pki.rehearsal import rehearse
from strongroom.pki.verdicts import HELP_PAGE

LINT: Final = "certificate.lint"
FINDINGS: Final = "lint"
"""The attribute of a version that holds what the linter said; absent where nobody asked it."""


class Linter(Protocol):
    """Knows the rules that certificates in general have to keep."""

    def is_installed(self) -> bool:
        """Tell whether it can be asked at all; quick."""
        ...

    def lint_certificate(self, der: bytes) -> list[dict[str, str]]:
        """Return findings with ``severity``, ``code`` and ``message``, the worst first. The call is slow.

        Raises:
            Unavailable: the linter is not installed.
        """
        ...


@value
class Linted:
    """What is known about a certificate when it is signed.

    Attributes:
        findings: ``None`` if nobody has looked.
        wanted: the shape by which it is to be looked at once it is stored; ``None`` if it is not.
    """

    findings: Findings | None = None
    wanted: str | None = None


class Linting:
    """Lints what authorities are about to sign."""

    def __init__(self, context: AuthorityContext, linter: Linter) -> None:
        self._context = context
        self._linter = linter
        self._known = KnownFindings()
        self._one_at_a_time = threading.Lock()

    def of_draft(self, draft: Draft, issuer: NamedAuthority) -> list[dict[str, str]]:
        """Return the findings about a certificate that is not signed yet; a throw-away key signs it for looks.

        Raises:
            Unavailable: the linter is not installed.
        """
        rehearsed = rehearse(draft, self._context.issuer(issuer.authority))
        return self._linter.lint_certificate(certificate_der(rehearsed))

    def preview(self, draft: Draft, template: Configuration, issuer: NamedAuthority) -> list[dict[str, str]]:
        """Return the findings that a certificate would get, for a dry run.

        Raises:
            Unavailable: the template refuses what the linter finds errors in, and there is no linter.
        """
        level = profile_of_template(template).lint_level
        if level == "off" or (level == "warn" and not self._linter.is_installed()):
            return []
        return self.of_draft(draft, issuer)

    def before_signing(self, draft: Draft, template: Configuration, issuer: NamedAuthority) -> Linted:
        """Do what the template's level asks for before a draft is signed.

        Raises:
            Invalid: ``lint_failed`` with one cause for each error, if the level is ``error``.
            Unavailable: the level is ``error``, and the linter is not installed.
        """
        level = profile_of_template(template).lint_level
        if level == "error":
            return Linted(findings=self._refuse_errors(draft, issuer))
        if level == "off" or not self._linter.is_installed():
            return Linted()
        shape = shape_of(draft, template, issuer)
        findings = self._known.find(shape, self._context.now().date())
        return Linted(wanted=shape) if findings is None else Linted(findings=findings)

    def of_shape(self, shape: str, der: bytes) -> Findings | None:
        """Return the findings of today about a shape, from its first certificate; ``None`` without a linter."""
        # Certificates of one shape come in bursts: who waits here mostly finds the answer of whom he waited for.
        with self._one_at_a_time:
            day = self._context.now().date()
            known = self._known.find(shape, day)
            if known is not None:
                return known
            if not self._linter.is_installed():
                return None
            found = self._linter.lint_certificate(der)
            self._known.keep(shape, day, found)
            return found

    def _refuse_errors(self, draft: Draft, issuer: NamedAuthority) -> Findings:
        findings = self.of_draft(draft, issuer)
        errors = [item for item in findings if is_error(item)]
        if errors:
            raise Invalid(
                ErrorCode.LINT_FAILED,
                f"The certificate would break {len(errors)} of the rules for certificates, the first: "
                f"{errors[0]['message']} ({errors[0]['code']}).",
                hint="Change the request or the template; POST /api/v2/secrets/evaluate shows what the linter says.",
                help_page=HELP_PAGE,
                causes=[
                    Invalid(ErrorCode.LINT_FAILED, f"{item['code']}: {item['message']}", help_page=HELP_PAGE)
                    for item in errors
                ],
            )
        return findings


class LintSteps:
    """Lints certificates that were handed out already, and notes the findings on their versions."""

    kind: Final = LINT

    def __init__(self, context: AuthorityContext, linting: Linting) -> None:
        self._context = context
        self._linting = linting

    def run(self, job: Job) -> Step:
        """Lint the certificate of a version."""
        der = base64.b64decode(str(job.data["certificate"]))
        findings = self._linting.of_shape(str(job.data["shape"]), der)
        if findings is None:
            return Done({"skipped": "the linter is not installed"})
        return Commit(lambda unit: self._note(unit, job, findings))

    def _note(self, unit: Unit, job: Job, findings: Findings) -> Ended:
        assert job.secret_id is not None  # noqa: S101  (`queue_lint` gives it one)
        # Held, because a revocation writes the same attributes.
        secret = unit.secrets.find_for_update(job.secret_id)
        version = unit.versions.find(secret.id, VersionId(str(job.data["version_id"]))) if secret is not None else None
        if version is not None:
            unit.versions.save(replace(version, attributes={**version.attributes, FINDINGS: list(findings)}))
        return Done({"findings": len(findings)})


def queue_lint(unit: Unit, shape: str, der: bytes, secret: Secret, version_id: VersionId, now: datetime) -> None:
    """Queue the job that looks at a certificate once it is stored.

    The job keeps the certificate itself, because that in the store lies sealed together with its private key.
    """
    job = new_job(
        LINT,
        dedupe_key=f"{LINT}:{version_id}",
        now=now,
        data={"version_id": version_id, "shape": shape, "certificate": base64.b64encode(der).decode("ascii")},
        secret_id=secret.id,
        group_id=secret.group_id,
    )
    unit.jobs.enqueue(job)


def is_error(finding: Mapping[str, Any]) -> bool:
    """Tell whether a finding is one that stops the level ``error``."""
    return finding["severity"] in {"error", "fatal"}
