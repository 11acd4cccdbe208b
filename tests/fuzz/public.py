"""Public certificates and destinations of notices that exist before a run, and requests for more of them."""

from __future__ import annotations

from typing import Any, Final

from tests.api.authorities import CONFIGURATIONS, SECRETS
from tests.fuzz.known import Known, Seed
from tests.peers.in_process import InProcess

_DESTINATIONS: Final = "/api/v2/notifications/destinations"
_REGISTRATION: Final = "/api/v2/notifications/registration"
_TEST: Final = {"action_type": "public_cert_configuration_action_test", "domain": "example.com"}


def plant_public(server: InProcess, known: Known, tag: str) -> list[Seed]:
    """Make a CA, a DNS provider, an order and a destination; return requests that a run may break."""

    def post(path: str, body: Any) -> dict[str, Any]:
        answer = server.request("POST", path, body)
        assert answer.status == 201, (path, answer.raw)
        made: dict[str, Any] = answer.json
        return made

    ca = {
        "config_type": "public_cert_configuration_ca_lets_encrypt",
        "name": f"public-ca-{tag}",
        "lets_encrypt_environment": "production",
    }
    dns = {
        "config_type": "public_cert_configuration_dns_rfc2136",
        "name": f"dns-{tag}",
        "rfc2136_server": "ns1.example.com",
        "rfc2136_port": 5353,
        "rfc2136_tsig_key_name": "orders.example.com",
        "rfc2136_tsig_secret": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0",
    }
    post(CONFIGURATIONS, ca)
    post(CONFIGURATIONS, dns)
    order = {
        "secret_type": "public_cert",
        "name": f"public-{tag}",
        "common_name": f"w{tag}.example.com",
        "alt_names": [f"v{tag}.example.com"],
        "ca": ca["name"],
        "dns": dns["name"],
        "key_algorithm": "ECDSA256",
        "bundle_certs": True,
        "rotation": {"auto_rotate": True, "rotate_keys": False},
    }
    secret = post(SECRETS, order)
    known.add("/api/v2/orders/", str(secret["job"]["id"]))
    known.add(f"GET {CONFIGURATIONS}/{{name}}/zones name", str(dns["name"]))
    known.add("ca", str(ca["name"]))
    known.add("dns", str(dns["name"]), "manual")
    destination = {
        "name": f"pager-{tag}",
        "type": "webhook",
        "enabled": True,
        # A name that nobody has: nothing leaves this process.
        "url": "https://hooks.example.invalid/notices?token=1",
        "signing_secret": "a secret that signs notices",
        "filters": {"event_types": [], "secret_types": ["public_cert"], "secret_group_ids": ["default"]},
    }
    made = post(_DESTINATIONS, destination)
    known.add(f"{_DESTINATIONS}/", str(made["id"]))
    crn = known.at("/api/v1/instances/")[0]
    return [
        Seed("POST", CONFIGURATIONS, ca),
        Seed("POST", CONFIGURATIONS, dns),
        Seed("PATCH", f"{CONFIGURATIONS}/{ca['name']}", {"lets_encrypt_environment": "staging"}),
        Seed("PATCH", f"{CONFIGURATIONS}/{dns['name']}", {"rfc2136_port": 53}),
        Seed("POST", f"{CONFIGURATIONS}/{dns['name']}/actions", _TEST),
        Seed("POST", SECRETS, {**order, "name": "public-again", "common_name": "again.example.com", "alt_names": []}),
        Seed("PATCH", f"{SECRETS}/{secret['id']}/metadata", {"rotation": {"auto_rotate": False, "rotate_keys": True}}),
        Seed("POST", _DESTINATIONS, destination),
        Seed("PATCH", f"{_DESTINATIONS}/{made['id']}", {"name": "other", "enabled": False, "filters": None}),
        Seed(
            "POST",
            _REGISTRATION,
            {"event_notifications_instance_crn": crn, "event_notifications_source_name": "here"},
        ),
    ]
