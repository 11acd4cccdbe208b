"""Operations whose models are there before their handlers: they are held to the contract from the start.

An operation that the server's tables have takes the place of the one of its name here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from strongroom.api.operations import MERGE_PATCH, Call, Operation, Reply, Work
from strongroom.api.parameters import CONFIGURATION_TYPE_HEADER
from strongroom.api.v2.schemas import configuration_actions, configurations, private_certs, templates
from strongroom.domain.access.actions import Action

_HEADERS: Final = {CONFIGURATION_TYPE_HEADER: "The type of the configuration, where several have its name."}
_PATH: Final = "/api/v2/configurations"


def _handler(_: Call) -> Reply:
    return Reply()


_DECLARED: Final = [
    Operation(
        name="create_configuration",
        method="POST",
        path=_PATH,
        action=Action.CONFIGURATION_CREATE,
        handler=_handler,
        work=Work.SLOW_WRITE,
        summary="Create a configuration",
        tag="Configurations",
        status=201,
        request=configurations.ConfigurationPrototype,
        response=configurations.Configuration,
    ),
    Operation(
        name="list_configurations",
        method="GET",
        path=_PATH,
        action=Action.CONFIGURATIONS_LIST,
        handler=_handler,
        work=Work.SCAN,
        summary="List configurations",
        tag="Configurations",
        query=configurations.ConfigurationsQuery,
        response=configurations.ConfigurationMetadataPaginatedCollection,
    ),
    Operation(
        name="get_configuration",
        method="GET",
        path=_PATH + "/{name}",
        action=Action.CONFIGURATION_READ,
        handler=_handler,
        work=Work.POINT,
        summary="Get a configuration",
        tag="Configurations",
        request_headers=_HEADERS,
        response=configurations.Configuration,
        more_answers={300: None},
    ),
    Operation(
        name="update_configuration",
        method="PATCH",
        path=_PATH + "/{name}",
        action=Action.CONFIGURATION_UPDATE,
        handler=_handler,
        work=Work.WRITE,
        summary="Change a configuration",
        tag="Configurations",
        media_types=MERGE_PATCH,
        request_headers=_HEADERS,
        request=configurations.ConfigurationPatch,
        response=configurations.Configuration,
    ),
    Operation(
        name="delete_configuration",
        method="DELETE",
        path=_PATH + "/{name}",
        action=Action.CONFIGURATION_DELETE,
        handler=_handler,
        work=Work.WRITE,
        summary="Delete a configuration",
        tag="Configurations",
        status=204,
        request_headers=_HEADERS,
    ),
    Operation(
        name="create_configuration_action",
        method="POST",
        path=_PATH + "/{name}/actions",
        action=Action.CONFIGURATION_ACTION_CREATE,
        handler=_handler,
        work=Work.SLOW_WRITE,
        summary="Act on a configuration",
        tag="Configurations",
        status=201,
        request_headers=_HEADERS,
        request=configuration_actions.ConfigurationActionPrototype,
        response=configuration_actions.ConfigurationAction,
    ),
    Operation(
        name="evaluate_secret",
        method="POST",
        path="/api/v2/secrets/evaluate",
        action=Action.SECRET_CREATE,
        handler=_handler,
        work=Work.SLOW_WRITE,
        summary="Tell what issuing would give",
        tag="Secrets",
        request=private_certs.CertificateEvaluationPrototype,
        response=private_certs.CertificateEvaluation,
        extension=True,
    ),
    Operation(
        name="list_certificate_templates",
        method="GET",
        path="/api/v2/certificate_templates",
        action=Action.SECRET_CREATE,
        handler=_handler,
        work=Work.SCAN,
        summary="List the templates that the caller may issue with",
        tag="Secrets",
        query=templates.CertificateTemplatesQuery,
        response=templates.CertificateTemplatePaginatedCollection,
        extension=True,
    ),
]


def with_declared(served: Iterable[Operation]) -> list[Operation]:
    """Return the server's operations and those that are only declared so far."""
    found = list(served)
    names = {one.name for one in found}
    paths = {(one.method, one.path) for one in found}
    return found + [one for one in _DECLARED if one.name not in names and (one.method, one.path) not in paths]
