"""What every kind of secret can do, in one shape.

An engine prepares; the secret services store. Preparing is slow or quick, but never inside a unit
of work. What an engine returns is plain data: the services seal it, number the version, move
locks and payloads and write the events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol

from strongroom.domain.limits import Limits
from strongroom.domain.ports import Helpers, KeyMaker, Unit
from strongroom.domain.secrets.model import Secret, SecretType, State
from strongroom.kernel.clock import Clock
from strongroom.kernel.ids import DEFAULT_GROUP, GroupId, VersionId
from strongroom.kernel.result import Notice


class PasswordGenerator(Protocol):
    """Makes passwords from the operating system's randomness."""

    def __call__(self, *, length: int, include_digits: bool, include_symbols: bool, include_uppercase: bool) -> str:
        """Return a password of ``length`` characters out of lower-case letters and the classes wanted."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What engines may use while they prepare."""

    clock: Clock
    limits: Limits
    helpers: Helpers
    keys: KeyMaker
    generate_password: PasswordGenerator


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """A secret as it stands, for engines that build on it.

    Attributes:
        payload: opens the current version's payload; ``None`` if there is none.
        private_state: what the engine kept beside the versions, opened.
        made_at: when the current version was made; policies count from then.
    """

    secret: Secret
    payload: Callable[[], Mapping[str, Any] | None]
    private_state: Callable[[], Mapping[str, Any] | None]
    made_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What a new secret or a new version will hold.

    Attributes:
        payload: members of the payload in the API's spelling; ``None`` while there is no value yet. A rotation without
            one only begins: whatever ``on_commit`` queues makes the version.
        awaits_version: whether the secret counts as having a version before there is one, and is told of only then.
        attributes: replaces the secret's clear metadata of its type.
        version_attributes: clear metadata of the version.
        version_custom_metadata: replaces what the request brought, where the engine kept some.
        private_state: replaces the engine's state beside the versions; ``None`` leaves it.
        rotate_before: the policy fires no later, whatever its interval.
        relies_on_secret: refuse the commit if the secret changed meanwhile.
        on_commit: more to check and write in the same unit (issued serials, orders, ...), once the version is there.
    """

    payload: Mapping[str, Any] | None = field(repr=False)
    state: State = State.ACTIVE
    attributes: Mapping[str, Any] = field(default_factory=dict)
    version_attributes: Mapping[str, Any] = field(default_factory=dict)
    version_custom_metadata: Mapping[str, Any] | None = None
    expires_at: datetime | None = None
    rotation: Mapping[str, Any] | None = None
    private_state: Mapping[str, Any] | None = field(default=None, repr=False)
    warnings: tuple[Notice, ...] = ()
    rotate_before: datetime | None = None
    awaits_version: bool = False
    relies_on_secret: bool = False
    on_commit: Callable[[Unit, Secret, VersionId], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patched:
    """What a metadata patch changes beyond name, description, labels and custom metadata."""

    attributes: Mapping[str, Any]
    rotation: Mapping[str, Any] | None
    expires_at: datetime | None
    private_state: Mapping[str, Any] | None = field(default=None, repr=False)
    rotate_before: datetime | None = None
    warnings: tuple[Notice, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewValues:
    """The members of a request that only its type knows, in the API's spelling, shapes checked.

    Attributes:
        group_id: of the secret.
        caller: who asks, for rules that name the caller: ``iam_id``, ``name``, ``email``.
        automatic: whether a policy asks, not a person.
        check_rest: raises what else is wrong with the request; called before anything is asked of others for it.
    """

    values: Mapping[str, Any] = field(repr=False)
    version_custom_metadata: Mapping[str, Any] | None = None
    group_id: GroupId = DEFAULT_GROUP
    caller: Mapping[str, str] = field(default_factory=dict)
    automatic: bool = False
    check_rest: Callable[[], None] = lambda: None


class Engine(Protocol):
    """One kind of secret.

    Attributes:
        secret_type: the API's word for it.
        slow: whether preparing needs a worker thread (keys, signatures, checks).
        patchable: members of the metadata patch that the engine takes.
        absent_payload: payload members that answers carry even when there is no payload.
        restorable: whether ``restore_from_version`` may bring the previous payload back.
    """

    secret_type: ClassVar[SecretType]
    slow: ClassVar[bool]
    patchable: ClassVar[frozenset[str]]
    absent_payload: ClassVar[Mapping[str, Any]]
    restorable: ClassVar[bool]

    def prepare_new(self, work: Work, new: NewValues) -> Prepared:
        """Check and make the first value.

        Raises:
            Invalid: every broken rule, by field.
        """
        ...

    def prepare_version(self, work: Work, present: Present, new: NewValues) -> Prepared:
        """Check and make the next value.

        Raises:
            Invalid: every broken rule, by field.
        """
        ...

    def prepare_restore(self, work: Work, present: Present, payload: Mapping[str, Any]) -> Prepared:
        """Check that an earlier payload may become current again.

        Raises:
            Invalid: the type or the payload does not allow it.
        """
        ...

    def prepare_patch(self, work: Work, present: Present, changes: Mapping[str, Any]) -> Patched:
        """Check changes to the members named in ``patchable``; ``None`` values remove.

        Raises:
            Invalid: every broken rule, by field.
        """
        ...
