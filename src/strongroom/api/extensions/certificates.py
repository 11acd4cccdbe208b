"""What helps to ask for the right private certificate: a dry run, and the templates that one may use.

Source: design, section 12 ("Evaluate", "For wizards").
"""

from __future__ import annotations

from typing import Any, Final

from strongroom.api.operations import Call, Operation, Reply, Work
from strongroom.api.paging import page_body
from strongroom.api.v2.mapping.configurations import certificate_template, given
from strongroom.api.v2.schemas.private_certs import CertificateEvaluation, CertificateEvaluationPrototype
from strongroom.api.v2.schemas.templates import CertificateTemplatePaginatedCollection, CertificateTemplatesQuery
from strongroom.domain.access.actions import Action
from strongroom.domain.access.decide import require_group
from strongroom.domain.audit.record import Target
from strongroom.domain.authorities.templates import templates_for
from strongroom.domain.configurations.model import ConfigurationQuery
from strongroom.domain.secrets.lookup import require_known_group
from strongroom.kernel.ids import DEFAULT_GROUP, GroupId
from strongroom.kernel.time import format_rfc3339

_TAG: Final = "Private certificates"


def _list_templates(call: Call) -> Reply:
    query = call.parse_query(CertificateTemplatesQuery)
    scope = call.scope()
    wanted = ConfigurationQuery(limit=query.limit, offset=query.offset)
    page = call.services.storage.read(lambda unit: templates_for(unit, scope, wanted))
    return Reply(body=page_body(call, page, "certificate_templates", certificate_template))


def _evaluate(call: Call) -> Reply:
    body = call.parse(CertificateEvaluationPrototype)
    group_id = GroupId(body.secret_group_id or DEFAULT_GROUP)
    call.target = Target(type="secret", name=body.name, secret_group_id=group_id)
    require_group(call.principal, Action.SECRET_CREATE, group_id)
    call.services.storage.look(lambda unit: require_known_group(unit, group_id))
    found = call.services.authorities.dry_run.evaluate(given(body), group_id=group_id, caller=call.principal.facts)
    answer: dict[str, Any] = {
        "allowed": found.allowed,
        "rules": [{name: value for name, value in rule.items() if value} for rule in found.rules],
        "lint": found.lint,
    }
    if found.draft is not None:
        answer["not_before"] = format_rfc3339(found.draft.not_before)
        answer["not_after"] = format_rfc3339(found.draft.not_after)
        answer["certificate_text"] = found.certificate_text
    return Reply(body=answer)


OPERATIONS: Final = (
    Operation(
        name="list_certificate_templates",
        method="GET",
        path="/api/v2/certificate_templates",
        action=Action.SECRET_CREATE,
        handler=_list_templates,
        work=Work.SCAN,
        summary="List the certificate templates that you may use, with their rules",
        tag=_TAG,
        query=CertificateTemplatesQuery,
        response=CertificateTemplatePaginatedCollection,
        target_type="configuration",
        audit_as="certificate-templates.list",
        extension=True,
    ),
    Operation(
        name="evaluate_certificate",
        method="POST",
        path="/api/v2/secrets/evaluate",
        action=Action.SECRET_CREATE,
        handler=_evaluate,
        work=Work.SLOW_WRITE,
        summary="Tell what issuing a private certificate would give, without issuing it",
        tag=_TAG,
        request=CertificateEvaluationPrototype,
        response=CertificateEvaluation,
        target_type="secret",
        audit_as="certificate.evaluate",
        extension=True,
    ),
)
