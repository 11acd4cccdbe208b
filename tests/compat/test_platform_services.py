"""IBM's own client for identities, policies and access groups, against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ibm_cloud_sdk_core import ApiException
from ibm_cloud_sdk_core.authenticators import IAMAuthenticator
from ibm_platform_services import IamAccessGroupsV2, IamIdentityV1, IamPolicyManagementV1
from ibm_platform_services.iam_access_groups_v2 import AccessGroupsPager, AddGroupMembersRequestMembersItem, Group
from ibm_platform_services.iam_identity_v1 import (
    ApiKey,
    ApiKeyInsideCreateServiceIdRequest,
    ApiKeyList,
    ServiceId,
    ServiceIdList,
)
from ibm_platform_services.iam_policy_management_v1 import (
    Control,
    Grant,
    PoliciesPager,
    Policy,
    PolicyCollection,
    PolicyResource,
    PolicyRole,
    PolicySubject,
    ResourceAttribute,
    RoleCollection,
    Roles,
    SubjectAttribute,
    V2Policy,
    V2PolicyResource,
    V2PolicyResourceAttribute,
    V2PolicySubject,
    V2PolicySubjectAttribute,
)

from tests.peers.server import LiveServer

pytestmark = pytest.mark.integration

READER = "crn:v1:bluemix:public:iam::::serviceRole:Reader"
WRITER = "crn:v1:bluemix:public:iam::::serviceRole:Writer"


@pytest.fixture(autouse=True)
def _trust(live_server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clients trust the server's own authority, as its users do."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(live_server.ca_file))


def connect(kind: Any, server: LiveServer, api_key: str | None = None) -> Any:
    client = kind(authenticator=IAMAuthenticator(api_key or server.api_key, url=server.url))
    client.set_service_url(server.url)
    return client


@pytest.fixture
def identity(live_server: LiveServer) -> Any:
    return connect(IamIdentityV1, live_server)


@pytest.fixture
def policies(live_server: LiveServer) -> Any:
    return connect(IamPolicyManagementV1, live_server)


@pytest.fixture
def groups(live_server: LiveServer) -> Any:
    return connect(IamAccessGroupsV2, live_server)


@pytest.fixture
def service_id(identity: Any) -> Iterator[dict[str, Any]]:
    made = identity.create_service_id(account_id="default", name="example-consumer").get_result()
    yield made
    identity.delete_service_id(id=made["id"])


def test_a_service_id_lives_its_whole_life(identity: Any) -> None:
    created = identity.create_service_id(
        account_id="default",
        name="example",
        description="text",
        apikey=ApiKeyInsideCreateServiceIdRequest(name="first"),
    )
    assert created.get_status_code() == 201
    made = ServiceId.from_dict(created.get_result())
    assert made.apikey.apikey
    found = identity.get_service_id(id=made.id)
    assert ServiceId.from_dict(found.get_result()).name == "example"

    changed = identity.update_service_id(id=made.id, if_match=made.entity_tag, name="renamed").get_result()
    assert changed["name"] == "renamed"
    with pytest.raises(ApiException) as stale:
        identity.update_service_id(id=made.id, if_match=made.entity_tag, name="late")
    assert stale.value.status_code == 409
    tag = identity.get_service_id(id=made.id).get_headers()["ETag"]
    identity.update_service_id(id=made.id, if_match=tag, description="")

    identity.lock_service_id(id=made.id)
    with pytest.raises(ApiException) as locked:
        identity.delete_service_id(id=made.id)
    assert (locked.value.status_code, "locked" in locked.value.message) == (409, True)
    identity.unlock_service_id(id=made.id)
    assert identity.delete_service_id(id=made.id).get_status_code() == 204
    with pytest.raises(ApiException) as gone:
        identity.get_service_id(id=made.id)
    assert gone.value.status_code == 404


def test_service_ids_are_listed_page_by_page(identity: Any) -> None:
    made = [identity.create_service_id(account_id="default", name="paged").get_result()["id"] for _ in range(3)]
    found: list[str] = []
    token = None
    while True:
        page = identity.list_service_ids(account_id="default", name="paged", pagesize=2, pagetoken=token).get_result()
        listed = ServiceIdList.from_dict(page)
        found += [item.id for item in listed.serviceids]
        if listed.next is None:
            break
        token = listed.next.partition("pagetoken=")[2].partition("&")[0]
    assert sorted(found) == sorted(made)
    for item in made:
        identity.delete_service_id(id=item)


def test_an_api_key_lives_its_whole_life(identity: Any, service_id: dict[str, Any], live_server: LiveServer) -> None:
    iam_id = service_id["iam_id"]
    created = identity.create_api_key(name="example", iam_id=iam_id, expires_at="2049-01-31T12:00+0000")
    assert created.get_status_code() == 201
    made = ApiKey.from_dict(created.get_result())
    listed = identity.list_api_keys(account_id="default", iam_id=iam_id).get_result()
    assert [item.id for item in ApiKeyList.from_dict(listed).apikeys] == [made.id]
    assert ApiKey.from_dict({**identity.get_api_key(id=made.id).get_result()}).name == "example"
    own = connect(IamIdentityV1, live_server, made.apikey)
    assert own.get_api_keys_details(iam_api_key=made.apikey).get_result()["id"] == made.id

    identity.update_api_key(id=made.id, if_match=made.entity_tag, name="renamed")
    identity.lock_api_key(id=made.id)
    identity.unlock_api_key(id=made.id)
    identity.disable_api_key(id=made.id)
    with pytest.raises(ApiException) as disabled:
        own.list_api_keys()
    assert disabled.value.status_code == 401
    with pytest.raises(ApiException) as refused:
        connect(IamIdentityV1, live_server, made.apikey).list_api_keys()
    assert refused.value.status_code == 400
    identity.enable_api_key(id=made.id)
    assert own.list_api_keys().get_status_code() == 200
    assert identity.delete_api_key(id=made.id).get_status_code() == 204


def subject(iam_id: str) -> PolicySubject:
    return PolicySubject(attributes=[SubjectAttribute(name="iam_id", value=iam_id)])


def resource() -> PolicyResource:
    return PolicyResource(
        attributes=[
            ResourceAttribute(name="serviceName", value="secrets-manager", operator="stringEquals"),
            ResourceAttribute(name="resourceType", value="secret-group"),
            ResourceAttribute(name="resource", value="default"),
        ]
    )


def test_a_policy_lives_its_whole_life(policies: Any, service_id: dict[str, Any]) -> None:
    iam_id = service_id["iam_id"]
    created = policies.create_policy(
        type="access",
        subjects=[subject(iam_id)],
        roles=[PolicyRole(role_id=READER)],
        resources=[resource()],
        description="text",
    )
    assert created.get_status_code() == 201
    made = Policy.from_dict(created.get_result())
    assert made.roles[0].display_name == "Reader"
    listed = policies.list_policies(account_id="default", iam_id=iam_id).get_result()
    assert [item["id"] for item in PolicyCollection.from_dict(listed).to_dict()["policies"]] == [made.id]

    found = policies.get_policy(policy_id=made.id)
    replaced = policies.replace_policy(
        policy_id=made.id,
        if_match=found.get_headers()["ETag"],
        type="access",
        subjects=[subject(iam_id)],
        roles=[PolicyRole(role_id=WRITER)],
        resources=[resource()],
    )
    assert replaced.get_result()["roles"][0]["role_id"] == WRITER
    with pytest.raises(ApiException) as stale:
        policies.update_policy_state(policy_id=made.id, if_match=found.get_headers()["ETag"], state="active")
    assert stale.value.status_code == 409
    policies.update_policy_state(policy_id=made.id, if_match=replaced.get_headers()["ETag"], state="active")
    assert policies.delete_policy(policy_id=made.id).get_status_code() == 204
    with pytest.raises(ApiException) as gone:
        policies.get_policy(policy_id=made.id)
    assert gone.value.status_code == 404


def v2_parts(iam_id: str, role: str) -> dict[str, Any]:
    return {
        "type": "access",
        "control": Control(grant=Grant(roles=[Roles(role_id=role)])),
        "subject": V2PolicySubject(
            attributes=[V2PolicySubjectAttribute(key="iam_id", operator="stringEquals", value=iam_id)]
        ),
        "resource": V2PolicyResource(
            attributes=[V2PolicyResourceAttribute(key="serviceName", operator="stringEquals", value="secrets-manager")]
        ),
    }


def test_a_version_2_policy_lives_its_whole_life(policies: Any, service_id: dict[str, Any]) -> None:
    iam_id = service_id["iam_id"]
    created = policies.create_v2_policy(**v2_parts(iam_id, READER))
    assert created.get_status_code() == 201
    made = V2Policy.from_dict(created.get_result())
    found = policies.get_v2_policy(id=made.id)
    listed = policies.list_v2_policies(account_id="default", iam_id=iam_id).get_result()["policies"]
    assert [item["id"] for item in listed] == [made.id]
    replaced = policies.replace_v2_policy(
        id=made.id, if_match=found.get_headers()["ETag"], **v2_parts(iam_id, WRITER)
    ).get_result()
    assert replaced["control"]["grant"]["roles"] == [{"role_id": WRITER}]
    assert policies.delete_v2_policy(id=made.id).get_status_code() == 204


def test_the_pager_of_the_client_follows_our_pages(policies: Any, service_id: dict[str, Any]) -> None:
    for _ in range(3):
        policies.create_policy(
            type="access",
            subjects=[subject(service_id["iam_id"])],
            roles=[PolicyRole(role_id=READER)],
            resources=[resource()],
        )
    pager = PoliciesPager(client=policies, account_id="default", iam_id=service_id["iam_id"], limit=2)
    assert len(pager.get_all()) == 3


def test_every_listed_role_can_be_given(policies: Any, service_id: dict[str, Any]) -> None:
    roles = RoleCollection.from_dict(policies.list_roles(service_name="secrets-manager").get_result())
    assert {role.display_name for role in roles.service_roles} >= {"Reader", "SecretsReader", "Writer", "Manager"}
    for role in [*roles.service_roles, *roles.system_roles]:
        made = policies.create_policy(
            type="access",
            subjects=[subject(service_id["iam_id"])],
            roles=[PolicyRole(role_id=role.crn)],
            resources=[PolicyResource(attributes=[ResourceAttribute(name="serviceName", value="secrets-manager")])],
        ).get_result()
        policies.delete_policy(policy_id=made["id"])


def test_a_policy_that_cannot_be_kept_says_why(policies: Any, service_id: dict[str, Any]) -> None:
    with pytest.raises(ApiException) as refused:
        policies.create_policy(
            type="access",
            subjects=[subject(service_id["iam_id"])],
            roles=[PolicyRole(role_id=READER)],
            resources=[PolicyResource(attributes=[ResourceAttribute(name="resourceGroupId", value="x")])],
        )
    assert (refused.value.status_code, "resourceGroupId" in refused.value.message) == (400, True)


def test_an_access_group_lives_its_whole_life(groups: Any, service_id: dict[str, Any]) -> None:
    iam_id = service_id["iam_id"]
    made = Group.from_dict(groups.create_access_group(account_id="default", name="operators").get_result())
    added = groups.add_members_to_access_group(
        access_group_id=made.id, members=[AddGroupMembersRequestMembersItem(iam_id=iam_id, type="service")]
    )
    assert added.get_status_code() == 207
    members = groups.list_access_group_members(access_group_id=made.id).get_result()["members"]
    assert [item["iam_id"] for item in members] == [iam_id]
    pager = AccessGroupsPager(client=groups, account_id="default", limit=1)
    assert made.id in [item["id"] for item in pager.get_all()]

    tag = groups.get_access_group(access_group_id=made.id).get_headers()["ETag"]
    groups.update_access_group(access_group_id=made.id, if_match=tag, description="text")
    with pytest.raises(ApiException) as stale:
        groups.update_access_group(access_group_id=made.id, if_match=tag, description="late")
    assert stale.value.status_code == 409
    groups.remove_member_from_access_group(access_group_id=made.id, iam_id=iam_id)
    removed = groups.remove_members_from_access_group(access_group_id=made.id, members=[iam_id])
    assert removed.get_result()["members"][0]["status_code"] == 404
    assert groups.delete_access_group(access_group_id=made.id).get_status_code() == 204
