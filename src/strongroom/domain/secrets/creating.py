"""Creating secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from strongroom.domain.access.actions import Action
from strongroom.domain.access.decide import require, require_group
from strongroom.domain.access.principals import Principal
from strongroom.domain.change import Change
from strongroom.domain.engine import NewValues, Prepared
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.domain.secrets.checks import (
    SECRET_NAME_LENGTHS,
    check_description,
    check_labels,
    check_metadata,
    check_name,
)
from strongroom.domain.secrets.context import Context, SecretView, name_taken
from strongroom.domain.secrets.events import EventType
from strongroom.domain.secrets.lookup import NO_GROUP
from strongroom.domain.secrets.model import Secret, SecretType, Version
from strongroom.domain.secrets.rotation import next_rotation
from strongroom.kernel.errors import ErrorCode, Invalid, NotFound, Problems
from strongroom.kernel.ids import DEFAULT_GROUP, GroupId, SecretId, VersionId, is_uuid, new_uuid


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSecret:
    """A request for a new secret, shapes checked.

    Attributes:
        values: members that only the type knows.
        answer_carries_payload: whether the answer shows the value (it then counts as downloaded).
    """

    secret_type: SecretType
    name: str
    description: str = ""
    group_id: GroupId = DEFAULT_GROUP
    labels: tuple[str, ...] = ()
    custom_metadata: Mapping[str, Any] | None = None
    version_custom_metadata: Mapping[str, Any] | None = None
    values: Mapping[str, Any] = field(repr=False)
    answer_carries_payload: bool = True


class SecretCreation:
    """Creates secrets of every type."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, principal: Principal, new: NewSecret) -> Change[SecretView]:
        """Prepare a new secret.

        Raises:
            Forbidden: the caller may not create secrets in the group.
            Invalid: every broken rule, by field.
        """
        require(principal, Action.SECRET_CREATE)
        require_group(principal, Action.SECRET_CREATE, new.group_id)
        context = self._context
        engine = context.engine(new.secret_type)
        prepared = self._prepare(principal, new)
        at = context.now()
        secret_id, version_id = SecretId(new_uuid()), VersionId(new_uuid())
        has_version = prepared.payload is not None
        sealed = context.vault.seal_payload(version_id, prepared.payload) if prepared.payload is not None else None
        state = prepared.private_state
        secret = Secret(
            id=secret_id,
            secret_type=engine.secret_type,
            name=new.name,
            description=new.description,
            group_id=new.group_id,
            labels=new.labels,
            custom_metadata=new.custom_metadata,
            attributes=prepared.attributes,
            rotation=prepared.rotation,
            private_state=context.vault.seal_state(secret_id, state) if state is not None else None,
            warnings=prepared.warnings,
            state=prepared.state,
            created_at=at,
            created_by=principal.iam_id,
            updated_at=at,
            downloaded=has_version and new.answer_carries_payload,
            expires_at=prepared.expires_at,
            next_rotation_at=next_rotation(prepared.rotation, at, latest=prepared.rotate_before),
            versions_total=int(has_version or prepared.awaits_version),
            versions_made=int(has_version),
            current_version_id=version_id if has_version else None,
        )
        version = Version(
            id=version_id,
            secret_id=secret_id,
            number=1,
            created_at=at,
            created_by=principal.iam_id,
            downloaded=secret.downloaded,
            expires_at=prepared.expires_at,
            attributes=prepared.version_attributes,
            custom_metadata=new.version_custom_metadata,
        )

        def commit(unit: Unit) -> SecretView:
            try:
                unit.secrets.add(secret)
            except NotFound:
                raise Invalid(ErrorCode.INVALID_FIELD, NO_GROUP, field="secret_group_id") from None
            if has_version:
                unit.versions.add(version, sealed)
            if prepared.on_commit is not None:
                prepared.on_commit(unit, secret, version_id)
            if not prepared.awaits_version:
                self._context.outbox.emit(unit, EventType.CREATED, secret, by=principal.iam_id, at=at)
            return SecretView(secret=secret, payload=prepared.payload, private_state=state)

        return Change(commit)

    def _check_rest(self, problems: Problems, new: NewSecret) -> None:
        """Refuse what the commit would refuse, for engines that ask others first.

        Raises:
            Invalid: broken rules; there is no such group.
            Conflict: the name is taken.
        """
        problems.raise_any()

        def look(unit: ReadUnit) -> tuple[bool, bool]:
            named = unit.secrets.find_by_name(new.secret_type, new.name)
            return unit.groups.find(new.group_id) is not None, named is not None

        has_group, is_taken = self._context.storage.look(look)
        if not has_group:
            raise Invalid(ErrorCode.INVALID_FIELD, NO_GROUP, field="secret_group_id")
        if is_taken:
            raise name_taken(new.name)

    def _prepare(self, principal: Principal, new: NewSecret) -> Prepared:
        problems = Problems()
        limits = self._context.work.limits
        check_name(problems, new.name, lengths=SECRET_NAME_LENGTHS)
        check_description(problems, new.description)
        if new.group_id != DEFAULT_GROUP and not is_uuid(new.group_id):
            problems.add("secret_group_id", NO_GROUP)
        check_labels(problems, new.labels, limits)
        check_metadata(problems, new.custom_metadata, field="custom_metadata", limit=limits.metadata_bytes)
        check_metadata(
            problems, new.version_custom_metadata, field="version_custom_metadata", limit=limits.metadata_bytes
        )
        values = NewValues(
            values=new.values,
            version_custom_metadata=new.version_custom_metadata,
            group_id=new.group_id,
            caller=principal.facts,
            check_rest=lambda: self._check_rest(problems, new),
        )
        prepared: Prepared | None = None
        try:
            prepared = self._context.engine(new.secret_type).prepare_new(self._context.work, values)
        except Invalid as error:
            problems.note(error)
        problems.raise_any()
        assert prepared is not None  # noqa: S101  (raise_any raised otherwise)
        return prepared
