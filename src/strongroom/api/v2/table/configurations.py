"""Operations on configurations. Source: api-v2 sections 1.8 and 2.5; design, sections 5 and 7."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, get_args

from strongroom.api.operations import MERGE_PATCH, Call, Operation, Pending, Reply, Work
from strongroom.api.paging import page_body, parse_list, parse_search, parse_sort
from strongroom.api.parameters import CONFIGURATION_TYPE_HEADER
from strongroom.api.v2.mapping.configurations import (
    changes,
    configuration_full,
    configuration_metadata,
    configuration_name,
    given,
)
from strongroom.api.v2.schemas import configurations as schemas
from strongroom.api.v2.schemas.configuration_actions import ConfigurationAction, ConfigurationActionPrototype
from strongroom.api.v2.schemas.configuration_base import EngineName
from strongroom.api.v2.schemas.dns_providers import ConfigurationZones
from strongroom.domain.access.actions import Action
from strongroom.domain.access.decide import require, require_instance
from strongroom.domain.audit.record import Target
from strongroom.domain.configurations.model import ConfigType, Configuration, ConfigurationQuery
from strongroom.domain.configurations.service import Shown
from strongroom.domain.configurations.usable import usable_by
from strongroom.domain.ports import Unit
from strongroom.kernel.errors import ErrorCode, Forbidden, Invalid

EXTENSIONS_HEADER: Final = "X-Strongroom-Extensions"
_TARGET: Final = "configuration"
_TAG: Final = "Configurations"
_PATH: Final = "/api/v2/configurations"
_NAMED: Final = f"{_PATH}/{{name}}"
_SORT_KEYS: Final = frozenset({"config_type", "secret_type", "name"})
_ENGINES: Final[tuple[str, ...]] = get_args(EngineName)
_OUTSIDE: Final = frozenset({"config_type", "name"})
_EXTENSIONS: Final = {EXTENSIONS_HEADER: "1 shows what the contract does not have, too"}
_HEADERS: Final = {
    CONFIGURATION_TYPE_HEADER: "the config_type that the name stands for, where several have it",
    **_EXTENSIONS,
}


def _knows_extensions(call: Call) -> bool:
    return call.headers.get(EXTENSIONS_HEADER.lower()) == "1"


def _types(call: Call, engines: Sequence[str]) -> frozenset[ConfigType]:
    """Return the types that a list may show: the contract's clients stop at one that they do not know."""
    extensions = _knows_extensions(call)
    return frozenset(
        item
        for item in ConfigType
        if (extensions or not item.is_extension) and (not engines or item.secret_type in engines)
    )


def _on_instance(call: Call) -> None:
    assert isinstance(call.operation.action, Action)  # noqa: S101  (every operation here has one)
    require_instance(call.principal, call.operation.action)


def _find(call: Call) -> None:
    """Guard: refuse who may not, find the configuration of the path and header."""
    call.target = Target(type=_TARGET, name=call.path["name"])
    _on_instance(call)
    _look_up(call)


def _find_for_orders(call: Call) -> None:
    """Guard: the same for who may create secrets in some group."""
    call.target = Target(type=_TARGET, name=call.path["name"])
    assert isinstance(call.operation.action, Action)  # noqa: S101  (the operation has one)
    require(call.principal, call.operation.action)
    _look_up(call)


def _look_up(call: Call) -> None:
    name = call.path["name"]
    config_type = call.headers.get(CONFIGURATION_TYPE_HEADER.lower())
    service = call.services.configurations
    configuration = call.services.storage.read(lambda unit: service.find(unit, name, config_type))
    call.target = Target(type=_TARGET, id=configuration.id, name=name)
    call.found = configuration


def _found(call: Call) -> Configuration:
    assert isinstance(call.found, Configuration)  # noqa: S101  (the guard ran)
    return call.found


def _full(call: Call, shown: Shown) -> dict[str, Any]:
    return configuration_full(
        shown.configuration, shown.facts, secrets=shown.secrets, extensions=_knows_extensions(call)
    )


def _create(call: Call) -> Pending:
    body: Any = call.parse(schemas.ConfigurationPrototype)  # type: ignore[arg-type]  # a union is not a class
    call.target = Target(type=_TARGET, name=body.name)
    change = call.services.configurations.create(
        call.principal, ConfigType(body.config_type), body.name, given(body, besides=_OUTSIDE)
    )

    def commit(unit: Unit) -> Shown:
        shown = change.commit(unit)
        call.target = Target(type=_TARGET, id=shown.configuration.id, name=body.name)
        return shown

    return Pending(commit=commit, reply=lambda shown: Reply(body=_full(call, shown)))


def _list(call: Call) -> Reply:
    query = call.parse_query(schemas.ConfigurationsQuery)
    engines = parse_list(query.secret_types, field="secret_types", most=len(_ENGINES))
    for item in engines:
        if item not in _ENGINES:
            raise Invalid(
                ErrorCode.INVALID_FIELD, f"secret_types may hold {', '.join(_ENGINES)}.", field="secret_types"
            )
    wanted = ConfigurationQuery(
        limit=query.limit,
        offset=query.offset,
        config_types=_types(call, engines),
        search=parse_search(query.search),
        sort=parse_sort(query.sort, _SORT_KEYS),
    )
    if not call.scope().everywhere:
        return _list_for_issuing(call, wanted)
    service = call.services.configurations
    page = call.services.storage.read(lambda unit: service.page(unit, wanted))
    return Reply(
        body=page_body(
            call,
            page,
            "configurations",
            lambda shown: configuration_metadata(shown.configuration, shown.facts, extensions=_knows_extensions(call)),
        )
    )


