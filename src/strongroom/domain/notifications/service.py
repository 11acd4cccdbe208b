"""The registration of the reference, and Strongroom's own destinations.

Source: contract api-v2 section 2.6; design, sections 8 ("notifications registration") and 12.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn

from strongroom.domain.access.actions import Action
from strongroom.domain.access.decide import require_instance
from strongroom.domain.access.principals import Principal
from strongroom.domain.change import Change
from strongroom.domain.limits import Limits
from strongroom.domain.notifications.delivering import Deliveries
from strongroom.domain.notifications.dispatch import Dispatch
from strongroom.domain.notifications.expiry import ExpiryNotices
from strongroom.domain.notifications.mail_room import SIGNING_SECRET, URL, MailRoom, address_of
from strongroom.domain.notifications.model import (
    Attempt,
    Delivery,
    Destination,
    DestinationId,
    DestinationType,
    EventId,
    Filters,
    Notice,
    Registration,
)
from strongroom.domain.notifications.payload import TEST_EVENT
from strongroom.domain.notifications.registering import check_registration
from strongroom.domain.notifications.vocabulary import EVENT_TYPES, plain_event_type
from strongroom.domain.ports import ReadUnit, Storage, Unit
from strongroom.domain.secrets.checks import CONFIGURATION_NAME_LENGTHS, check_name
from strongroom.domain.secrets.model import SecretType
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import ErrorCode, Invalid, LimitReached, NotFound, Problems
from strongroom.kernel.ids import GroupId, new_uuid
from strongroom.kernel.result import Page

_RECIPIENTS: Final = "recipients"
_HIDDEN: Final = (URL, SIGNING_SECRET)
_BELONGS: Final[Mapping[str, frozenset[DestinationType]]] = {
    URL: frozenset({DestinationType.WEBHOOK, DestinationType.SLACK, DestinationType.APPRISE}),
    SIGNING_SECRET: frozenset({DestinationType.WEBHOOK}),
    _RECIPIENTS: frozenset({DestinationType.EMAIL}),
    "attach_payload": frozenset({DestinationType.EMAIL}),
}
_NEEDED: Final = (URL, _RECIPIENTS)
SHOWN_STARS: Final = "***"
"""Stands in a shown address for what is hidden."""


class Notifications:
    """What callers do with notices.

    Args:
        storage: where destinations are kept.
        clock: dates them.
        limits: how many there may be.
        mail_room: seals addresses, and sends tests.
        dispatch: makes test deliveries, and payloads.
    """

    def __init__(
        self, *, storage: Storage, clock: Clock, limits: Limits, mail_room: MailRoom, dispatch: Dispatch
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._limits = limits
        self._mail_room = mail_room
        self._dispatch = dispatch

    def register(
        self, principal: Principal, *, instance_crn: str, source_name: str, source_description: str
    ) -> Change[Registration]:
        """Prepare a registration; it replaces the one before.

        Raises:
            Invalid: every broken rule, by field.
        """
        require_instance(principal, Action.NOTIFICATIONS_REGISTRATION_CREATE)
        check_registration(instance_crn=instance_crn, source_name=source_name, source_description=source_description)
        registration = Registration(
            instance_crn=instance_crn,
            source_name=source_name,
            source_description=source_description,
            created_at=self._clock.now(),
            created_by=principal.iam_id,
        )

        def commit(unit: Unit) -> Registration:
            unit.notifications.register(registration)
            return registration

        return Change(commit)

    def registration(self, unit: ReadUnit) -> Registration:
        """Return the registration.

        Raises:
            NotFound: there is none.
        """
        found = unit.notifications.registration()
        if found is None:
            _not_registered()
        return found

    def unregister(self, principal: Principal) -> Change[None]:
        """Prepare forgetting the registration.

        Raises:
            NotFound: on commit, if there is none.
        """
        require_instance(principal, Action.NOTIFICATIONS_REGISTRATION_DELETE)

        def commit(unit: Unit) -> None:
            if not unit.notifications.unregister():
                _not_registered()

        return Change(commit)

    def test_registration(self, principal: Principal) -> Change[None]:
        """Prepare sending a test event to every destination.

        Raises:
            NotFound: on commit, if nothing is registered.
        """
        require_instance(principal, Action.NOTIFICATIONS_REGISTRATION_TEST)

        def commit(unit: Unit) -> None:
            self.registration(unit)
            self._dispatch.send_test(unit)

        return Change(commit)

    def create(self, principal: Principal, values: Mapping[str, Any]) -> Change[Destination]:
        """Prepare a new destination.

        Args:
            principal: who makes it.
            values: members of the request that were given; their shapes are checked.

        Raises:
            Invalid: every broken rule, by field.
        """
        require_instance(principal, Action.NOTIFICATIONS_DESTINATION_CREATE)
        at = self._clock.now()
        new = Destination(
            id=DestinationId(new_uuid()),
            name=str(values["name"]),
            destination_type=DestinationType(values["type"]),
            created_at=at,
            created_by=principal.iam_id,
            updated_at=at,
        )
        destination = self._changed(new, {}, values)

        def commit(unit: Unit) -> Destination:
            most = self._limits.notification_destinations
            if len(unit.notifications.listing()) >= most:
                detail = f"The instance has reached the maximum of {most} notification destinations."
                raise LimitReached(ErrorCode.LIMIT_REACHED, detail)
            self._check_groups(unit, destination)
            unit.notifications.add(destination)
            return destination

        return Change(commit)

    def listing(self, unit: ReadUnit) -> Sequence[Destination]:
        """Return every destination, oldest first."""
        return unit.notifications.listing()

    def get(self, unit: ReadUnit, destination_id: str) -> Destination:
        """Return a destination.

        Raises:
            NotFound: there is none of this id.
        """
        found = unit.notifications.find(DestinationId(destination_id))
        if found is None:
            _not_found()
        return found

    def patch(self, principal: Principal, destination: Destination, changes: Mapping[str, Any]) -> Change[Destination]:
        """Prepare changes; what is ``None`` is taken away, an empty patch changes nothing.

        Raises:
            Invalid: every broken rule, by field.
        """
        require_instance(principal, Action.NOTIFICATIONS_DESTINATION_UPDATE)
        if not changes:
            return Change(lambda _: destination)
        changed = self._changed(destination, self._mail_room.open(destination), changes)
        after = replace(changed, updated_at=self._clock.now())

        def commit(unit: Unit) -> Destination:
            self._check_groups(unit, after)
            return unit.notifications.save(after)

        return Change(commit)

    def delete(self, principal: Principal, destination: Destination) -> Change[None]:
        """Prepare deleting a destination with its deliveries; what is on its way at this moment may still arrive."""
        require_instance(principal, Action.NOTIFICATIONS_DESTINATION_DELETE)

        def commit(unit: Unit) -> None:
            if not unit.notifications.remove(destination.id):
                _not_found()

        return Change(commit)

    def test(self, principal: Principal, destination: Destination) -> Attempt:
        """Send a test event to a destination now, also to one that is switched off."""
        require_instance(principal, Action.NOTIFICATIONS_DESTINATION_TEST)
        notice = Notice(
            id=EventId(new_uuid()),
            event_type=TEST_EVENT,
            at=self._clock.now(),
            payload=self._dispatch.test_payload(),
        )
        return self._mail_room.send(destination, notice)

    def deliveries(self, unit: ReadUnit, destination_id: str, *, limit: int, offset: int) -> Page[Delivery]:
        """Return what was sent to a destination, newest first.

        Raises:
            NotFound: there is none of this id.
        """
        destination = self.get(unit, destination_id)
        return unit.notifications.deliveries(destination.id, limit=limit, offset=offset)

    def _changed(self, destination: Destination, secrets: Mapping[str, str], values: Mapping[str, Any]) -> Destination:
        """Return a destination with new values, its address checked and sealed."""
        problems = Problems()
        kind = destination.destination_type
        name = values.get("name", destination.name)
        if name is None:
            problems.add("name", "name cannot be taken away.")
            name = destination.name
        check_name(problems, name, lengths=CONFIGURATION_NAME_LENGTHS)
        for field, types in _BELONGS.items():
            if values.get(field) and kind not in types:
                allowed = " or ".join(sorted(types))
                problems.add(field, f"{field} belongs to destinations of type {allowed}, and this is of type {kind}.")
        hidden = dict(secrets) | {field: str(values[field]) for field in _HIDDEN if values.get(field)}
        for field in _HIDDEN:
            if field in values and not values[field]:
                hidden.pop(field, None)
        recipients = destination.recipients
        if _RECIPIENTS in values:
            recipients = tuple(dict.fromkeys(values[_RECIPIENTS] or ()))
        held = {URL: URL in hidden, _RECIPIENTS: bool(recipients)}
        for field in _NEEDED:
            if kind in _BELONGS[field] and not held[field]:
                code = ErrorCode.MISSING_FIELD
                problems.add(field, f"A destination of type {kind} needs {field}.", code=code)
        if SHOWN_STARS in str(values.get(URL) or ""):
            problems.add(URL, "url is an address as the server shows it; give the whole one, or leave it out.")
        filters = _filters(problems, values["filters"]) if "filters" in values else destination.filters
        problems.raise_any()
        enabled = values.get("enabled")
        after = replace(
            destination,
            name=name,
            enabled=destination.enabled if enabled is None else enabled,
            recipients=recipients,
            attach_payload=bool(values.get("attach_payload", destination.attach_payload)),
            filters=filters,
            sealed=self._mail_room.seal(destination.id, hidden),
        )
        sender = self._mail_room.sender(kind)
        sender.check(address_of(after, hidden))
        return replace(after, shown_url=sender.show(hidden[URL]) if URL in hidden else None)

    def _check_groups(self, unit: ReadUnit, destination: Destination) -> None:
        for index, group_id in enumerate(destination.filters.secret_group_ids):
            if unit.groups.find(group_id) is None:
                field = f"filters.secret_group_ids[{index}]"
                raise Invalid(ErrorCode.INVALID_FIELD, f"There is no secret group {group_id[:64]}.", field=field)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationServices:
    """Everything about notices, put together."""

    notifications: Notifications
    dispatch: Dispatch
    deliveries: Deliveries
    expiry: ExpiryNotices


def _filters(problems: Problems, given: Mapping[str, Any] | None) -> Filters:
    members = {name: list(dict.fromkeys(items or ())) for name, items in (given or {}).items()}
    event_types = [plain_event_type(name) for name in members.get("event_types", ())]
    for index, name in enumerate(event_types):
        if name not in EVENT_TYPES:
            problems.add(
                f"filters.event_types[{index}]",
                "There is no event type of this name.",
                hint=f"Event types are {', '.join(EVENT_TYPES)}.",
            )
    return Filters(
        event_types=tuple(event_types),
        secret_types=tuple(SecretType(name) for name in members.get("secret_types", ())),
        secret_group_ids=tuple(GroupId(name) for name in members.get("secret_group_ids", ())),
    )


def _not_registered() -> NoReturn:
    raise NotFound(ErrorCode.NOT_FOUND, "No notification service is registered.")


def _not_found() -> NoReturn:
    raise NotFound(ErrorCode.NOT_FOUND, "The notification destination was not found.")
