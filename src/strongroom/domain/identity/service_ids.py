"""Service IDs: identities of programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from strongroom.domain.change import Change
from strongroom.domain.identity.api_keys import ApiKeys, NewApiKey
from strongroom.domain.identity.fields import check_description, check_name, expected_tag
from strongroom.domain.identity.generations import Generations
from strongroom.domain.identity.grants import Administrators, all_keys_of
from strongroom.domain.identity.model import ApiKey, ServiceId, SubjectKind
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import Conflict, ErrorCode, NotFound, Problems
from strongroom.kernel.ids import IamId, ServiceIdId, new_uuid
from strongroom.kernel.result import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class NewServiceId:
    """What a new service ID is made from.

    Attributes:
        api_key: a first key to make with it.
    """

    name: str
    description: str | None = None
    locked: bool = False
    api_key: NewApiKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedServiceId:
    """A new service ID with the text of its first key, which is shown this once."""

    service_id: ServiceId
    api_key: ApiKey | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceIdChange:
    """New values; ``None`` leaves the present one, an empty description removes it."""

    name: str | None = None
    description: str | None = None


class ServiceIds:
    """Creates, changes and deletes service IDs, for administrators."""

    def __init__(
        self, *, clock: Clock, generations: Generations, administrators: Administrators, api_keys: ApiKeys
    ) -> None:
        self._clock = clock
        self._generations = generations
        self._administrators = administrators
        self._api_keys = api_keys

    def create(self, actor: IamId, request: NewServiceId) -> Change[CreatedServiceId]:
        """Prepare a new service ID, with its first key if one is asked for.

        Raises:
            Invalid: names every field at fault.
            LimitReached: on commit, no identity may have a key.
        """
        problems = Problems()
        check_name(problems, request.name)
        check_description(problems, request.description)
        problems.raise_any()
        now = self._clock.now()
        service_id_id = ServiceIdId(f"ServiceId-{new_uuid()}")
        service_id = ServiceId(
            id=service_id_id,
            iam_id=IamId(f"iam-{service_id_id}"),
            name=request.name,
            description=request.description or None,
            entity_tag=new_uuid(),
            locked=request.locked,
            created_at=now,
            modified_at=now,
        )
        first = request.api_key
        made = None if first is None else self._api_keys.make(actor, service_id.iam_id, first, prefix="apikey.")

        def commit(unit: Unit) -> CreatedServiceId:
            unit.identities.add_service_id(service_id)
            if made is not None:
                self._api_keys.add(unit, made.api_key)
            self._generations.announce(unit)
            if made is None:
                return CreatedServiceId(service_id=service_id)
            return CreatedServiceId(service_id=service_id, api_key=made.api_key, key=made.key)

        return Change(commit)

    def get(self, unit: ReadUnit, service_id: ServiceIdId) -> ServiceId:
        """Return one by its id, or by its IAM id.

        Raises:
            NotFound: there is none.
        """
        found = unit.identities.find_service_id(ServiceIdId(service_id.removeprefix("iam-")))
        if found is None:
            raise NotFound(ErrorCode.NOT_FOUND, f"The service ID {service_id!r} was not found.")
        return found

    def page(self, unit: ReadUnit, *, limit: int, offset: int, name: str | None = None) -> Page[ServiceId]:
        """Return a page, all of them or those of one name."""
        return unit.identities.service_ids(limit=limit, offset=offset, name=name)

    def update(self, service_id: ServiceIdId, change: ServiceIdChange, if_match: str | None) -> Change[ServiceId]:
        """Prepare new values.

        Raises:
            Invalid: ``precondition_required`` without If-Match, or names the fields at fault.
            Conflict: on commit, ``stale_version`` or ``identity_locked``.
        """
        expected = expected_tag(if_match)
        problems = Problems()
        if change.name is not None:
            check_name(problems, change.name)
        check_description(problems, change.description)
        problems.raise_any()

        def edit(found: ServiceId) -> ServiceId:
            return replace(
                found,
                name=found.name if change.name is None else change.name,
                description=found.description if change.description is None else change.description or None,
            )

        return self._changing(service_id, edit, expected=expected)

    def set_locked(self, service_id: ServiceIdId, *, locked: bool) -> Change[ServiceId]:
        """Prepare locking or unlocking it; doing so twice changes nothing."""
        return self._changing(service_id, lambda found: replace(found, locked=locked), even_locked=True)

    def delete(self, service_id: ServiceIdId) -> Change[ServiceId]:
        """Prepare deleting it with its keys, policies, memberships and refresh tokens.

        Raises:
            Conflict: on commit, ``identity_locked`` if it or one of its keys is locked,
                ``last_administrator``.
        """

        def commit(unit: Unit) -> ServiceId:
            found = self.get(unit, service_id)
            _ensure_unlocked(found)
            if any(api_key.locked for api_key in all_keys_of(unit, found.iam_id)):
                raise Conflict(
                    ErrorCode.IDENTITY_LOCKED,
                    f"The service ID {found.id} has a locked API key.",
                    hint="Unlock the key first.",
                )
            forget_identity(unit, found.iam_id)
            unit.identities.remove_service_id(found.id)
            self._administrators.ensure_one_remains(unit, self._clock.now())
            self._generations.announce(unit)
            return found

        return Change(commit)

    def _changing(
        self,
        service_id: ServiceIdId,
        edit: Callable[[ServiceId], ServiceId],
        *,
        expected: str | None = None,
        even_locked: bool = False,
    ) -> Change[ServiceId]:
        tag = new_uuid()

        def commit(unit: Unit) -> ServiceId:
            found = self.get(unit, service_id)
            if not even_locked:
                _ensure_unlocked(found)
            changed = replace(edit(found), entity_tag=tag, modified_at=self._clock.now())
            unit.identities.save_service_id(changed, expected_tag=expected)
            self._generations.announce(unit)
            return changed

        return Change(commit)


def forget_identity(unit: Unit, iam_id: IamId) -> None:
    """Delete what hangs on an identity: policies, memberships, keys and, with the keys, refresh tokens."""
    unit.identities.remove_policies_of(SubjectKind.IAM_ID, iam_id)
    unit.identities.remove_memberships_of(iam_id)
    unit.identities.remove_api_keys_of(iam_id)


def _ensure_unlocked(found: ServiceId) -> None:
    if found.locked:
        raise Conflict(
            ErrorCode.IDENTITY_LOCKED,
            f"The service ID {found.id} is locked; it cannot be changed or deleted.",
            hint="Unlock it first.",
        )
