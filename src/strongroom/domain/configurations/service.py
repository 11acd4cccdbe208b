"""Creating, reading, changing and deleting configurations. Source: api-v2 sections 1.8, 2.5 and 4.5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Final

from strongroom.domain.access.actions import Action
from strongroom.domain.access.decide import require_instance
from strongroom.domain.access.principals import Principal
from strongroom.domain.authorities.facts import AuthorityFacts
from strongroom.domain.change import Change
from strongroom.domain.configurations.engine import ConfigurationEngine, NewConfiguration, PreparedConfiguration
from strongroom.domain.configurations.model import ConfigType, Configuration, ConfigurationQuery
from strongroom.domain.configurations.vault import ConfigurationVault
from strongroom.domain.ports import ReadUnit, Storage, Unit
from strongroom.domain.secrets.checks import CONFIGURATION_NAME_LENGTHS, check_name
from strongroom.domain.secrets.events import Outbox, ServerEvent
from strongroom.domain.secrets.model import SecretType
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import Conflict, ErrorCode, Invalid, LimitReached, NotFound, Problems
from strongroom.kernel.ids import ConfigurationId, new_uuid
from strongroom.kernel.result import Page
from strongroom.kernel.value import value

_TAKEN: Final = "07003"
"""The reference's number for a taken name of a public configuration. Source: contract domain section 4.6."""


