"""Every error Strongroom raises on purpose.

StrongroomError(code, detail)
├── Invalid          the input breaks a rule
├── Unauthenticated  nobody known is asking
├── Forbidden        known, but may not
├── NotFound         no such thing for this caller
├── Conflict         clashes with a state, lock, version or name
├── LimitReached     a quota or rate is used up
├── TooLarge         the input is bigger than the server reads
├── Unavailable      a peer or the store is down; try again
├── Upstream         another service said no; keeps its own code
├── Integrity        stored data fails authentication
└── Internal         a bug; the detail never leaves the process

Categories carry no HTTP status; ``api/problems.py`` has the only table.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any


class ErrorCode(StrEnum):
    """Stable words that clients may rely on; shown as ``code``."""

    # the request as such
    MALFORMED_REQUEST = "malformed_request"
    INVALID_FIELD = "invalid_field"
    MISSING_FIELD = "missing_field"
    UNKNOWN_FIELD = "unknown_field"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_ACCEPTABLE = "not_acceptable"
    REQUEST_TOO_LARGE = "request_too_large"
    PRECONDITION_REQUIRED = "precondition_required"
    # who is asking
    TOKEN_MISSING = "token_missing"
    TOKEN_INVALID = "token_invalid"
    TOKEN_EXPIRED = "token_expired"
    CREDENTIAL_REFUSED = "credential_refused"
    ADDRESS_NOT_ALLOWED = "address_not_allowed"
    FORBIDDEN = "forbidden"
    TOO_MANY_ATTEMPTS = "too_many_attempts"
    # things and their states
    NOT_FOUND = "not_found"
    ALREADY_EXISTS = "already_exists"
    LIMIT_REACHED = "limit_reached"
    STALE_VERSION = "stale_version"
    AMBIGUOUS_NAME = "ambiguous_name"
    IN_USE = "in_use"
    GROUP_NOT_EMPTY = "group_not_empty"
    GROUP_PROTECTED = "group_protected"
    LAST_ADMINISTRATOR = "last_administrator"
    IDENTITY_LOCKED = "identity_locked"
    NOT_SUPPORTED = "not_supported"
    STATE_FORBIDS = "state_forbids"
    SECRET_VERSION_LOCKED = "secret_version_locked"
    PAYLOAD_NOT_AVAILABLE = "payload_not_available"
    # certificates, keys and signing requests
    CERTIFICATE_UNREADABLE = "certificate_unreadable"
    CERTIFICATE_EXPIRED = "certificate_expired"
    INTERMEDIATE_UNREADABLE = "intermediate_unreadable"
    KEY_UNREADABLE = "key_unreadable"
    KEY_ENCRYPTED = "key_encrypted"
    KEY_MISMATCH = "key_mismatch"
    KEY_TOO_WEAK = "key_too_weak"
    KEY_NOT_EXPECTED = "key_not_expected"
    WRONG_FORMAT = "wrong_format"
    CHAIN_LOOP = "chain_loop"
    CHAIN_UNRELATED = "chain_unrelated"
    CSR_KEY_MISMATCH = "csr_key_mismatch"
    LINT_FAILED = "lint_failed"
    CSR_NAMES_CHANGED = "csr_names_changed"
    TEMPLATE_VIOLATION = "template_violation"
    # the server itself
    UNAVAILABLE = "unavailable"
    UPSTREAM_REFUSED = "upstream_refused"
    DESTINATION_NOT_ALLOWED = "destination_not_allowed"
    ACME_ACCOUNT_NOT_FOUND = "acme_account_not_found"
    INTEGRITY_FAILED = "integrity_failed"
    MASTER_KEY_MISSING = "master_key_missing"
    MASTER_KEY_WRONG = "master_key_wrong"
    SETTINGS_INVALID = "settings_invalid"
    ALREADY_RUNNING = "already_running"
    STORE_NOT_EMPTY = "store_not_empty"
    BACKUP_UNREADABLE = "backup_unreadable"
    INTERNAL = "internal_error"


class StrongroomError(Exception):
    """Something that Strongroom itself knows went wrong.

    Args:
        code: stable word for programs.
        detail: one sentence for the user; never a secret value, path or SQL.
        field: the request member at fault, in the API's spelling (``labels[2]``).
        hint: what to try next, one sentence or command; shown by CLI, logs and the API.
        help_page: page below ``docs/guide`` that explains it (``import-problems``).
        retry_after: when trying again makes sense.
        causes: every single problem, when several were found at once.
        reference_code: the reference service's number for it, where known (contract domain section 4.6).
    """

    def __init__(
        self,
        code: ErrorCode,
        detail: str,
        *,
        field: str | None = None,
        hint: str | None = None,
        help_page: str | None = None,
        retry_after: timedelta | None = None,
        causes: Sequence[StrongroomError] = (),
        reference_code: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.field = field
        self.hint = hint
        self.help_page = help_page
        self.retry_after = retry_after
        self.causes = tuple(causes)
        self.reference_code = reference_code

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep every field when the error crosses from a helper process."""
        fields = (self.field, self.hint, self.help_page, self.retry_after, self.causes, self.reference_code)
        return _rebuild, (type(self), self.code, self.detail, *fields)

    def diagnostics(self) -> str:
        """Return the detail with what to try next, for terminals and logs."""
        lines = [self.detail]
        if self.hint:
            lines.append(self.hint)
        lines += [f"{cause.field}: {cause.detail}" if cause.field else cause.detail for cause in self.causes]
        return "\n".join(lines)


