"""Things that exist before a run, and requests that are right, for the runs that break them."""

from __future__ import annotations

import random
from typing import Any

from tests.factories.certificates import make_ca, make_leaf
from tests.fuzz.authorities import plant_authorities
from tests.fuzz.known import Known, Seed
from tests.fuzz.public import plant_public
from tests.peers.in_process import InProcess

_POLICY_RESOURCE = [
    {"name": "serviceName", "value": "secrets-manager"},
    {"name": "resourceType", "value": "secret-group"},
    {"name": "resource", "value": "default"},
]
_ROLE = "crn:v1:bluemix:public:iam::::serviceRole:Reader"


def plant(server: InProcess, known: Known, tag: str, chance: random.Random) -> list[Seed]:
    """Make one of everything, with ``tag`` in names that must differ; return requests that a run may break."""

    known.clear()

    def post(path: str, body: Any, *, key: str = "id") -> str:
        answer = server.request("POST", path, body)
        assert answer.status == 201, (path, answer.raw)
        known.add(f"{path.rstrip('/')}/", str(answer.json[key]))
        return str(answer.json[key])

    now = server.clock.now()
    issuer = make_ca("Example Issuing CA", now=now)
    leaf = make_leaf(300, names=("www.example.com", "example.com"), issuer=issuer, now=now)
    group = post("/api/v2/secret_groups", {"name": f"edge-{tag}", "description": "for the edge"})
    creates = _creates(tag, leaf.pem, leaf.key_pem, issuer.pem)
    made = [post("/api/v2/secrets", body) for body in creates]
    post("/api/v2/secrets", {**creates[0], "name": f"elsewhere-{tag}", "secret_group_id": group})
    versions = [
        ({"payload": "next"}, made[0]),
        ({"data": {"a": [1, {"b": None}]}}, made[1]),
        ({"password": "next password", "custom_metadata": {"a": 1}}, made[2]),
        ({"certificate": leaf.pem, "private_key": leaf.key_pem, "intermediate": issuer.pem}, made[3]),
    ]
    for body, secret in versions[:3]:
        assert server.request("POST", f"/api/v2/secrets/{secret}/versions", body).status == 201
    user = post("/identity/users", {"name": f"somebody-{tag}", "password": "correct horse battery"}, key="iam_id")
    service = post("/v1/serviceids", {"name": "consumer", "description": "reads"})
    iam_id = f"iam-{service}"
    known.add("IAM-ApiKey", server.directory.admin_apikey.read_text().strip())
    key = post("/v1/apikeys", {"name": "one", "iam_id": iam_id})
    own_key = str(server.request("POST", "/v1/apikeys", {"name": "two", "iam_id": iam_id}).json["apikey"])
    bodies = _policies(iam_id)
    policy = post("/v1/policies", bodies[0])
    v2_policy = post("/v2/policies", bodies[1])
    access = post("/v2/groups", {"name": f"operators-{tag}"})
    known.add("/v2/groups/{}/members/", iam_id, user)
    member = {"members": [{"iam_id": iam_id, "type": "service"}]}
    assert server.request("PUT", f"/v2/groups/{access}/members", member).status == 207
    known.add("/api/v1/instances/", server.request("GET", "/api/v2/endpoints").json["crn"])
    known.add("/docs/guide/", "import", "roles")
    job = server.request("POST", "/api/v2/audit_verifications", {})
    known.add("/api/v2/jobs/", job.json["id"])
    known.add("secret_group_name", "default", f"edge-{tag}")
    known.add("/api/v2/secret_groups/{}/secret_types/", "arbitrary")
    known.add("/api/v2/secret_groups/{}/secret_types/{}/secrets/", str(creates[0]["name"]))
    known.add("/api/v2/secrets/{}/versions/", "current", "previous")
    rotation = {"auto_rotate": True, "interval": 3, "unit": "month"}
    about_authorities = plant_authorities(server, known, tag, chance)
    about_public = plant_public(server, known, tag)
    known.settle()
    form = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": own_key}
    return [
        Seed("POST", "/identity/token", form, form=True),
        *(Seed("POST", "/api/v2/secrets", body) for body in creates),
        *(Seed("POST", f"/api/v2/secrets/{secret}/versions", body) for body, secret in versions),
        *(
            Seed("PATCH", f"/api/v2/secrets/{secret}/metadata", body)
            for secret, body in (
                (made[0], {"name": "renamed", "labels": ["two", "three"], "expiration_date": "2031-01-01T00:00:00Z"}),
                (made[1], {"description": "changed", "custom_metadata": {"a": {"b": [1, 2.5, None]}}}),
                (made[2], {"rotation": rotation, "password_generation_policy": {"length": 20}}),
                (made[4], {"managed_csr": {"alt_names": "a.example.com, b.example.com", "key_usage": "KeyAgreement"}}),
            )
        ),
        Seed(
            "PATCH",
            f"/api/v2/secrets/{made[0]}/versions/current/metadata",
            {"version_custom_metadata": {"note": "text"}},
        ),
        Seed("POST", f"/api/v2/secrets/{made[3]}/versions", {"restore_from_version": "previous"}),
        Seed(
            "POST",
            f"/api/v2/secrets/{made[1]}/locks_bulk",
            {"locks": [{"name": "use", "description": "in use", "attributes": {"a": 1}}]},
        ),
        Seed("POST", "/api/v2/secret_groups", {"name": "another", "description": "text"}),
        Seed("PATCH", f"/api/v2/secret_groups/{group}", {"name": "edges", "description": "text"}),
        Seed("POST", "/identity/users", {"name": "person", "email": "person@example.com", "password": "a long one 12"}),
        Seed("PATCH", f"/identity/users/{user}", {"name": "person", "email": None, "state": "disabled"}),
        *(
            Seed("POST", path, {"name": "consumer", "description": "text", "apikey": {"name": "first"}})
            for path in ("/v1/serviceids", "/v1/serviceids/")
        ),
        Seed("PUT", f"/v1/serviceids/{service}", {"name": "consumer", "description": "text"}),
        Seed(
            "POST",
            "/v1/apikeys",
            {
                "name": "two",
                "iam_id": iam_id,
                "description": "text",
                "expires_at": "2031-01-01T00:00:00Z",
                "allowed_networks": ["192.0.2.0/24", "2001:db8::/32"],
            },
        ),
        Seed("PUT", f"/v1/apikeys/{key}", {"name": "two", "description": "text", "expires_at": ""}),
        Seed("POST", "/v1/policies", bodies[0]),
        Seed("POST", "/v2/policies", bodies[1]),
        Seed("POST", "/v2/groups", {"name": "readers", "description": "text", "oidc_groups": ["a", "b"]}),
        Seed("PATCH", f"/v2/groups/{access}", {"name": "readers", "description": "text"}),
        Seed("PUT", f"/v2/groups/{access}/members", {"members": [{"iam_id": iam_id, "type": "service"}]}),
        Seed("POST", f"/v2/groups/{access}/members/delete", {"members": [iam_id]}),
        Seed("POST", f"/api/v2/jobs/{job.json['id']}/actions", {"action_type": "retry"}),
        Seed("POST", f"/api/v2/secrets/{made[3]}/actions", {"action_type": "private_cert_action_revoke_certificate"}),
        Seed("PUT", f"/v1/policies/{policy}", bodies[0]),
        Seed("PUT", f"/v2/policies/{v2_policy}", bodies[1]),
        Seed("PATCH", f"/v1/policies/{policy}", {"state": "active"}),
        *about_authorities,
        *about_public,
    ]


