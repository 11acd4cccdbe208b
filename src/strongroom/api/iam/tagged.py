"""What the operations on API keys, service IDs and access groups have in common: an id, a name, a tag."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from strongroom.api.iam.mapping import etag
from strongroom.api.operations import Call, Pending, Reply
from strongroom.domain.audit.record import Target
from strongroom.domain.change import Change
from strongroom.domain.identity.model import AccessGroup, ApiKey, ServiceId
from strongroom.domain.ports import Unit

T = TypeVar("T", ApiKey, ServiceId, AccessGroup)


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """One of them: its name in the audit trail, and its wire form."""

    target: str
    to_wire: Callable[[Call, T], dict[str, Any]]

    def aim(self, call: Call, found: T) -> None:
        """Name it in the audit entry."""
        call.target = Target(type=self.target, id=found.id, name=found.name)

    def reply(self, call: Call, found: T) -> Reply:
        """Name it in the audit entry, and answer with it and its tag."""
        self.aim(call, found)
        return Reply(body=self.to_wire(call, found), headers=etag(found.entity_tag))

    def pending(self, call: Call, change: Change[T], *, empty: bool = False) -> Pending:
        """Make the change, and answer with what came of it unless the answer is empty."""
        call.target = Target(type=self.target, id=call.path.get("id"))

        def commit(unit: Unit) -> T:
            found = change.commit(unit)
            self.aim(call, found)
            return found

        return Pending(commit=commit, reply=lambda found: Reply() if empty else self.reply(call, found))