@value
class Shown:
    """A configuration with what answers show beside its document.

    Attributes:
        secrets: opened settings, for full reads.
    """

    configuration: Configuration
    facts: AuthorityFacts | None = None
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Configurations:
    """Everything that can be done with configurations; the engines know the types."""

    def __init__(
        self,
        *,
        storage: Storage,
        clock: Clock,
        vault: ConfigurationVault,
        engines: Sequence[ConfigurationEngine],
        outbox: Outbox,
    ) -> None:
        self._storage = storage
        self._outbox = outbox
        self._vault = vault
        self._clock = clock
        self._engines = {config_type: engine for engine in engines for config_type in engine.config_types}

    def create(
        self, principal: Principal, config_type: ConfigType, name: str, values: Mapping[str, Any]
    ) -> Change[Shown]:
        """Prepare a new configuration.

        Raises:
            Invalid: every broken rule, by field.
        """
        require_instance(principal, Action.CONFIGURATION_CREATE)
        engine = self._engine(config_type)
        problems = Problems()
        check_name(problems, name, lengths=CONFIGURATION_NAME_LENGTHS)
        self._storage.look(lambda unit: self._check_room(unit, config_type, name))
        configuration_id = ConfigurationId(new_uuid())
        new = NewConfiguration(id=configuration_id, config_type=config_type, name=name, values=values, by=principal)
        prepared: PreparedConfiguration | None = None
        try:
            prepared = engine.prepare_new(new)
        except Invalid as error:
            problems.note(error)
        problems.raise_any()
        assert prepared is not None  # noqa: S101  (raise_any raised otherwise)
        at = self._clock.now()
        configuration = Configuration(
            id=configuration_id,
            config_type=config_type,
            name=name,
            document=prepared.document,
            sealed=self._vault.seal(configuration_id, prepared.secrets),
            created_at=at,
            created_by=principal.iam_id,
            updated_at=at,
        )

        def commit(unit: Unit) -> Shown:
            self._check_room(unit, config_type, name)
            unit.configurations.add(configuration)
            if prepared.on_commit is not None:
                prepared.on_commit(unit, configuration)
            self._tell(unit, ServerEvent.CONFIGURATION_CREATED, configuration, principal)
            return self.show(unit, configuration)

        return Change(commit)

    def find(self, unit: ReadUnit, name: str, config_type: str | None = None) -> Configuration:
        """Return the configuration that a name stands for.

        Args:
            unit: where to look.
            name: as in the path.
            config_type: of the header ``X-Sm-Accept-Configuration-Type``.

        Raises:
            NotFound: there is none of this name, and type if one is given.
            Conflict: ``ambiguous_name`` if several kinds have one and no type is given.
        """
        found = unit.configurations.named(name)
        if config_type is not None:
            found = [item for item in found if item.config_type == config_type]
        if not found:
            raise NotFound(ErrorCode.NOT_FOUND, "The configuration was not found.")
        if len(found) > 1:
            types = ", ".join(sorted(item.config_type for item in found))
            raise Conflict(
                ErrorCode.AMBIGUOUS_NAME,
                f"Several configurations have the name {name}, of the types {types}.",
                hint="Name the type in the header X-Sm-Accept-Configuration-Type.",
            )
        return found[0]

    def show(self, unit: ReadUnit, configuration: Configuration) -> Shown:
        """Return a configuration as full reads show it."""
        facts = self._engine(configuration.config_type).facts(unit, [configuration])
        return Shown(
            configuration=configuration, facts=facts.get(configuration.id), secrets=self._vault.open(configuration)
        )

    def page(self, unit: ReadUnit, query: ConfigurationQuery) -> Page[Shown]:
        """Return one page of configurations."""
        page = unit.configurations.page(query)
        facts: dict[ConfigurationId, AuthorityFacts] = {}
        for engine in dict.fromkeys(self._engines.values()):
            mine = [item for item in page.items if item.config_type in engine.config_types]
            if mine:
                facts |= engine.facts(unit, mine)
        shown = [Shown(configuration=item, facts=facts.get(item.id)) for item in page.items]
        return Page(items=shown, total=page.total, limit=page.limit, offset=page.offset)

    def patch(self, principal: Principal, configuration: Configuration, changes: Mapping[str, Any]) -> Change[Shown]:
        """Prepare changes; an empty patch changes nothing.

        Raises:
            Invalid: every broken rule, by field.
        """
        require_instance(principal, Action.CONFIGURATION_UPDATE)
        engine = self._engine(configuration.config_type)
        if not changes:
            return Change(lambda unit: self.show(unit, configuration))
        prepared = engine.prepare_patch(configuration, self._vault.open(configuration), changes)
        sealed = self._vault.seal(configuration.id, prepared.secrets)

        def commit(unit: Unit) -> Shown:
            after = unit.configurations.save(
                replace(configuration, document=prepared.document, sealed=sealed, updated_at=self._clock.now())
            )
            if prepared.on_commit is not None:
                prepared.on_commit(unit, after)
            self._tell(unit, ServerEvent.CONFIGURATION_UPDATED, after, principal)
            return self.show(unit, after)

        return Change(commit)

    def delete(self, principal: Principal, configuration: Configuration) -> Change[None]:
        """Prepare deleting a configuration that nothing depends on."""
        require_instance(principal, Action.CONFIGURATION_DELETE)
        engine = self._engine(configuration.config_type)

        def commit(unit: Unit) -> None:
            now = unit.configurations.find_for_update(configuration.id)
            if now is None:
                raise NotFound(ErrorCode.NOT_FOUND, "The configuration was not found.")
            dependants = engine.dependants(unit, now)
            if dependants:
                raise Conflict(
                    ErrorCode.IN_USE,
                    f"The configuration {now.name} is in use by {', '.join(dependants)}.",
                    hint="Delete these first.",
                )
            engine.deleted(unit, now, principal)
            self._tell(unit, ServerEvent.CONFIGURATION_DELETED, now, principal)
            unit.configurations.remove(now.id)

        return Change(commit)

    def act(
        self, principal: Principal, configuration: Configuration, action: str, values: Mapping[str, Any]
    ) -> Change[Mapping[str, Any]]:
        """Prepare an action on a configuration.

        Raises:
            Invalid: its type or state does not allow it, or a value breaks a rule.
        """
        require_instance(principal, Action.CONFIGURATION_ACTION_CREATE)
        return self._engine(configuration.config_type).act(principal, configuration, action, values)

    def _engine(self, config_type: ConfigType) -> ConfigurationEngine:
        return self._engines[config_type]

    def _tell(self, unit: Unit, event: ServerEvent, configuration: Configuration, by: Principal) -> None:
        details = {
            "configuration_id": configuration.id,
            "configuration_name": configuration.name,
            "configuration_type": configuration.config_type.value,
        }
        self._outbox.emit_about_server(unit, event, details, by=by.iam_id, at=self._clock.now())

    def _check_room(self, unit: ReadUnit, config_type: ConfigType, name: str) -> None:
        """Refuse a taken name and a full type; asked before keys are made, and again in the commit."""
        same_kind = unit.configurations.of_kind(config_type.kind)
        if any(item.name == name for item in same_kind):
            raise Conflict(
                ErrorCode.ALREADY_EXISTS,
                f"A configuration with this name already exists: {name}",
                reference_code=_TAKEN if config_type.secret_type is SecretType.PUBLIC_CERT else None,
            )
        quota = self._engine(config_type).quota(config_type)
        if sum(item.config_type in quota.among for item in same_kind) >= quota.most:
            raise LimitReached(
                ErrorCode.LIMIT_REACHED,
                f"The instance has reached the maximum of {quota.most} {quota.what}.",
                reference_code=quota.reference_code,
            )
