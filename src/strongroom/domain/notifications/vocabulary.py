"""Every event that people can be told of. Source: contract domain section 7.1."""

from __future__ import annotations

from typing import Final

from strongroom.domain.authorities.lifecycle import AuthorityEvent
from strongroom.domain.secrets.events import PREFIX, EventType, ServerEvent

EVENT_TYPES: Final = tuple(event.value for kind in (EventType, AuthorityEvent, ServerEvent) for event in kind)
"""Names without the common prefix."""


def plain_event_type(name: str) -> str:
    """Return the name of an event type without the common prefix, which may be left out."""
    return name.removeprefix(PREFIX)
