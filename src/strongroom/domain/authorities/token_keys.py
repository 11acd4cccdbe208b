"""CA keys that live in a token: which ``crypto_key`` is allowed, and what it holds on to.

Source: contract domain section 5.11; api-v2-models M4.5; design, section 12.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from strongroom.domain.access.actions import Action
from strongroom.domain.access.decide import require, require_group
from strongroom.domain.access.principals import Principal
from strongroom.domain.authorities.keys import NewKey
from strongroom.domain.authorities.pins import no_pin
from strongroom.domain.configurations.model import ConfigKind, Configuration
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.domain.secrets.model import SecretType
from strongroom.domain.secrets.references import add_reference, remove_reference
from strongroom.kernel.errors import Conflict, ErrorCode, Invalid
from strongroom.kernel.ids import SecretId
from strongroom.pki.encoding import key_identifier

CRYPTO_KEY: Final = "crypto_key"
_PROVIDER: Final = "pkcs11"


def require_usable(unit: ReadUnit, by: Principal, crypto_key: Mapping[str, Any]) -> None:
    """Refuse a key of a provider that is not served, and a caller who may not read the PIN of its token.

    Whoever has a token sign with a PIN uses the PIN, so it takes the right to read it.

    Raises:
        Invalid: the provider is not supported, or its PIN is not in an arbitrary secret.
        Forbidden: the caller may not read that secret.
    """
    kind = crypto_key["provider"]["type"]
    if kind != _PROVIDER:
        raise Invalid(
            ErrorCode.NOT_SUPPORTED,
            f"crypto_key.provider.type {kind} is not supported on this server; {_PROVIDER} is.",
            field="crypto_key.provider.type",
        )
    require(by, Action.SECRET_READ)
    secret_id = _pin_secret_of(crypto_key)
    secret = unit.secrets.find(secret_id)
    if secret is None:
        raise no_pin(secret_id)
    require_group(by, Action.SECRET_READ, secret.group_id)
    if secret.secret_type is not SecretType.ARBITRARY:
        raise no_pin(secret_id)


def hold_pin(unit: Unit, configuration: Configuration) -> None:
    """Note, with the secret of the PIN, that a new CA uses it: it cannot be deleted before the CA.

    Raises:
        Invalid: the secret was deleted meanwhile.
    """
    crypto_key = configuration.document.get(CRYPTO_KEY)
    if crypto_key is not None:
        secret_id = _pin_secret_of(crypto_key)
        secret = unit.secrets.find_for_update(secret_id)
        if secret is None:
            raise no_pin(secret_id)
        add_reference(unit, secret, configuration.name)


def release_pin(unit: Unit, configuration: Configuration) -> None:
    """Let go of the secret of the PIN when the CA is deleted. The key stays in its token."""
    crypto_key = configuration.document.get(CRYPTO_KEY)
    if crypto_key is not None:
        remove_reference(unit, _pin_secret_of(crypto_key), configuration.name)


def require_unshared(unit: Unit, made: NewKey) -> None:
    """Refuse a key in a token that another CA certificate has: neither could tell its revocations from the other's.

    Raises:
        Conflict: ``in_use``, naming the CA.
    """
    if made.external is None:
        return
    # Units that use the same PIN come one after the other, so of two with the same key the second sees the first.
    unit.secrets.find_for_update(_pin_secret_of(made.external))
    key_id = key_identifier(made.key.public_key())
    for configuration in unit.configurations.of_kind(ConfigKind.PRIVATE_CA):
        if any(item.key_id == key_id for item in unit.authorities.generations(configuration.id)):
            raise Conflict(
                ErrorCode.IN_USE,
                f"The key in the token is the key of the certificate authority {configuration.name} already; each has "
                "one of its own.",
                field=CRYPTO_KEY,
                hint="Name another key, or delete that certificate authority first.",
            )


def next_in_token(crypto_key: Mapping[str, Any] | None, generation: int) -> Mapping[str, Any] | None:
    """Return where in its token the next key of a CA goes: beside the present one, under a name of its own.

    Raises:
        Invalid: the configuration does not allow keys to be generated, or has no label to name one by.
    """
    if crypto_key is None:
        return None
    if not crypto_key.get("allow_generate_key") or "label" not in crypto_key:
        raise Invalid(
            ErrorCode.STATE_FORBIDS,
            "The certificate authority cannot be rotated: its next key has to be generated in the token, which its "
            "crypto_key allows only with a label and allow_generate_key.",
            field="action_type",
        )
    others = {name: item for name, item in crypto_key.items() if name != "id"}
    return {**others, "label": f"{crypto_key['label']}-{generation}"}


def _pin_secret_of(crypto_key: Mapping[str, Any]) -> SecretId:
    return SecretId(crypto_key["provider"]["pin_secret_id"])
