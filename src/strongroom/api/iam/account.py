"""The account that identity operations name: this server has one."""

from __future__ import annotations

from strongroom.api.operations import Call
from strongroom.domain.identity.policy_documents import OWN_ACCOUNT
from strongroom.kernel.errors import ErrorCode, Invalid


def check_account(call: Call, account_id: str | None) -> None:
    """Refuse an account that is not ours (design, section 8).

    Raises:
        Invalid: ``invalid_field``.
    """
    own = call.services.instance.account_id
    if account_id not in (None, "", own, OWN_ACCOUNT):
        raise Invalid(
            ErrorCode.INVALID_FIELD,
            f"account_id must be {own!r} or '{OWN_ACCOUNT}', or be left out.",
            field="account_id",
        )
