"""Which configurations use a secret: ``referenced_by``. Source: api-v2 section 4.5; api-v2-models M5.

The names stand in the secret's own row, so that answers show them without another read. Configurations note and
take back their names in the unit that stores or deletes them; nothing else changes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from strongroom.domain.ports import Unit
from strongroom.domain.secrets.model import Secret
from strongroom.kernel.errors import Conflict, ErrorCode
from strongroom.kernel.ids import SecretId

_REFERENCED_BY: Final = "referenced_by"


def add_reference(unit: Unit, secret: Secret, name: str) -> None:
    """Note a configuration that uses a secret; the secret was read for update in this unit."""
    _store(unit, secret, sorted({*_names(secret), name}))


def remove_reference(unit: Unit, secret_id: SecretId, name: str) -> None:
    """Take a configuration back; a secret that is not there any more is none of its business."""
    secret = unit.secrets.find_for_update(secret_id)
    if secret is not None:
        _store(unit, secret, [other for other in _names(secret) if other != name])


def keep_references(secret: Secret, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return new attributes with the references of the secret as it is now.

    Attributes are prepared before the unit: a reference may have come or gone since.
    """
    others = {name: value for name, value in attributes.items() if name != _REFERENCED_BY}
    names = _names(secret)
    return {**others, _REFERENCED_BY: names} if names else others


def require_unreferenced(secret: Secret) -> None:
    """Refuse to delete a secret that a configuration uses.

    Raises:
        Conflict: ``in_use``, naming the configurations.
    """
    names = _names(secret)
    if names:
        listed = f"configuration{'s' if len(names) > 1 else ''} {', '.join(names)}"
        raise Conflict(ErrorCode.IN_USE, f"The secret is in use by the {listed}.", hint="Delete these first.")


def _names(secret: Secret) -> list[str]:
    return list(secret.attributes.get(_REFERENCED_BY, ()))


def _store(unit: Unit, secret: Secret, names: list[str]) -> None:
    others = {name: value for name, value in secret.attributes.items() if name != _REFERENCED_BY}
    unit.secrets.save(replace(secret, attributes={**others, _REFERENCED_BY: names} if names else others))
