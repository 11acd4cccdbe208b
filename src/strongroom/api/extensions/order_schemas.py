"""Models of orders and renewals. Source: design, section 12 ("Jobs and orders")."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, WithJsonSchema

from strongroom.api.extensions.schemas import Job, JobProblem, JobStateName
from strongroom.api.parameters import UUID, DateTime, comma_list
from strongroom.api.v2.schemas.base import Answer, Paginated, SecretTypeName

_Groups = Annotated[str | None, comma_list({"type": "string"}, most=201)]


class DnsServer(Answer):
    """What one authoritative server says of a record.

    ``found`` has some of the values that it holds instead of the wanted one, ``problem`` why it could not be asked.
    """

    name: str
    address: str
    seen: bool
    soa_serial: int | None = None
    checked_at: DateTime
    found: list[str] | None = None
    problem: str | None = None


class OrderPropagation(Answer):
    """Where the record of one name has been seen; ``target`` is where a delegation leads."""

    domain: str
    record_name: str
    target: str | None = None
    servers: list[DnsServer]


class Order(Job):
    """An order of a public certificate: its job, and what it is for."""

    secret_name: str | None = None
    secret_group_id: str
    domains: list[str] | None = None
    ca: str | None = None
    dns: str | None = None
    trigger: Literal["create", "manual", "auto"] | None = None
    deadline_at: DateTime | None = None
    propagation: list[OrderPropagation] | None = None


class OrderCollection(Paginated):
    """A page of orders, newest first."""

    orders: list[Order]


class OrdersQuery(BaseModel, defer_build=True):
    """Parameters of the list of orders."""

    state: JobStateName | None = None
    secret_id: Annotated[str, WithJsonSchema(UUID)] | None = None
    groups: _Groups = None
    offset: int = Field(default=0, ge=0, le=10_000_000)
    limit: int = Field(default=200, ge=1, le=1000)


class Renewal(Answer):
    """A secret that will be renewed by itself."""

    secret_id: str
    secret_name: str
    secret_type: SecretTypeName
    secret_group_id: str
    expires_at: DateTime | None = None
    renew_at: DateTime
    trigger: Literal["ari", "life", "policy"]
    blocked_by: list[str]
    last_error: JobProblem | None = None
    explanation_url: str | None = None


class RenewalCollection(Paginated):
    """A page of coming renewals, soonest first."""

    renewals: list[Renewal]


class RenewalsQuery(BaseModel, defer_build=True):
    """Parameters of the list of renewals."""

    groups: _Groups = None
    before: DateTime | None = None
    offset: int = Field(default=0, ge=0, le=10_000_000)
    limit: int = Field(default=200, ge=1, le=1000)
