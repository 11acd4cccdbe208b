"""Certificate templates: what may be requested of a CA, and by whom. Source: contract domain section 5.5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from strongroom.domain.access.principals import Principal, Scope
from strongroom.domain.authorities.context import AuthorityContext, require_there
from strongroom.domain.authorities.facts import AuthorityFacts
from strongroom.domain.change import Change
from strongroom.domain.configurations.engine import NewConfiguration, PreparedConfiguration, Quota
from strongroom.domain.configurations.model import ConfigKind, ConfigType, Configuration, ConfigurationQuery
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.ids import ConfigurationId, GroupId
from strongroom.kernel.result import Page
from strongroom.pki.profile import Profile, parse_template, patch_template, profile_of

AUTHORITY: Final = "certificate_authority"
_SHOWN_USERS: Final = 5
_ALL: Final = 2**31 - 1


class TemplateConfigurations:
    """Keeps templates."""

    config_types: Final = frozenset({ConfigType.TEMPLATE})

    def __init__(self, context: AuthorityContext) -> None:
        self._context = context

    def quota(self, config_type: ConfigType) -> Quota:
        """Return how many templates there may be."""
        most = self._context.limits.certificate_templates
        return Quota(most=most, among=self.config_types, what=f"configurations of type {config_type}")

    def prepare_new(self, new: NewConfiguration) -> PreparedConfiguration:
        """Check the settings and fill in defaults; the CA may still wait for its signature."""
        name = new.values[AUTHORITY]
        authority = self._context.storage.look(lambda unit: _require_authority(unit, name))
        document = parse_template(new.values, allow_p224=self._context.allow_p224)

        def on_commit(unit: Unit, _: Configuration) -> None:
            require_there(unit, authority)

        self._context.keys.expect(profile_of(document).key)
        return PreparedConfiguration(document=document, on_commit=on_commit)

    def prepare_patch(
        self, configuration: Configuration, secrets: Mapping[str, Any], changes: Mapping[str, Any]
    ) -> PreparedConfiguration:
        """Check changes; they count for what is issued from now on."""
        document = patch_template(configuration.document, changes, allow_p224=self._context.allow_p224)
        self._context.keys.expect(profile_of(document).key)
        return PreparedConfiguration(document=document)

    def expect_requests(self) -> None:
        """Have keys made ready that the templates of the instance will ask for."""
        for template in self._context.storage.read(lambda unit: unit.configurations.of_kind(ConfigKind.TEMPLATE)):
            self._context.keys.expect(profile_of_template(template).key)

    def deleted(self, unit: Unit, configuration: Configuration, by: Principal) -> None:
        """Do nothing: nothing hangs on a template that could be deleted."""

    def dependants(self, unit: ReadUnit, configuration: Configuration) -> Sequence[str]:
        """Return the private certificates, not destroyed, that name the template."""
        users = unit.authorities.template_users(configuration.id, _SHOWN_USERS + 1)
        shown = [f"the private certificate {name}" for name in users[:_SHOWN_USERS]]
        return [*shown, "and more"] if len(users) > _SHOWN_USERS else shown

    def facts(
        self, unit: ReadUnit, configurations: Sequence[Configuration]
    ) -> Mapping[ConfigurationId, AuthorityFacts]:
        """Return nothing: a template is all in its document."""
        return {}

    def act(
        self, by: Principal, configuration: Configuration, action: str, values: Mapping[str, Any]
    ) -> Change[Mapping[str, Any]]:
        """Refuse: templates have no actions."""
        raise Invalid(
            ErrorCode.NOT_SUPPORTED,
            f"The action {action} does not apply to certificate templates.",
            field="action_type",
        )


def _require_authority(unit: ReadUnit, name: str) -> Configuration:
    found = unit.configurations.find(ConfigKind.PRIVATE_CA, name)
    if found is None:
        raise Invalid(
            ErrorCode.INVALID_FIELD,
            f"{AUTHORITY} names no certificate authority: {name}.",
            field=AUTHORITY,
        )
    if found.config_type is not ConfigType.INTERMEDIATE_CA:
        raise Invalid(
            ErrorCode.INVALID_FIELD,
            f"{AUTHORITY} must be an intermediate: root certificate authorities issue no leaf certificates; {name} "
            "is a root.",
            field=AUTHORITY,
        )
    return found


def templates_for(unit: ReadUnit, scope: Scope, query: ConfigurationQuery) -> Page[Configuration]:
    """Return one page of the templates that allow certificates in some group of a caller's scope."""
    asked_for = query.config_types is None or ConfigType.TEMPLATE in query.config_types
    wanted = replace(query, config_types=frozenset({ConfigType.TEMPLATE}) if asked_for else frozenset())
    if scope.everywhere:
        return unit.configurations.page(wanted)
    # Which groups a template allows stands in its document; there are few templates.
    every = unit.configurations.page(replace(wanted, limit=_ALL, offset=0)).items
    found = [item for item in every if not (groups := allowed_groups(item)) or any(map(scope.covers, groups))]
    shown = found[query.offset : query.offset + query.limit]
    return Page(items=shown, total=len(found), limit=query.limit, offset=query.offset)


def allowed_groups(template: Configuration) -> tuple[GroupId, ...]:
    """Return the groups a template allows; none means any."""
    listed = str(template.document.get("allowed_secret_groups") or "")
    return tuple(GroupId(part.strip()) for part in listed.split(",") if part.strip())


def profile_of_template(template: Configuration) -> Profile:
    """Return a template's rules; read once for each state of the template."""
    return _profile(template.id, template.row_version, _Document(template.document))


class _Document:
    """A document that does not count when cached results are looked up: id and row version say which it is."""

    __slots__ = ("members",)

    def __init__(self, members: Mapping[str, Any]) -> None:
        self.members = members

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Document)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=256)
def _profile(_: ConfigurationId, __: int, document: _Document) -> Profile:
    return profile_of(document.members)
