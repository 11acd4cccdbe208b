"""Asking the linter about certificates: before they are signed, or soon after.

Source: design, section 3 ("lint").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from strongroom.domain.authorities.context import AuthorityContext, NamedAuthority
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.pki.draft import Draft
from strongroom.pki.encoding import certificate_der
from strongroom.pki.rehearsal import rehearse


class Linter(Protocol):
    """Knows the rules that certificates in general have to keep. Every call is slow."""

    def lint_certificate(self, der: bytes) -> list[dict[str, str]]:
        """Return findings with ``severity``, ``code`` and ``message``, the worst first.

        Raises:
            Unavailable: the linter is not installed.
        """
        ...


class Linting:
    """Lints what authorities are about to sign."""

    def __init__(self, context: AuthorityContext, linter: Linter) -> None:
        self._context = context
        self._linter = linter

    def of_draft(self, draft: Draft, issuer: NamedAuthority) -> list[dict[str, str]]:
        """Return the findings about a certificate that is not signed yet; a throw-away key signs it for looks.

        Raises:
            Unavailable: the linter is not installed.
        """
        rehearsed = rehearse(draft, self._context.issuer(issuer.authority))
        return self._linter.lint_certificate(certificate_der(rehearsed))

    def of_certificate(self, der: bytes) -> list[dict[str, str]]:
        """Return the findings about a certificate."""
        return self._linter.lint_certificate(der)

    def refuse_errors(self, draft: Draft, issuer: NamedAuthority) -> None:
        """Refuse a draft that the linter finds an error in.

        Raises:
            Invalid: ``lint_failed`` with one cause for each error.
        """
        errors = [item for item in self.of_draft(draft, issuer) if is_error(item)]
        if errors:
            raise Invalid(
                ErrorCode.LINT_FAILED,
                f"The certificate would break {len(errors)} of the rules for certificates, the first: "
                f"{errors[0]['message']} ({errors[0]['code']}).",
                hint="Change the request or the template; POST /api/v2/secrets/evaluate shows what the linter says.",
                causes=[Invalid(ErrorCode.LINT_FAILED, f"{item['code']}: {item['message']}") for item in errors],
            )


def is_error(finding: Mapping[str, Any]) -> bool:
    """Tell whether a finding is one that stops the level ``error``."""
    return finding["severity"] in {"error", "fatal"}
