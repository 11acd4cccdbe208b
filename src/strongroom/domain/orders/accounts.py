"""Accounts at public CAs: looked up by their key, or made where none was given. Source: RFC 8555 section 7.3."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from strongroom.domain.configurations.model import ConfigType
from strongroom.domain.orders.acme import Acme, AcmeAccount, AcmeDirectory, AcmeProblem, AcmeSession
from strongroom.domain.orders.configured import (
    ACCOUNT_DIRECTORY,
    ACCOUNT_IS_OURS,
    ACCOUNT_URL,
    DIRECTORY,
    EAB_HMAC_KEY,
    EAB_KEY_ID,
    ENVIRONMENT,
    PRIVATE_KEYS,
    PROFILE,
    ROOT_BUNDLE,
    Directories,
)
from strongroom.kernel.errors import ErrorCode, Invalid

T = TypeVar("T")

UNKNOWN_ACCOUNT: Final = "07023"
BAD_KEY: Final = "07021"
"""Numbers of the reference. Source: contract domain section 4.6."""


class Accounts:
    """Asks CAs about accounts when configurations are made and changed."""

    def __init__(self, acme: Acme, directories: Directories) -> None:
        self._acme = acme
        self._directories = directories

    def open(self, config_type: ConfigType, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what a new configuration keeps of its account, the key in its member.

        Raises:
            Invalid: the key is none, the CA knows no account of it, or does not offer what is asked for.
            AcmeProblem: the CA refuses for now.
            Unavailable: it cannot be reached.
        """
        member = PRIVATE_KEYS[config_type]
        given = values.get(member)
        key = self._checked_key(member, given) if given else self._acme.new_account_key()
        account = self._directories.account(config_type, {**values, member: key})
        session = self._acme.session(account)
        place = _place_of(config_type)
        directory = _asked(place, session.directory, place=place)
        _check_profile(values, directory)
        is_ours = not given
        if is_ours and directory.needs_external_account and not account.eab_key_id:
            raise _needs_binding(config_type)
        return {member: key, **self._account(config_type, account, session, is_ours=is_ours)}

    def follow(
        self, config_type: ConfigType, before: Mapping[str, Any], values: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Return what a changed configuration keeps of its account.

        Args:
            config_type: of the configuration.
            before: its members as they stand.
            values: as they are to be.

        Raises:
            Invalid, AcmeProblem, Unavailable: as for a new one.
        """
        member = PRIVATE_KEYS[config_type]
        if not values.get(member):
            raise Invalid(
                ErrorCode.INVALID_FIELD,
                f"{member} cannot be removed, only replaced by the key of another account.",
                field=member,
            )
        is_new_key = values[member] != before[member]
        key = self._checked_key(member, values[member]) if is_new_key else str(values[member])
        account = self._directories.account(config_type, {**values, member: key})
        is_moved = before.get(ACCOUNT_DIRECTORY) != account.directory_url
        session = self._acme.session(account)
        if is_moved or any(values.get(name) != before.get(name) for name in (PROFILE, ROOT_BUNDLE)):
            place = _place_of(config_type)
            _check_profile(values, _asked(place, session.directory, place=place))
        if not is_new_key and not is_moved:
            return {}
        is_ours = bool(before.get(ACCOUNT_IS_OURS)) and not is_new_key
        return {member: key, **self._account(config_type, account, session, is_ours=is_ours)}

    def _account(
        self, config_type: ConfigType, account: AcmeAccount, session: AcmeSession, *, is_ours: bool
    ) -> Mapping[str, Any]:
        member, place = PRIVATE_KEYS[config_type], _place_of(config_type)
        url = None if is_ours else _asked(member, session.find_account, place=place, reference_code=UNKNOWN_ACCOUNT)
        # Who gives a key together with a binding wants the account made that the binding is for.
        if url is None and (is_ours or account.eab_key_id):
            url = _asked(EAB_KEY_ID if account.eab_key_id else place, session.register, place=place)
        if url is None:
            raise Invalid(
                ErrorCode.ACME_ACCOUNT_NOT_FOUND,
                f"The certificate authority knows no account of the key in {member}.",
                field=member,
                hint=f"Check {place}, register the account there, or make a configuration without "
                f"{member}: an account is then registered.",
                reference_code=UNKNOWN_ACCOUNT,
            )
        return {ACCOUNT_URL: url, ACCOUNT_DIRECTORY: account.directory_url, ACCOUNT_IS_OURS: is_ours}

    def _checked_key(self, member: str, pem: str) -> str:
        try:
            return self._acme.check_account_key(pem)
        except Invalid as problem:
            raise Invalid(
                problem.code,
                problem.detail,
                field=member,
                hint=problem.hint,
                help_page=problem.help_page,
                reference_code=BAD_KEY,
            ) from None


def _place_of(config_type: ConfigType) -> str:
    """Return the member that says which CA it is."""
    return ENVIRONMENT if config_type is ConfigType.LETS_ENCRYPT else DIRECTORY


def _check_profile(values: Mapping[str, Any], directory: AcmeDirectory) -> None:
    profile = values.get(PROFILE)
    if not profile or profile in directory.profiles:
        return
    offered = f"it offers {', '.join(directory.profiles)}" if directory.profiles else "it offers none"
    raise Invalid(
        ErrorCode.INVALID_FIELD,
        f"{PROFILE} names no profile of the certificate authority: {profile}; {offered}.",
        field=PROFILE,
    )


def _needs_binding(config_type: ConfigType) -> Invalid:
    if config_type is ConfigType.LETS_ENCRYPT:
        return Invalid(
            ErrorCode.INVALID_FIELD,
            "The certificate authority of this environment registers accounts with an external account binding only; "
            f"give the key of a registered account, or use {ConfigType.ACME}.",
            field=PRIVATE_KEYS[config_type],
        )
    return Invalid(
        ErrorCode.MISSING_FIELD,
        f"{EAB_KEY_ID} is required: the certificate authority registers accounts with an external account binding "
        f"only; {EAB_KEY_ID} and {EAB_HMAC_KEY} are what it gave you for that.",
        field=EAB_KEY_ID,
    )


def _asked(member: str, ask: Callable[[], T], *, place: str, reference_code: str | None = None) -> T:
    """Return what the CA answers; what it would refuse always is the request's fault.

    Args:
        member: at fault when the CA refuses.
        ask: the question.
        place: member that says which CA it is.
        reference_code: of a refusal.
    """
    try:
        return ask()
    except Invalid as problem:
        # Whoever refuses to connect does not know which member named the place.
        raise Invalid(
            problem.code, problem.detail, field=problem.field or place, hint=problem.hint, help_page=problem.help_page
        ) from None
    except AcmeProblem as problem:
        if not problem.is_final:
            raise
        raise Invalid(
            problem.code,
            f"The certificate authority refused: {problem.detail}",
            field=member,
            reference_code=reference_code,
        ) from None
