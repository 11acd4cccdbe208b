"""What every kind of configuration can do, in one shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, Protocol

from strongroom.domain.access.principals import Principal
from strongroom.domain.authorities.facts import AuthorityFacts
from strongroom.domain.change import Change
from strongroom.domain.configurations.model import ConfigType, Configuration
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.kernel.ids import ConfigurationId
from strongroom.kernel.value import value


@value
class NewConfiguration:
    """A request for a configuration, shapes checked.

    Attributes:
        id: what it will have.
        values: members that only its type knows, in the API's spelling.
    """

    id: ConfigurationId
    config_type: ConfigType
    name: str
    values: Mapping[str, Any] = field(repr=False)
    by: Principal


@value
class PreparedConfiguration:
    """What a new configuration will hold.

    Attributes:
        document: clear settings, defaults filled in.
        secrets: settings that only full reads show; they are sealed.
        on_commit: more to check and to write in the same unit, once the configuration is there.
    """

    document: Mapping[str, Any]
    secrets: Mapping[str, Any] | None = field(default=None, repr=False)
    on_commit: Callable[[Unit, Configuration], None] | None = None


@value
class Quota:
    """How many configurations there may be.

    Attributes:
        most: of all types in ``among`` together.
        what: these, in words; several.
        reference_code: of the refusal, where the reference has one.
    """

    most: int
    among: frozenset[ConfigType]
    what: str
    reference_code: str | None = None


class ConfigurationEngine(Protocol):
    """Some types of configurations that belong together.

    Preparing may be slow; it happens with no unit of work open.
    """

    @property
    def config_types(self) -> frozenset[ConfigType]:
        """Return the types it serves."""
        ...

    def quota(self, config_type: ConfigType) -> Quota:
        """Return how many configurations there may be of the type, or of it and others together."""
        ...

    def prepare_new(self, new: NewConfiguration) -> PreparedConfiguration:
        """Check and make a configuration.

        Raises:
            Invalid: every broken rule, by field.
        """
        ...

    def prepare_patch(
        self, configuration: Configuration, secrets: Mapping[str, Any], changes: Mapping[str, Any]
    ) -> PreparedConfiguration:
        """Return the changed settings; ``None`` values remove.

        Args:
            configuration: as it stands.
            secrets: its opened settings that only full reads show; empty without any.
            changes: members that the request gave, in the API's spelling.

        Raises:
            Invalid: every broken rule, by field.
        """
        ...

    def deleted(self, unit: Unit, configuration: Configuration, by: Principal) -> None:
        """Write what follows from deleting it; it is still there."""
        ...

    def dependants(self, unit: ReadUnit, configuration: Configuration) -> Sequence[str]:
        """Return, in words, what stands against deleting it."""
        ...

    def facts(
        self, unit: ReadUnit, configurations: Sequence[Configuration]
    ) -> Mapping[ConfigurationId, AuthorityFacts]:
        """Return what answers show beside the documents."""
        ...

    def act(
        self, by: Principal, configuration: Configuration, action: str, values: Mapping[str, Any]
    ) -> Change[Mapping[str, Any]]:
        """Prepare an action; its result holds the members of the answer beside ``action_type``.

        Raises:
            Invalid: the type or state of the configuration does not allow it, or a value breaks a rule.
        """
        ...
