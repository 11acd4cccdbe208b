"""Reading policies: what is accepted, and that everything else is refused by name."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from strongroom.domain.access.actions import PLATFORM_ROLES, Role
from strongroom.domain.identity.model import Policy, SubjectKind
from strongroom.domain.identity.policy_documents import (
    PolicyDraft,
    build_document,
    read_v1,
    read_v2,
    role_id,
    write_v1,
    write_v2,
)
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.ids import IamId, PolicyId
from tests.factories.identities import INSTANCE

READER = "crn:v1:bluemix:public:iam::::serviceRole:Reader"

V1: dict[str, Any] = {
    "type": "access",
    "description": "Readers of one group",
    "subjects": [{"attributes": [{"name": "iam_id", "value": "iam-ServiceId-1"}]}],
    "roles": [{"role_id": READER}],
    "resources": [
        {
            "attributes": [
                {"name": "accountId", "value": INSTANCE.account_id},
                {"name": "serviceName", "value": "secrets-manager"},
                {"name": "serviceInstance", "value": INSTANCE.id, "operator": "stringEquals"},
                {"name": "region", "value": "local"},
                {"name": "resourceType", "value": "secret-group"},
                {"name": "resource", "value": "default"},
            ]
        }
    ],
}
V2: dict[str, Any] = {
    "type": "access",
    "control": {"grant": {"roles": [{"role_id": READER}]}},
    "subject": {"attributes": [{"key": "access_group_id", "operator": "stringEquals", "value": "AccessGroupId-1"}]},
    "resource": {"attributes": [{"key": "serviceName", "operator": "stringEquals", "value": "secrets-manager"}]},
}


def with_attribute(name: str, value: Any, operator: str | None = None) -> dict[str, Any]:
    body = copy.deepcopy(V1)
    kept = [{"name": "serviceName", "value": "secrets-manager"}]
    body["resources"][0]["attributes"] = kept
    attribute = {"name": name, "value": value}
    if operator is not None:
        attribute["operator"] = operator
    kept.append(attribute)
    return body


def changed(base: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {name: value for name, value in {**copy.deepcopy(base), **members}.items() if value is not None}


def policy_from(draft: PolicyDraft, clock: FrozenClock) -> Policy:
    return Policy(
        id=PolicyId("1"),
        subject_kind=draft.subject_kind,
        subject=draft.subject,
        roles=draft.roles,
        group_id=draft.group_id,
        description=draft.description,
        document=draft.document,
        entity_tag="t",
        created_at=clock.now(),
        created_by=IamId("iam-test"),
        modified_at=clock.now(),
        modified_by=IamId("iam-test"),
    )


def refusal(body: dict[str, Any], *, v2: bool = False) -> Invalid:
    with pytest.raises(Invalid) as refused:
        (read_v2 if v2 else read_v1)(body, INSTANCE)
    return refused.value


def test_version_1_is_read_with_every_accepted_attribute() -> None:
    draft = read_v1(V1, INSTANCE)
    assert (draft.subject_kind, draft.subject) == (SubjectKind.IAM_ID, "iam-ServiceId-1")
    assert draft.roles == (Role.READER,)
    assert draft.group_id == "default"
    assert draft.description == "Readers of one group"


def test_version_2_is_read() -> None:
    draft = read_v2(V2, INSTANCE)
    assert (draft.subject_kind, draft.subject) == (SubjectKind.ACCESS_GROUP, "AccessGroupId-1")
    assert draft.roles == (Role.READER,)
    assert draft.group_id is None


def test_version_1_is_shown_as_it_was_sent(clock: FrozenClock) -> None:
    shown = write_v1(policy_from(read_v1(V1, INSTANCE), clock))
    assert shown["resources"] == V1["resources"]
    assert shown["subjects"] == V1["subjects"]
    assert shown["roles"] == [{"role_id": READER, "display_name": "Reader"}]


def test_version_2_is_shown_as_it_was_sent(clock: FrozenClock) -> None:
    assert write_v2(policy_from(read_v2(V2, INSTANCE), clock)) == V2


def test_each_version_is_shown_as_the_other_and_means_the_same(clock: FrozenClock) -> None:
    first = read_v1(V1, INSTANCE)
    second = read_v2(write_v2(policy_from(first, clock)), INSTANCE)
    third = read_v1(write_v1(policy_from(second, clock)), INSTANCE)
    assert (first.subject, first.roles, first.group_id) == (third.subject, third.roles, third.group_id)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(
    "prefix",
    [
        "crn:v1:bluemix:public:iam::::role:",
        "crn:v1:bluemix:public:iam::::serviceRole:",
        "crn:v1:bluemix:public:secrets-manager::::serviceRole:",
    ],
)
def test_a_role_is_known_by_its_last_part_whatever_its_prefix(role: Role, prefix: str) -> None:
    body = changed(V1, roles=[{"role_id": prefix + role}], resources=with_attribute("region", "local")["resources"])
    assert read_v1(body, INSTANCE).roles == (role,)


@pytest.mark.parametrize("role", list(Role))
def test_the_listed_name_of_a_role_is_accepted(role: Role) -> None:
    body = changed(V1, roles=[{"role_id": role_id(role)}], resources=with_attribute("region", "local")["resources"])
    assert read_v1(body, INSTANCE).roles == (role,)


def test_a_role_that_is_named_twice_counts_once() -> None:
    assert read_v1(changed(V1, roles=[{"role_id": READER}] * 2), INSTANCE).roles == (Role.READER,)


@pytest.mark.parametrize("role", sorted(PLATFORM_ROLES))
def test_a_platform_role_on_a_group_is_refused_by_name(role: Role) -> None:
    refused = refusal(changed(V1, roles=[{"role_id": role_id(role)}]))
    assert refused.field == "roles"
    assert role.value in refused.detail


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("accountId", "another"),
        ("serviceName", "cloud-object-storage"),
        ("serviceInstance", "another"),
        ("region", "us-south"),
    ],
)
def test_an_attribute_with_another_value_than_ours_is_refused(name: str, value: str) -> None:
    body = with_attribute(name, value)
    body["resources"][0]["attributes"] = body["resources"][0]["attributes"][1:]
    refused = refusal(body)
    assert refused.field == "resources[0].attributes[0].value"
    assert name in refused.detail


@pytest.mark.parametrize("name", ["resourceGroupId", "secretType", "serviceType", "service_group_id"])
def test_an_attribute_that_is_not_ours_is_refused_by_name(name: str) -> None:
    refused = refusal(with_attribute(name, "any"))
    assert refused.code is ErrorCode.NOT_SUPPORTED
    assert name in refused.detail


@pytest.mark.parametrize("operator", ["stringMatch", "stringExists", "stringEqualsAnyOf", ""])
def test_another_operator_is_refused(operator: str) -> None:
    refused = refusal(with_attribute("region", "local", operator))
    assert refused.field == "resources[0].attributes[1].operator"


@pytest.mark.parametrize(("name", "value"), [("resource", "default"), ("resourceType", "secret-group")])
def test_a_group_needs_both_of_its_attributes(name: str, value: str) -> None:
    assert refusal(with_attribute(name, value)).field == "resources[0].attributes"


def test_another_kind_of_resource_is_refused() -> None:
    assert refusal(with_attribute("resourceType", "secret")).field == "resources[0].attributes[1].value"


@pytest.mark.parametrize(
    ("member", "field"),
    [
        ({"type": "authorization"}, "type"),
        ({"type": None}, "type"),
        ({"subjects": None}, "subjects"),
        ({"subjects": []}, "subjects"),
        ({"subjects": V1["subjects"] * 2}, "subjects"),
        ({"subjects": "iam-ServiceId-1"}, "subjects"),
        ({"subjects": [{}]}, "subjects[0].attributes"),
        ({"subjects": [{"attributes": V1["subjects"][0]["attributes"] * 2}]}, "subjects[0].attributes"),
        ({"subjects": [{"attributes": [{"name": "serviceName", "value": "x"}]}]}, "subjects[0].attributes[0].name"),
        ({"subjects": [{"attributes": [{"name": "iam_id", "value": ""}]}]}, "subjects[0].attributes[0].value"),
        ({"subjects": [{"attributes": [{"name": "iam_id"}]}]}, "subjects[0].attributes[0].value"),
        ({"subjects": [{"attributes": [{"name": 1, "value": "x"}]}]}, "subjects[0].attributes[0].name"),
        ({"roles": None}, "roles"),
        ({"roles": []}, "roles"),
        ({"roles": [{"role_id": READER}] * 51}, "roles"),
        ({"roles": [{}]}, "roles[0].role_id"),
        ({"roles": [{"role_id": "Reader"}]}, "roles[0].role_id"),
        ({"roles": [{"role_id": READER + "s"}]}, "roles[0].role_id"),
        ({"resources": None}, "resources"),
        ({"resources": [{"attributes": [{"name": "region", "value": 1}]}]}, "resources[0].attributes[0].value"),
        (
            {"resources": [{"attributes": [{"name": "region", "value": "local"}] * 2}]},
            "resources[0].attributes[1].name",
        ),
        ({"resources": [{**V1["resources"][0], "tags": [{"name": "a"}]}]}, "resources[0].tags"),
        ({"conditions": {"time": "noon"}}, "conditions"),
        ({"description": 5}, "description"),
        ({"description": "x" * 1025}, "description"),
        ({"description": "a\0b"}, "description"),
    ],
)
def test_version_1_refuses_by_the_member_at_fault(member: dict[str, Any], field: str) -> None:
    refused = refusal(changed(V1, **member))
    assert field in [cause.field for cause in refused.causes or (refused,)]


@pytest.mark.parametrize(
    ("member", "field"),
    [
        ({"control": None}, "control"),
        ({"control": {}}, "control"),
        ({"control": {"grant": 1}}, "control.grant"),
        ({"control": {"grant": {"roles": []}}}, "control.grant.roles"),
        ({"subject": []}, "subject"),
        ({"resource": None}, "resource"),
        ({"resource": {"attributes": [{"key": "region", "value": "local"}]}}, "resource.attributes[0].operator"),
        ({"rule": {"key": "time"}}, "rule"),
        ({"pattern": "time-based-conditions:once"}, "pattern"),
    ],
)
def test_version_2_refuses_by_the_member_at_fault(member: dict[str, Any], field: str) -> None:
    body = changed(V2, **member)
    if member == {"control": {}}:
        with pytest.raises(Invalid):
            read_v2(body, INSTANCE)
        return
    refused = refusal(body, v2=True)
    assert field in [cause.field for cause in refused.causes or (refused,)]


def test_every_fault_is_reported_at_once() -> None:
    refused = refusal({"type": "authorization"})
    assert {cause.field for cause in refused.causes} >= {"type", "subjects", "roles", "resources"}


def test_unknown_members_are_ignored() -> None:
    assert read_v1(changed(V1, colour="blue"), INSTANCE).roles == (Role.READER,)


def test_the_word_default_stands_for_our_account() -> None:
    assert read_v1(with_attribute("accountId", "default"), INSTANCE).group_id is None


def test_a_document_of_our_own_reads_back() -> None:
    document = json.loads(build_document((Role.MANAGER,), {"region": "local"}))
    assert document["roles"] == ["crn:v1:bluemix:public:iam::::serviceRole:Manager"]
