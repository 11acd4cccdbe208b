"""Things that exist before a run, and requests that are right, for the runs that break them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from tests.api.authorities import (
    ACTION,
    CONFIGURATIONS,
    EVALUATE,
    FILES,
    INTERMEDIATE,
    REVOKE,
    ROOT,
    SECRETS,
    TEMPLATE,
)
from tests.factories.authorities import make_request
from tests.factories.certificates import ec_key, make_ca, make_leaf
from tests.peers.in_process import InProcess

_POLICY_RESOURCE = [
    {"name": "serviceName", "value": "secrets-manager"},
    {"name": "resourceType", "value": "secret-group"},
    {"name": "resource", "value": "default"},
]
_ROLE = "crn:v1:bluemix:public:iam::::serviceRole:Reader"


_FIRST = 0.6


@dataclass(frozen=True)
class Known:
    """What a path can lead to, by the part of the path before it or by the parameter's name; grows during a run."""

    by_place: dict[str, list[str]] = field(default_factory=dict)

    def add(self, place: str, *values: str) -> None:
        """Note values; of many, the first and the newest are kept."""
        known = self.by_place.setdefault(place, [])
        known.extend(value for value in values if value not in known)
        del known[1:-11]

    def at(self, place: str) -> list[str]:
        """Return what is known there."""
        return self.by_place.get(place, [])

    def choose(self, place: str, chance: random.Random) -> str | None:
        """Return one of what is known there; most often the first, which everything else was made for."""
        known = self.at(place)
        if not known:
            return None
        return known[0] if chance.random() < _FIRST else chance.choice(known)

    def forget(self, value: str) -> None:
        """Note that something is gone."""
        for known in self.by_place.values():
            if value in known:
                known.remove(value)


@dataclass(frozen=True)
class Seed:
    """A request that is accepted.

    Attributes:
        form: the body is sent as a form, not as JSON.
    """

    method: str
    path: str
    body: Any = None
    form: bool = False


def plant(server: InProcess, known: Known, tag: str) -> list[Seed]:
    """Make one of everything, with ``tag`` in names that must differ; return requests that a run may break."""

    known.by_place.clear()

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
    form = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": own_key}
    return [
        *_plant_authorities(server, known, tag),
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
        Seed("PUT", f"/v1/policies/{policy}", bodies[0]),
        Seed("PUT", f"/v2/policies/{v2_policy}", bodies[1]),
        Seed("PATCH", f"/v1/policies/{policy}", {"state": "active"}),
    ]


def _plant_authorities(server: InProcess, known: Known, tag: str) -> list[Seed]:
    """Make authorities, a template and certificates; return requests about them."""

    def post(path: str, body: Any) -> Any:
        answer = server.request("POST", path, body)
        assert answer.status == 201, (path, answer.raw)
        return answer.json

    root, issuing, spare, outside, leaves = (f"{name}-{tag}" for name in ("root", "issuing", "spare", "out", "leaves"))
    authority = {"common_name": "Example CA", "max_ttl": "20000h", "key_type": "ec", "crl_expiry": "48h"}
    below = {**authority, "config_type": INTERMEDIATE, "signing_method": "internal", "issuer": root}
    signed_outside = {**authority, "config_type": INTERMEDIATE, "signing_method": "external"}
    template = {
        "config_type": TEMPLATE,
        "certificate_authority": issuing,
        "max_ttl": "8760h",
        "ttl": "24h",
        "key_type": "ec",
        "allowed_domains": ["example.com", "*.example.org"],
        "allow_subdomains": True,
        "allow_glob_domains": True,
        "allowed_uri_sans": ["spiffe://example.com/*"],
        "allowed_other_sans": ["1.3.6.1.4.1.311.20.2.3;UTF8:*"],
        "key_usage": ["DigitalSignature"],
        "ext_key_usage_oids": ["1.3.6.1.5.5.7.3.17"],
        "ou": ["edge"],
    }
    post(CONFIGURATIONS, {**authority, "config_type": ROOT, "name": root})
    for name in (issuing, spare):
        post(CONFIGURATIONS, {**below, "name": name, "auto_sign": True})
    waiting = post(CONFIGURATIONS, {**signed_outside, "name": outside})["data"]["csr"]
    post(CONFIGURATIONS, {**template, "name": leaves})
    for place in (CONFIGURATIONS, FILES, "/ocsp"):
        known.add(f"{place}/", issuing, root, spare, outside)
    certificate: dict[str, Any] = {
        "secret_type": "private_cert",
        "certificate_template": leaves,
        "common_name": "www.example.com",
        "alt_names": ["a.example.com", "b.example.org"],
        "ip_sans": "192.0.2.1,2001:db8::1",
        "uri_sans": "spiffe://example.com/web",
        "other_sans": ["1.3.6.1.4.1.311.20.2.3;UTF8:admin@example.com"],
        "ttl": "12h",
        "format": "pem_bundle",
    }
    first, second = (post(SECRETS, {**certificate, "name": f"{name}-{tag}"})["id"] for name in ("first", "second"))
    key = ec_key()
    csr = make_request(key)[1].public_bytes(Encoding.PEM).decode()
    signing = {
        "common_name": "Example Below",
        "ttl": "100h",
        "max_path_length": 0,
        "permitted_dns_domains": ["a.example"],
    }
    by_outside = post(f"{CONFIGURATIONS}/{root}/actions", {"action_type": f"{ACTION}sign_csr", "csr": waiting})
    rotation = {"auto_rotate": True, "interval": 1, "unit": "hour"}
    bodies: list[tuple[str, dict[str, Any]]] = [
        (root, {"action_type": f"{ACTION}sign_intermediate", "intermediate_certificate_authority": spare, **signing}),
        (root, {"action_type": f"{ACTION}sign_csr", "csr": csr, **signing}),
        (outside, {"action_type": f"{ACTION}set_signed", "certificate": by_outside["data"]["certificate"]}),
        (root, {"action_type": f"{ACTION}rotate_crl"}),
        (issuing, {"action_type": f"{ACTION}rotate_intermediate"}),
        (spare, {"action_type": f"{ACTION}revoke_ca_certificate"}),
    ]
    return [
        Seed("POST", EVALUATE, {**certificate, "name": "dry"}),
        Seed("POST", SECRETS, {**certificate, "name": f"third-{tag}", "rotation": rotation}),
        Seed("PATCH", f"{SECRETS}/{first}/metadata", {"rotation": rotation}),
        Seed("POST", f"{SECRETS}/{first}/versions", {}),
        Seed("PATCH", f"{CONFIGURATIONS}/{leaves}", {"max_ttl": "100h", "allow_any_name": True, "ttl": None}),
        Seed("PATCH", f"{CONFIGURATIONS}/{issuing}", {"max_ttl": "1000h", "crl_disable": True, "crl_expiry": None}),
        Seed("POST", CONFIGURATIONS, {**authority, "config_type": ROOT, "name": f"next-{tag}", "ttl": "100h"}),
        Seed("POST", CONFIGURATIONS, {**below, "name": f"below-{tag}"}),
        Seed("POST", CONFIGURATIONS, {**template, "name": f"rules-{tag}"}),
        *(Seed("POST", f"{CONFIGURATIONS}/{name}/actions", body) for name, body in bodies),
        Seed("POST", f"{SECRETS}/{first}/actions", {"action_type": REVOKE}),
        Seed("POST", f"{SECRETS}/{second}/versions/current/actions", {"action_type": REVOKE}),
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