def _creates(tag: str, certificate: str, key: str, intermediate: str) -> list[dict[str, Any]]:
    common: dict[str, Any] = {
        "description": "something",
        "secret_group_id": "default",
        "labels": ["dev", "us-south"],
        "custom_metadata": {"owner": {"team": "edge", "since": 2026}},
        "version_custom_metadata": {"build": 7},
    }
    return [
        {
            **common,
            "secret_type": "arbitrary",
            "name": f"plain-{tag}",
            "payload": "something",
            "expiration_date": "2030-01-31T12:00:00Z",
        },
        {
            **common,
            "secret_type": "kv",
            "name": f"pairs-{tag}",
            "data": {"key": "value", "nested": {"list": [1, 2.5, True]}},
        },
        {
            **common,
            "secret_type": "username_password",
            "name": f"login-{tag}",
            "username": "user",
            "password": "password",
            "rotation": {"auto_rotate": True, "interval": 30, "unit": "day"},
            "password_generation_policy": {"length": 24, "include_symbols": False},
        },
        {
            **common,
            "secret_type": "imported_cert",
            "name": f"cert-{tag}",
            "certificate": certificate,
            "private_key": key,
            "intermediate": intermediate,
        },
        {
            **common,
            "secret_type": "imported_cert",
            "name": f"request-{tag}",
            "managed_csr": {
                "common_name": "example.com",
                "alt_names": "a.example.com,person@example.com",
                "ip_sans": "192.0.2.1,2001:db8::1",
                "uri_sans": "https://example.com/a",
                "other_sans": "2.5.4.5;UTF8:text",
                "ou": ["one", "two"],
                "country": ["DE"],
                "key_type": "ec",
                "key_bits": 256,
                "ext_key_usage": "ServerAuth",
                "policy_identifiers": "1.2.3.4",
                "user_ids": "one,two",
            },
        },
    ]


def _policies(iam_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    first = {
        "type": "access",
        "description": "reads",
        "subjects": [{"attributes": [{"name": "iam_id", "value": iam_id}]}],
        "roles": [{"role_id": _ROLE}],
        "resources": [{"attributes": _POLICY_RESOURCE}],
    }
    second = {
        "type": "access",
        "description": "reads",
        "control": {"grant": {"roles": [{"role_id": _ROLE}]}},
        "subject": {"attributes": [{"key": "iam_id", "operator": "stringEquals", "value": iam_id}]},
        "resource": {
            "attributes": [
                {"key": item["name"], "operator": "stringEquals", "value": item["value"]} for item in _POLICY_RESOURCE
            ]
        },
    }
    return first, second
