"""The one create request that is really an update.

The reference documentation prints the update of a managed CSR as a create request that repeats
the name of the secret and holds only the changed CSR inputs. Such a body is no valid create (it
has no common name), so for an existing managed CSR of that name and group it is taken as what
the page says it is. DEVIATION: everywhere else a taken name is 409.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from strongroom.api.operations import Call, Pending, Reply
from strongroom.api.v2.addressed import aim
from strongroom.api.v2.mapping.secrets import secret_metadata
from strongroom.domain.access.actions import Action
from strongroom.domain.access.decide import require_group
from strongroom.domain.secrets.changing import MetadataPatch
from strongroom.domain.secrets.context import SecretView
from strongroom.domain.secrets.creating import NewSecret
from strongroom.domain.secrets.model import SecretType

_PATCHED_TOO = ("description", "labels", "custom_metadata")


def as_csr_update(call: Call, new: NewSecret) -> Pending | None:
    """Return the update that the request stands for, or ``None`` if it is a create."""
    changes = new.values.get("managed_csr")
    if new.secret_type is not SecretType.IMPORTED_CERT or set(new.values) != {"managed_csr"} or not changes:
        return None
    if changes.get("common_name") or changes.get("require_cn") is False or new.version_custom_metadata is not None:
        return None
    require_group(call.principal, Action.SECRET_CREATE, new.group_id)
    found = call.services.storage.read(lambda unit: unit.secrets.find_by_name(new.secret_type, new.name))
    if found is None or found.group_id != new.group_id or "managed_csr" not in found.attributes:
        return None
    # The trail says what is done, not how it was written.
    call.operation = replace(call.operation, action=Action.SECRET_METADATA_UPDATE)
    aim(call, found)
    require_group(call.principal, Action.SECRET_METADATA_UPDATE, found.group_id)
    given = call.json_object()
    members: dict[str, Any] = {name: given[name] for name in _PATCHED_TOO if name in given}
    change = call.services.secrets.changes.patch(found, MetadataPatch(members={**members, "managed_csr": changes}))

    def reply(view: SecretView) -> Reply:
        return Reply(body=secret_metadata(view.secret, call.services.instance), status=200)

    return Pending(commit=change.commit, reply=reply)
