"""What the identity operations read and answer, for checks and for OpenAPI.

Members that a request has beyond these are ignored (design, section 8).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

# PostgreSQL stores no NUL, and nothing here has one.
Text = Annotated[str, Field(max_length=4096, pattern=r"^[^\u0000]*$")]
PageSize = Annotated[int, Field(ge=1, le=100)]
Offset = Annotated[int, Field(ge=0, le=10**9)]


class Request(BaseModel):
    """A request body or query; unknown members are ignored."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True, defer_build=True)


class Answer(BaseModel):
    """An answer; a description for OpenAPI."""

    model_config = ConfigDict(extra="allow", defer_build=True)


# --- tokens


class TokenRequest(Request):
    """Form of the token endpoint."""

    grant_type: Text = Field(examples=["urn:ibm:params:oauth:grant-type:apikey"])
    apikey: Text | None = None
    refresh_token: Text | None = None
    response_type: Text | None = None


class TokenResponse(Answer):
    """An access token."""

    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int
    expiration: int
    scope: str


class TokenProblemContext(Answer):
    """What an operator needs to find the request in the log."""

    requestId: str  # noqa: N815  (the name that clients read)


class TokenProblem(Answer):
    """Why no token was given, in the form that IAM clients read."""

    errorCode: str  # noqa: N815
    errorMessage: str  # noqa: N815
    errorDetails: str  # noqa: N815
    context: TokenProblemContext


class JwkSet(Answer):
    """The keys that verify access tokens."""

    keys: list[dict[str, Any]]


# --- service IDs and API keys


class ListServiceIdsQuery(Request):
    """Filters of service IDs."""

    account_id: Text | None = None
    name: Text | None = None
    pagesize: PageSize = 20
    pagetoken: Text | None = None
    filter: Text | None = None


class FirstApiKey(Request):
    """An API key that is made together with its service ID."""

    name: Text
    description: Text | None = None
    apikey: Text | None = None
    expires_at: Text | None = None
    allowed_networks: list[Text] | None = None


class CreateServiceId(Request):
    """A new service ID."""

    account_id: Text | None = None
    name: Text = Field(examples=["example-consumer"])
    description: Text | None = None
    apikey: FirstApiKey | None = None


class UpdateServiceId(Request):
    """New values of a service ID."""

    name: Text | None = None
    description: Text | None = None


class ApiKeyAnswer(Answer):
    """An API key; ``apikey`` is its text in the answer to its creation, and empty in all others."""

    id: str
    entity_tag: str
    crn: str
    locked: bool
    disabled: bool
    created_at: str
    created_by: str
    modified_at: str
    name: str
    description: str | None = None
    iam_id: str
    account_id: str
    apikey: str
    expires_at: str | None
    last_used_at: str | None
    allowed_networks: list[str]


class ServiceIdAnswer(Answer):
    """A service ID."""

    id: str
    iam_id: str
    entity_tag: str
    crn: str
    locked: bool
    created_at: str
    modified_at: str
    account_id: str
    name: str
    description: str | None = None
    apikey: ApiKeyAnswer | None = None


class IdentityPage(Answer):
    """The frame of a page."""

    offset: int
    limit: int
    first: str
    previous: str | None = None
    next: str | None = None


class ServiceIdPage(IdentityPage):
    """A page of service IDs."""

    serviceids: list[ServiceIdAnswer]


class ApiKeyPage(IdentityPage):
    """A page of API keys."""

    apikeys: list[ApiKeyAnswer]


class ListApiKeysQuery(Request):
    """Filters of API keys."""

    account_id: Text | None = None
    iam_id: Text | None = None
    scope: Literal["entity", "account"] = "entity"
    type: Literal["user", "serviceid"] | None = None
    pagesize: PageSize = 20
    pagetoken: Text | None = None
    filter: Text | None = None


class CreateApiKey(Request):
    """A new API key."""

    name: Text = Field(examples=["example-key"])
    iam_id: Text
    account_id: Text | None = None
    description: Text | None = None
    apikey: Text | None = None
    expires_at: Text | None = Field(default=None, examples=["2030-01-31T12:00:00Z"])
    allowed_networks: list[Text] | None = Field(default=None, examples=[["192.0.2.0/24"]])


class UpdateApiKey(Request):
    """New values of an API key; an empty ``expires_at`` takes the expiry away."""

    name: Text | None = None
    description: Text | None = None
    expires_at: Text | None = None
    allowed_networks: list[Text] | None = None


# --- policies


class PolicyBody(Request):
    """A policy, version 1; its attributes are read one by one."""

    type: Any = Field(examples=["access"])
    subjects: Any = Field(examples=[[{"attributes": [{"name": "iam_id", "value": "iam-ServiceId-..."}]}]])
    roles: Any = Field(examples=[[{"role_id": "crn:v1:bluemix:public:iam::::serviceRole:Reader"}]])
    resources: Any = Field(
        examples=[
            [
                {
                    "attributes": [
                        {"name": "serviceName", "value": "secrets-manager"},
                        {"name": "resourceType", "value": "secret-group"},
                        {"name": "resource", "value": "default"},
                    ]
                }
            ]
        ]
    )
    description: Text | None = None


class PolicyState(Request):
    """A change of a policy's state."""

    state: Literal["active", "deleted"]


class V2PolicyBody(Request):
    """A policy, version 2; its attributes are read one by one."""

    type: Any = Field(examples=["access"])
    control: Any
    subject: Any
    resource: Any
    description: Text | None = None


class ListPoliciesQuery(Request):
    """Filters of policies."""

    account_id: Text | None = None
    iam_id: Text | None = None
    access_group_id: Text | None = None
    type: Text | None = None
    service_name: Text | None = None
    state: Text | None = None
    format: Text | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    start: Text | None = None


class GetPolicyQuery(Request):
    """How a policy is shown."""

    format: Text | None = None


class PolicyFacts(Answer):
    """What both forms of a policy have."""

    id: str
    type: str
    description: str | None = None
    href: str
    state: str
    created_at: str
    created_by_id: str
    last_modified_at: str
    last_modified_by_id: str


class PolicyAnswer(PolicyFacts):
    """A policy, version 1."""

    subjects: list[dict[str, Any]]
    roles: list[dict[str, Any]]
    resources: list[dict[str, Any]]


class V2PolicyAnswer(PolicyFacts):
    """A policy, version 2."""

    subject: dict[str, Any]
    control: dict[str, Any]
    resource: dict[str, Any]


class PolicyPage(Answer):
    """A page of policies."""

    limit: int
    first: dict[str, str]
    previous: dict[str, str] | None = None
    next: dict[str, str] | None = None
    policies: list[PolicyAnswer]


class V2PolicyPage(Answer):
    """A page of policies."""

    limit: int
    first: dict[str, str]
    previous: dict[str, str] | None = None
    next: dict[str, str] | None = None
    policies: list[V2PolicyAnswer]


class ListRolesQuery(Request):
    """Filters of roles."""

    account_id: Text | None = None
    service_name: Text | None = None


class RoleAnswer(Answer):
    """A role and what it allows."""

    crn: str
    display_name: str
    description: str
    actions: list[str]


class RoleCollection(Answer):
    """Every role of this service."""

    custom_roles: list[RoleAnswer]
    service_roles: list[RoleAnswer]
    system_roles: list[RoleAnswer]