def _list_for_issuing(call: Call, wanted: ConfigurationQuery) -> Reply:
    """List, for a caller with group roles only, what its groups may use."""
    scope = call.scope()
    if not _knows_extensions(call):
        raise Forbidden(
            ErrorCode.FORBIDDEN,
            "You are not allowed to list configurations: that needs a role on the instance.",
            hint=f"With the header {EXTENSIONS_HEADER}: 1 you see what your groups may use: the public "
            "configurations, and templates.",
        )
    page = call.services.storage.read(lambda unit: usable_by(unit, scope, wanted))
    return Reply(body=page_body(call, page, "configurations", _usable))


def _usable(configuration: Configuration) -> dict[str, Any]:
    is_template = configuration.config_type is ConfigType.TEMPLATE
    return configuration_metadata(configuration) if is_template else configuration_name(configuration)


def _get(call: Call) -> Reply:
    configuration = _found(call)
    shown = call.services.storage.read(lambda unit: call.services.configurations.show(unit, configuration))
    return Reply(body=_full(call, shown))


def _update(call: Call) -> Pending:
    configuration = _found(call)
    body = call.parse(schemas.PATCH_MODELS[configuration.config_type])
    change = call.services.configurations.patch(call.principal, configuration, changes(body))
    return Pending(commit=change.commit, reply=lambda shown: Reply(body=_full(call, shown)))


def _delete(call: Call) -> Pending:
    change = call.services.configurations.delete(call.principal, _found(call))
    return Pending(commit=change.commit, reply=lambda _: Reply())


def _act(call: Call) -> Pending:
    configuration = _found(call)
    body: Any = call.parse(ConfigurationActionPrototype)  # type: ignore[arg-type]  # a union is not a class
    action: str = body.action_type
    change = call.services.configurations.act(
        call.principal, configuration, action, given(body, besides=frozenset({"action_type"}))
    )
    return Pending(commit=change.commit, reply=lambda result: Reply(body={"action_type": action, **result}))


def _list_zones(call: Call) -> Reply:
    return Reply(body={"zones": list(call.services.public_configurations.zones(_found(call)))})


OPERATIONS: Final = [
    Operation(
        name="create_configuration",
        method="POST",
        path=_PATH,
        action=Action.CONFIGURATION_CREATE,
        guard=_on_instance,
        handler=_create,
        work=Work.OUTSIDE,
        summary="Create a configuration",
        tag=_TAG,
        status=201,
        request=schemas.ConfigurationPrototype,
        response=schemas.Configuration,
        target_type=_TARGET,
    ),
    Operation(
        name="list_configurations",
        method="GET",
        path=_PATH,
        action=Action.CONFIGURATIONS_LIST,
        handler=_list,
        work=Work.SCAN,
        summary="List configurations",
        tag=_TAG,
        query=schemas.ConfigurationsQuery,
        response=schemas.ConfigurationMetadataPaginatedCollection,
        request_headers=_EXTENSIONS,
        target_type=_TARGET,
    ),
    Operation(
        name="get_configuration",
        method="GET",
        path=_NAMED,
        action=Action.CONFIGURATION_READ,
        guard=_find,
        handler=_get,
        work=Work.SCAN,
        summary="Get a configuration",
        tag=_TAG,
        response=schemas.Configuration,
        more_answers={300: None},
        request_headers=_HEADERS,
        target_type=_TARGET,
    ),
    Operation(
        name="update_configuration",
        method="PATCH",
        path=_NAMED,
        action=Action.CONFIGURATION_UPDATE,
        guard=_find,
        handler=_update,
        work=Work.OUTSIDE,
        summary="Change a configuration",
        tag=_TAG,
        media_types=MERGE_PATCH,
        request=schemas.ConfigurationPatch,
        response=schemas.Configuration,
        more_answers={300: None},
        request_headers=_HEADERS,
        target_type=_TARGET,
    ),
    Operation(
        name="delete_configuration",
        method="DELETE",
        path=_NAMED,
        action=Action.CONFIGURATION_DELETE,
        guard=_find,
        handler=_delete,
        work=Work.WRITE,
        summary="Delete a configuration",
        tag=_TAG,
        status=204,
        more_answers={300: None},
        request_headers=_HEADERS,
        target_type=_TARGET,
    ),
    Operation(
        name="create_configuration_action",
        method="POST",
        path=f"{_NAMED}/actions",
        action=Action.CONFIGURATION_ACTION_CREATE,
        guard=_find,
        handler=_act,
        work=Work.OUTSIDE,
        summary="Act on a configuration",
        tag=_TAG,
        status=201,
        request=ConfigurationActionPrototype,
        response=ConfigurationAction,
        more_answers={300: None},
        request_headers=_HEADERS,
        target_type=_TARGET,
    ),
    Operation(
        name="list_configuration_zones",
        method="GET",
        path=f"{_NAMED}/zones",
        action=Action.SECRET_CREATE,
        guard=_find_for_orders,
        handler=_list_zones,
        work=Work.OUTSIDE,
        summary="List the zones that a DNS configuration can write",
        tag=_TAG,
        response=ConfigurationZones,
        more_answers={300: None},
        request_headers=_HEADERS,
        target_type=_TARGET,
        audit_as="configuration-zones.list",
        extension=True,
    ),
]
