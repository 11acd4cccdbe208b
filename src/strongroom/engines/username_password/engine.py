"""User credentials with generated passwords and automatic rotation. Source: api-v2-models M7.3."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from strongroom.domain.engine import NewValues, Patched, Prepared, Present, Work
from strongroom.domain.secrets.model import SecretType
from strongroom.domain.secrets.rotation import OFF, check_interval_policy
from strongroom.engines.expiration import FIELD, read_expiration
from strongroom.kernel.errors import ErrorCode, Invalid, Problems

# The published class is ``[A-Za-z0-9+-=.]``: its ``+-=`` is a range that also holds , - . / : ; and <.
_USERNAME: Final = re.compile(r"[A-Za-z0-9+-=.]{2,64}")
_PASSWORD_LENGTHS: Final = (6, 256)
_GENERATED_LENGTHS: Final = (12, 256)
POLICY: Final[Mapping[str, Any]] = {
    "length": 32,
    "include_digits": True,
    "include_symbols": True,
    "include_uppercase": True,
}
_POLICY_FIELD: Final = "password_generation_policy"


class UsernamePasswordEngine:
    """Keeps a user name and a password."""

    secret_type: ClassVar[SecretType] = SecretType.USERNAME_PASSWORD
    slow: ClassVar[bool] = False
    patchable: ClassVar[frozenset[str]] = frozenset({FIELD, "rotation", _POLICY_FIELD})
    absent_payload: ClassVar[Mapping[str, Any]] = {"username": "", "password": ""}
    restorable: ClassVar[bool] = False

    def prepare_new(self, work: Work, new: NewValues) -> Prepared:
        """Check the credentials and policies; make the password if none is given."""
        problems = Problems()
        values = new.values
        username = values["username"]
        if _USERNAME.fullmatch(username) is None:
            problems.add(
                "username", "username must have 2 to 64 characters out of letters, digits and + , - . / : ; < =."
            )
        policy = _merge_policy(problems, POLICY, values.get(_POLICY_FIELD))
        rotation = check_interval_policy(problems, values.get("rotation") or OFF)
        password = _check_password(problems, values.get("password"))
        expires_at = read_expiration(problems, values, work.clock.now())
        problems.raise_any()
        return Prepared(
            payload={"username": username, "password": password or work.generate_password(**policy)},
            attributes={_POLICY_FIELD: policy},
            rotation=rotation,
            expires_at=expires_at,
        )

    def prepare_version(self, work: Work, present: Present, new: NewValues) -> Prepared:
        """Keep the user name, take or make the next password."""
        problems = Problems()
        password = _check_password(problems, new.values.get("password"))
        problems.raise_any()
        secret = present.secret
        payload = present.payload()
        if payload is None:
            raise Invalid(ErrorCode.PAYLOAD_NOT_AVAILABLE, "The current version has no data with the user name.")
        policy = secret.attributes.get(_POLICY_FIELD, POLICY)
        return Prepared(
            payload={"username": payload["username"], "password": password or work.generate_password(**policy)},
            attributes=secret.attributes,
            rotation=secret.rotation,
            expires_at=secret.expires_at,
            relies_on_secret=True,
        )

    def prepare_restore(self, work: Work, present: Present, payload: Mapping[str, Any]) -> Prepared:
        """Refuse; the type does not support it."""
        raise Invalid(ErrorCode.NOT_SUPPORTED, "User credentials do not support restore.")

    def prepare_patch(self, work: Work, present: Present, changes: Mapping[str, Any]) -> Patched:
        """Change expiry, rotation and password policy; the policy merges member by member."""
        problems = Problems()
        secret = present.secret
        attributes = dict(secret.attributes)
        rotation, expires_at = secret.rotation, secret.expires_at
        if FIELD in changes:
            expires_at = read_expiration(problems, changes, work.clock.now())
        if "rotation" in changes:
            rotation = check_interval_policy(problems, changes["rotation"] or OFF)
        if _POLICY_FIELD in changes:
            base = POLICY if changes[_POLICY_FIELD] is None else attributes.get(_POLICY_FIELD, POLICY)
            attributes[_POLICY_FIELD] = _merge_policy(problems, base, changes[_POLICY_FIELD])
        problems.raise_any()
        return Patched(attributes=attributes, rotation=rotation, expires_at=expires_at)


def _check_password(problems: Problems, password: str | None) -> str | None:
    low, high = _PASSWORD_LENGTHS
    if password is not None and not low <= len(password) <= high:
        problems.add("password", f"password must have {low} to {high} characters; it has {len(password)}.")
    return password


def _merge_policy(problems: Problems, base: Mapping[str, Any], given: Mapping[str, Any] | None) -> dict[str, Any]:
    policy = dict(base)
    for name, value in (given or {}).items():
        # Null removes a member, which brings its default back (RFC 7396).
        policy[name] = POLICY[name] if value is None else value
    low, high = _GENERATED_LENGTHS
    if not low <= policy["length"] <= high:
        problems.add(f"{_POLICY_FIELD}.length", f"{_POLICY_FIELD}.length must be {low} to {high}.")
    return policy