def _rebuild(
    kind: type[StrongroomError],
    code: ErrorCode,
    detail: str,
    field: str | None,
    hint: str | None,
    help_page: str | None,
    retry_after: timedelta | None,
    causes: Sequence[StrongroomError],
    reference_code: str | None,
) -> StrongroomError:
    return kind(
        code,
        detail,
        field=field,
        hint=hint,
        help_page=help_page,
        retry_after=retry_after,
        causes=causes,
        reference_code=reference_code,
    )


class Invalid(StrongroomError):
    """The input breaks a rule."""


class Unauthenticated(StrongroomError):
    """Nobody known is asking."""


class Forbidden(StrongroomError):
    """The caller is known, but may not."""


class NotFound(StrongroomError):
    """There is no such thing for this caller."""


class Conflict(StrongroomError):
    """The request clashes with a state, lock, version or name."""


class LimitReached(StrongroomError):
    """A quota or rate is used up."""


class TooLarge(StrongroomError):
    """The input is bigger than the server reads."""


class Unavailable(StrongroomError):
    """A peer or the store is down; trying again may help."""


class Upstream(StrongroomError):
    """Another service said no."""


class Integrity(StrongroomError):
    """Stored data fails authentication."""


class Internal(StrongroomError):
    """A bug; the detail never leaves the process."""


class Problems:
    """Collect every broken rule of one input, then raise them together."""

    def __init__(self) -> None:
        self._found: list[Invalid] = []

    def add(
        self,
        field: str,
        detail: str,
        *,
        code: ErrorCode = ErrorCode.INVALID_FIELD,
        hint: str | None = None,
        reference_code: str | None = None,
    ) -> None:
        """Note one broken rule."""
        self._found.append(Invalid(code, detail, field=field, hint=hint, reference_code=reference_code))

    def note(self, problem: Invalid) -> None:
        """Note a problem that was raised elsewhere; one that is noted already counts once."""
        found = (p for p in (problem.causes or (problem,)) if isinstance(p, Invalid))
        self._found.extend(p for p in found if p not in self._found)

    def raise_any(self) -> None:
        """Raise `Invalid` if anything was noted.

        Raises:
            Invalid: the single problem, or one that carries all of them as ``causes``.
        """
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            first = self._found[0]
            raise Invalid(
                first.code,
                first.detail,
                field=first.field,
                hint=first.hint,
                help_page=first.help_page,
                causes=self._found,
                reference_code=first.reference_code,
            )
