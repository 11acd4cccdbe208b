"""Policies: which roles a subject holds, and on what."""

from __future__ import annotations

from dataclasses import replace

from strongroom.domain.access.actions import Role
from strongroom.domain.change import Change
from strongroom.domain.identity.fields import expected_tag
from strongroom.domain.identity.generations import Generations
from strongroom.domain.identity.grants import Administrators, find_identity
from strongroom.domain.identity.model import Policy, SubjectKind
from strongroom.domain.identity.policy_documents import PolicyDraft
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import Conflict, ErrorCode, Invalid, NotFound
from strongroom.kernel.ids import AccessGroupId, IamId, PolicyId, new_uuid
from strongroom.kernel.result import Page


class Policies:
    """Creates, changes and deletes policies, for administrators."""

    def __init__(self, *, clock: Clock, generations: Generations, administrators: Administrators) -> None:
        self._clock = clock
        self._generations = generations
        self._administrators = administrators

    def create(self, actor: IamId, draft: PolicyDraft) -> Change[Policy]:
        """Prepare a new policy.

        Raises:
            Invalid: on commit, an unknown subject or secret group.
        """
        now = self._clock.now()
        policy = Policy(
            id=PolicyId(new_uuid()),
            subject_kind=draft.subject_kind,
            subject=draft.subject,
            roles=draft.roles,
            group_id=draft.group_id,
            description=draft.description,
            document=draft.document,
            entity_tag=new_uuid(),
            created_at=now,
            created_by=actor,
            modified_at=now,
            modified_by=actor,
        )

        def commit(unit: Unit) -> Policy:
            _ensure_known(unit, draft)
            unit.identities.add_policy(policy)
            self._generations.announce(unit)
            return policy

        return Change(commit)

    def get(self, unit: ReadUnit, policy_id: PolicyId) -> Policy:
        """Return one.

        Raises:
            NotFound: there is none.
        """
        found = unit.identities.find_policy(policy_id)
        if found is None:
            raise NotFound(ErrorCode.NOT_FOUND, f"The policy {policy_id!r} was not found.")
        return found

    def page(self, unit: ReadUnit, *, subject: str | None, limit: int, offset: int) -> Page[Policy]:
        """Return a page, all of them or those of one subject."""
        return unit.identities.policies(subject=subject, limit=limit, offset=offset)

    def replace(self, actor: IamId, policy_id: PolicyId, draft: PolicyDraft, if_match: str | None) -> Change[Policy]:
        """Prepare new contents.

        Raises:
            Invalid: ``precondition_required`` without If-Match; on commit, an unknown subject or group.
            Conflict: on commit, ``stale_version`` or ``last_administrator``.
        """
        expected = expected_tag(if_match)
        tag = new_uuid()

        def commit(unit: Unit) -> Policy:
            found = self.get(unit, policy_id)
            _ensure_known(unit, draft)
            changed = replace(
                found,
                subject_kind=draft.subject_kind,
                subject=draft.subject,
                roles=draft.roles,
                group_id=draft.group_id,
                description=draft.description,
                document=draft.document,
                entity_tag=tag,
                modified_at=self._clock.now(),
                modified_by=actor,
            )
            unit.identities.save_policy(changed, expected_tag=expected)
            self._ensure_administrator(unit, found)
            self._generations.announce(unit)
            return changed

        return Change(commit)

    def keep_active(self, policy_id: PolicyId, if_match: str | None) -> Change[Policy]:
        """Prepare setting the state that every stored policy has, ``active``.

        Raises:
            Invalid: ``precondition_required`` without If-Match.
            Conflict: on commit, ``stale_version``.
        """
        expected = expected_tag(if_match)

        def commit(unit: Unit) -> Policy:
            found = self.get(unit, policy_id)
            if expected not in (None, found.entity_tag):
                raise Conflict(ErrorCode.STALE_VERSION, "The policy was changed since it was read.", field="If-Match")
            return found

        return Change(commit)

    def delete(self, policy_id: PolicyId) -> Change[Policy]:
        """Prepare deleting it.

        Raises:
            Conflict: on commit, ``last_administrator``.
        """

        def commit(unit: Unit) -> Policy:
            found = self.get(unit, policy_id)
            unit.identities.remove_policy(policy_id)
            self._ensure_administrator(unit, found)
            self._generations.announce(unit)
            return found

        return Change(commit)

    def _ensure_administrator(self, unit: Unit, before: Policy) -> None:
        # Only a policy that gave the role can have been the last one to do so.
        if before.group_id is None and Role.ADMINISTRATOR in before.roles:
            self._administrators.ensure_one_remains(unit, self._clock.now())


def _ensure_known(unit: ReadUnit, draft: PolicyDraft) -> None:
    if draft.subject_kind is SubjectKind.IAM_ID:
        known = find_identity(unit, IamId(draft.subject)) is not None
    else:
        known = unit.identities.find_access_group(AccessGroupId(draft.subject)) is not None
    if not known:
        raise Invalid(
            ErrorCode.INVALID_FIELD,
            f"The subject {draft.subject_kind.value} = {draft.subject!r} does not exist.",
            field="subject",
        )
    if draft.group_id is not None and unit.groups.find(draft.group_id) is None:
        raise Invalid(
            ErrorCode.INVALID_FIELD,
            f"The resource is the secret group {draft.group_id!r}, which does not exist.",
            field="resource",
        )
