"""Reading and writing policies in the two forms of IBM's Policy Management API.

Version 1 has ``subjects``, ``roles`` and ``resources``; version 2 has ``subject``, ``control`` and
``resource``. Both say the same here, so one stored document answers both. What a policy says and
this server cannot honour is refused, never dropped: a condition that is silently ignored would
grant more than its author meant.

Source: design, section 5.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from strongroom.domain.access.actions import PLATFORM_ROLES, Role
from strongroom.domain.identity.fields import check_description
from strongroom.domain.identity.model import Policy, SubjectKind
from strongroom.kernel.errors import ErrorCode, Invalid, Problems
from strongroom.kernel.ids import GroupId, Instance
from strongroom.kernel.result import Json

SERVICE_NAME: Final = "secrets-manager"
SECRET_GROUP: Final = "secret-group"  # noqa: S105 - a kind of resource
EQUALS: Final = "stringEquals"
OWN_ACCOUNT: Final = "default"
_LIST_MAX: Final = 50

_ROLE_ID = re.compile(r"crn:v1:[a-z]+:public:(?:iam|secrets-manager)::::(?:role|serviceRole):([A-Za-z]+)")
_OWN_SERVICE_ROLES = frozenset({Role.SECRETS_READER, Role.SECRET_TASK_UPDATER})


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDraft:
    """A policy as it was asked for, read and checked; whether its subject and group exist is not."""

    subject_kind: SubjectKind
    subject: str
    roles: tuple[Role, ...]
    group_id: GroupId | None
    description: str | None
    document: str


def role_id(role: Role) -> str:
    """Return the resource name of a role, as the reference lists it."""
    if role in PLATFORM_ROLES:
        return f"crn:v1:bluemix:public:iam::::role:{role.value}"
    service = SERVICE_NAME if role in _OWN_SERVICE_ROLES else "iam"
    return f"crn:v1:bluemix:public:{service}::::serviceRole:{role.value}"


def build_document(roles: Sequence[Role], attributes: Mapping[str, str]) -> str:
    """Return the stored form of a policy that the server itself makes."""
    resource = [{"key": key, "value": value, "operator": EQUALS} for key, value in attributes.items()]
    return json.dumps({"roles": [role_id(role) for role in roles], "resource": resource}, separators=(",", ":"))


def read_v1(body: Mapping[str, Any], instance: Instance) -> PolicyDraft:
    """Read ``{type, subjects, roles, resources, description?}``.

    Raises:
        Invalid: names every member at fault and what would pass.
    """
    reader = _Reader(instance)
    reader.type(body.get("type"))
    subject = reader.only(body.get("subjects"), "subjects")
    reader.subject(subject.get("attributes"), "subjects[0].attributes", "name")
    reader.roles(body.get("roles"), "roles")
    resource = reader.only(body.get("resources"), "resources")
    reader.refuse(resource, "resources[0].", ("tags",))
    reader.resource(resource.get("attributes"), "resources[0].attributes", "name", operator_needed=False)
    reader.refuse(body, "", ("conditions", "rule", "pattern", "control"))
    return reader.finish(body.get("description"), "roles")


def read_v2(body: Mapping[str, Any], instance: Instance) -> PolicyDraft:
    """Read ``{type, subject, control: {grant: {roles}}, resource, description?}``.

    Raises:
        Invalid: names every member at fault and what would pass.
    """
    reader = _Reader(instance)
    reader.type(body.get("type"))
    subject = reader.mapping(body.get("subject"), "subject")
    reader.subject(subject.get("attributes"), "subject.attributes", "key")
    control = reader.mapping(body.get("control"), "control")
    grant = reader.mapping(control.get("grant"), "control.grant") if control else {}
    if grant:
        reader.roles(grant.get("roles"), "control.grant.roles")
    resource = reader.mapping(body.get("resource"), "resource")
    reader.refuse(resource, "resource.", ("tags",))
    reader.resource(resource.get("attributes"), "resource.attributes", "key", operator_needed=True)
    reader.refuse(body, "", ("rule", "pattern"))
    return reader.finish(body.get("description"), "control.grant.roles")


def write_v1(policy: Policy) -> Json:
    """Return the members of version 1 that say what the policy means."""
    stored = json.loads(policy.document)
    attributes = []
    for attribute in stored["resource"]:
        shown = {"name": attribute["key"], "value": attribute["value"]}
        if attribute.get("operator"):
            shown["operator"] = attribute["operator"]
        attributes.append(shown)
    return {
        "type": "access",
        "subjects": [{"attributes": [{"name": policy.subject_kind.value, "value": policy.subject}]}],
        "roles": [
            {"role_id": identifier, "display_name": role.value}
            for identifier, role in zip(stored["roles"], policy.roles, strict=True)
        ],
        "resources": [{"attributes": attributes}],
    }


def write_v2(policy: Policy) -> Json:
    """Return the members of version 2 that say what the policy means."""
    stored = json.loads(policy.document)
    return {
        "type": "access",
        "subject": {"attributes": [{"key": policy.subject_kind.value, "operator": EQUALS, "value": policy.subject}]},
        "control": {"grant": {"roles": [{"role_id": identifier} for identifier in stored["roles"]]}},
        "resource": {
            "attributes": [
                {"key": item["key"], "operator": item.get("operator") or EQUALS, "value": item["value"]}
                for item in stored["resource"]
            ]
        },
    }


class _Reader:
    """Collects what one body says, and everything that is wrong with it."""

    def __init__(self, instance: Instance) -> None:
        self._problems = Problems()
        self._own: dict[str, Callable[[str], bool]] = {
            "accountId": lambda value: value in (instance.account_id, OWN_ACCOUNT),
            "serviceName": lambda value: value == SERVICE_NAME,
            "serviceInstance": lambda value: value == instance.id,
            "region": lambda value: value == instance.region,
            "resourceType": lambda value: value == SECRET_GROUP,
            "resource": lambda _: True,
        }
        self._expected = {
            "accountId": instance.account_id,
            "serviceName": SERVICE_NAME,
            "serviceInstance": instance.id,
            "region": instance.region,
            "resourceType": SECRET_GROUP,
        }
        self._subject: tuple[SubjectKind, str] | None = None
        self._roles: dict[Role, str] = {}
        self._attributes: dict[str, Json] = {}

    def type(self, value: Any) -> None:
        """Read the kind of policy."""
        if value is None:
            self._missing("type")
        elif value != "access":
            self._problems.add("type", "type must be 'access'; there are no other policies here.")

    def mapping(self, value: Any, field: str) -> Mapping[str, Any]:
        """Return a member that must be an object; an empty one after a problem."""
        if isinstance(value, Mapping):
            return value
        if value is None:
            self._missing(field)
        else:
            self._problems.add(field, f"{field} must be an object.")
        return {}

    def only(self, value: Any, field: str) -> Mapping[str, Any]:
        """Return the single object of a list."""
        items = self._items(value, field)
        if len(items) > 1:
            self._problems.add(field, f"{field} must have one entry, it has {len(items)}; make a policy for each.")
        return items[0] if items else {}

    def refuse(self, body: Mapping[str, Any], prefix: str, names: Sequence[str]) -> None:
        """Note members that would narrow the policy in a way that is not kept here."""
        for name in names:
            if body.get(name):
                self._problems.add(
                    f"{prefix}{name}",
                    f"{prefix}{name} is not supported: conditions, time limits and tags cannot be kept here.",
                    code=ErrorCode.NOT_SUPPORTED,
                )

    def subject(self, value: Any, field: str, naming: str) -> None:
        """Read whom it is for: exactly one ``iam_id`` or ``access_group_id``."""
        items = self._items(value, field)
        if len(items) > 1:
            self._problems.add(field, f"{field} must have one entry, it has {len(items)}.")
        for index, item in enumerate(items[:1]):
            key, text = self._attribute(item, f"{field}[{index}]", naming)
            if key is None or text is None:
                continue
            if key not in set(SubjectKind):
                self._problems.add(
                    f"{field}[{index}].{naming}",
                    f"{field}[{index}].{naming} must be 'iam_id' or 'access_group_id'.",
                )
            elif not text:
                self._problems.add(f"{field}[{index}].value", f"{field}[{index}].value must not be empty.")
            else:
                self._subject = SubjectKind(key), text

    def roles(self, value: Any, field: str) -> None:
        """Read what it gives: role ids with either usual prefix."""
        for index, item in enumerate(self._items(value, field)):
            where = f"{field}[{index}].role_id"
            identifier = item.get("role_id")
            if not isinstance(identifier, str):
                self._missing(where)
                continue
            match = _ROLE_ID.fullmatch(identifier)
            if match is None:
                self._problems.add(
                    where,
                    f"{where} must be the resource name of a role such as {role_id(Role.READER)}.",
                )
            elif match[1] not in set(Role):
                known = ", ".join(Role)
                self._problems.add(where, f"{where} names no role of this service; there are {known}.")
            else:
                self._roles.setdefault(Role(match[1]), identifier)

    def resource(self, value: Any, field: str, naming: str, *, operator_needed: bool) -> None:
        """Read what it is about; an attribute that is not ours is refused."""
        for index, item in enumerate(self._items(value, field)):
            where = f"{field}[{index}]"
            key, text = self._attribute(item, where, naming)
            operator = item.get("operator")
            if operator is None and operator_needed:
                self._missing(f"{where}.operator")
            elif operator not in (None, EQUALS):
                self._problems.add(
                    f"{where}.operator",
                    f"{where}.operator must be '{EQUALS}'.",
                    code=ErrorCode.NOT_SUPPORTED,
                )
            if key is None or text is None:
                continue
            if key not in self._own:
                self._problems.add(
                    f"{where}.{naming}",
                    f"{where}.{naming} {key[:64]!r} is not supported; policies are scoped by {', '.join(self._own)}.",
                    code=ErrorCode.NOT_SUPPORTED,
                )
            elif key in self._attributes:
                self._problems.add(f"{where}.{naming}", f"{where}.{naming}: {key} is there twice.")
            elif not self._own[key](text):
                self._problems.add(f"{where}.value", f"{where}.value of {key} must be {self._expected[key]!r}.")
            else:
                kept = {"key": key, "value": text}
                self._attributes[key] = kept if operator is None else {**kept, "operator": operator}
        if ("resource" in self._attributes) != ("resourceType" in self._attributes):
            self._problems.add(
                field,
                f"{field} must have both resourceType = '{SECRET_GROUP}' and resource = the id of the secret group, "
                "or neither.",
            )

    def finish(self, description: Any, roles_field: str) -> PolicyDraft:
        """Return the draft, or raise everything that was noted."""
        if description is not None and not isinstance(description, str):
            self._problems.add("description", "description must be text.")
            description = None
        check_description(self._problems, description)
        group = self._attributes.get("resource")
        if group is not None:
            for role in self._roles:
                if role in PLATFORM_ROLES:
                    self._problems.add(
                        roles_field,
                        f"{roles_field}: the platform role {role.value} counts on the instance only; "
                        "it cannot be given on a secret group.",
                    )
        self._problems.raise_any()
        # Whatever leaves these empty was noted above.
        if self._subject is None or not self._roles:
            raise Invalid(ErrorCode.INVALID_FIELD, "The policy names no subject or no role.")
        kind, subject = self._subject
        document = {"roles": list(self._roles.values()), "resource": list(self._attributes.values())}
        return PolicyDraft(
            subject_kind=kind,
            subject=subject,
            roles=tuple(self._roles),
            group_id=None if group is None else GroupId(group["value"]),
            description=description or None,
            document=json.dumps(document, separators=(",", ":")),
        )

    def _items(self, value: Any, field: str) -> list[Mapping[str, Any]]:
        if value is None:
            self._missing(field)
            return []
        if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
            self._problems.add(field, f"{field} must be a list of objects.")
            return []
        if not 1 <= len(value) <= _LIST_MAX:
            self._problems.add(field, f"{field} must have 1 to {_LIST_MAX} entries, it has {len(value)}.")
            return []
        return value

    def _attribute(self, item: Mapping[str, Any], where: str, naming: str) -> tuple[str | None, str | None]:
        found: list[str | None] = []
        for name in (naming, "value"):
            value = item.get(name)
            if isinstance(value, str) and "\0" not in value:
                found.append(value)
                continue
            found.append(None)
            if value is None:
                self._missing(f"{where}.{name}")
            else:
                self._problems.add(f"{where}.{name}", f"{where}.{name} must be text without NUL characters.")
        return found[0], found[1]

    def _missing(self, field: str) -> None:
        self._problems.add(field, f"{field} is required.", code=ErrorCode.MISSING_FIELD)
