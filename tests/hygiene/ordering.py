"""A life with public certificates and notices in which every credential is planted; the other sides are unkind.

They refuse, and repeat what they were told in their refusals, as some do.
"""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass, field
from typing import Any

from tests.factories.certificates import ec_key, key_to_pem
from tests.hygiene.echo import Echo
from tests.hygiene.scenario import SECRETS, Scenario
from tests.peers.pebble import EAB_KEYS, Pebble
from tests.peers.public_peers import CA_NAME, DNS_NAME, PublicPeers, wait_for_order
from tests.peers.sinks import SmtpSink

CONFIGURATIONS = "/api/v2/configurations"
DESTINATIONS = "/api/v2/notifications/destinations"
_TEST = {"action_type": "public_cert_configuration_action_test", "domain": "example.com"}
_DELIVERY_LIMIT_S = 20.0
_CRN = "crn:v1:bluemix:public:event-notifications:local:a/1:2::"


@dataclass
class OrderScenario(Scenario):
    """Orders, fails, tells others of it.

    Attributes:
        peers: CA and name server.
        bound: a CA whose accounts need external accounts.
        echo: what webhooks, chat messages and requests to a DNS provider go to.
        mail: a mail server with other passwords than the configured one.
    """

    peers: PublicPeers = field(kw_only=True)
    bound: Pebble = field(kw_only=True)
    echo: Echo = field(kw_only=True)
    mail: SmtpSink = field(kw_only=True)
    destinations: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Make, use and refuse."""
        self.planted.add("first API key", self.server.api_key)
        self.planted.add("administrator's token", self.server.token())
        self.planted.add_key_shapes()
        self._accounts()
        self._providers()
        self._destinations()
        self._orders()
        self._failures()
        self._misplaced()
        self._told()
        self.look()

    def look(self) -> None:
        """Read everything that shows no secret."""
        super().look()
        names = [
            item["name"] for item in self.ask("GET", CONFIGURATIONS, headers=_ALL, expect=200).json["configurations"]
        ]
        paths = [
            "/api/v2/orders?limit=1000",
            "/api/v2/renewals",
            "/api/v2/jobs?limit=1000",
            DESTINATIONS,
            "/api/v2/notifications/registration",
            *(f"{DESTINATIONS}/{one}" for one in self.destinations),
            *(f"{DESTINATIONS}/{one}/deliveries" for one in self.destinations),
            *(f"{CONFIGURATIONS}/{name}/zones" for name in names),
        ]
        for order in self.ask("GET", "/api/v2/orders?limit=1000", expect=200).json["orders"]:
            paths += [f"/api/v2/orders/{order['id']}", f"/api/v2/jobs/{order['id']}"]
        for path in paths:
            self.views.append((path, self.ask("GET", path, headers=_ALL).raw))

    def begin(self, name: str, dns: str = DNS_NAME, ca: str = CA_NAME, **members: Any) -> None:
        """Order a certificate and do not wait for it."""
        body = {"common_name": f"{name}.planted.example.com", "key_algorithm": "ECDSA256", "ca": ca, "dns": dns}
        self.views.append((f"order {name}", json.dumps(self._create("public_cert", name, **body, **members)).encode()))

    def finish(self, name: str, *, state: int = 1) -> None:
        """Wait for the end of an order, and plant the key that came of it."""
        metadata = wait_for_order(self.server, self.secrets[name])
        assert metadata["issuance_info"]["state"] == state, metadata["issuance_info"]
        self.views.append((f"end of {name}", json.dumps(metadata).encode()))
        if state == 1:
            self._note_issued(name, f"key of {metadata['versions_total']} versions")

    def try_out(self) -> None:
        """Press every test button; most fail."""
        for name in (CA_NAME, "eab", DNS_NAME, "wrong-tsig", "echo"):
            answer = self.ask("POST", f"{CONFIGURATIONS}/{name}/actions", _action(name), timeout=60)
            self.views.append((f"test of {name}", answer.raw))
        for one in self.destinations:
            self.views.append(("test", self.ask("POST", f"{DESTINATIONS}/{one}/test", expect=200).raw))

    def _accounts(self) -> None:
        self._configure(self.peers.ca())
        shown = self.ask("GET", f"{CONFIGURATIONS}/{CA_NAME}", expect=200).json
        key = shown["lets_encrypt_private_key"]
        self.planted.add_key("key of an account", key)
        self._configure(self.peers.ca("same-account", lets_encrypt_private_key=key))
        body = {
            "config_type": "public_cert_configuration_ca_acme",
            "acme_directory_url": self.bound.directory_url,
            "acme_root_bundle": self.bound.trust_file.read_text(),
        }
        (key_id, right), (other, _) = EAB_KEYS.items()
        self.planted.add("EAB key", right)
        self._configure({**body, "name": "eab", "acme_eab_key_id": key_id, "acme_eab_hmac_key": right})
        self.planted.add_key(
            "key of a bound account", self.ask("GET", f"{CONFIGURATIONS}/eab").json["acme_account_private_key"]
        )
        wrong = base64.urlsafe_b64encode(self.planted.word("wrong EAB key").encode() * 2).decode().rstrip("=")
        self.planted.add("wrong EAB key as it is sent", wrong)
        bound = {**body, "acme_eab_key_id": other, "acme_eab_hmac_key": wrong}
        self.ask("POST", CONFIGURATIONS, {**bound, "name": "refused"}, expect=400)
        unknown = key_to_pem(ec_key())
        self.planted.add_key("key of no account", unknown)
        self.ask("POST", CONFIGURATIONS, self.peers.ca("refused", lets_encrypt_private_key=unknown), expect=400)
        self.ask("PATCH", f"{CONFIGURATIONS}/eab", {"acme_account_private_key": unknown})

    def _providers(self) -> None:
        self._configure(self.peers.dns())
        self._plant_base64("TSIG secret", self.peers.bind.key.secret)
        wrong = base64.b64encode(self.planted.chance.randbytes(32)).decode()
        self._plant_base64("wrong TSIG secret", wrong)
        self._configure(self.peers.dns("wrong-tsig", rfc2136_tsig_secret=wrong))
        key = self.planted.word("API key that comes back")
        body = {"config_type": "public_cert_configuration_dns_powerdns", "name": "echo", "powerdns_api_key": key}
        self._configure({**body, "powerdns_url": self.echo.url})
        wrong_key = self.planted.text("API key with other characters")
        refused = {**body, "name": "refused", "powerdns_url": self.echo.url, "powerdns_api_key": wrong_key}
        self.ask("POST", CONFIGURATIONS, refused, expect=400)

    def _plant_base64(self, name: str, text: str) -> None:
        self.planted.add(name, text)
        self.planted.add(f"{name}, decoded", base64.b64decode(text))

    def _configure(self, body: dict[str, Any]) -> None:
        self.ask("POST", CONFIGURATIONS, body, expect=201)

    def _destinations(self) -> None:
        word = self.planted.word
        url = self.echo.url
        bodies: list[dict[str, Any]] = [
            {"type": "webhook", "url": f"{url}?token={word('query')}", "signing_secret": word("signing secret")},
            {"type": "slack", "url": f"{url}/services/{word('path of Slack')}"},
            {"type": "email", "recipients": ["web@example.com"]},
            {"type": "apprise", "url": url.replace("http://", f"json://user:{word('password in a URL')}@")},
        ]
        for number, body in enumerate(bodies):
            made = self.ask("POST", DESTINATIONS, {**body, "name": f"destination-{number}"}, expect=201)
            self.destinations.append(made.json["id"])
            self.views.append(("create a destination", made.raw))
        hook = f"{DESTINATIONS}/{self.destinations[0]}"
        change = {"url": f"{url}?token={word('next query')}", "signing_secret": word("next signing secret")}
        self.views.append(("change a destination", self.ask("PATCH", hook, change, expect=200).raw))
        text = self.planted.text
        for members in (
            {"signing_secret": word("short")[:12]},
            {"signing_secret": word("long") * 20},
            {"signing_secret": [text("in a list")]},
            {"url": f"ftp://user:{word('password of ftp')}@example.com/"},
            {"url": f"https://user:{word('password of https')}@example.com/"},
            {"url": f"https://exa mple.com/{word('path of no URL')}"},
            {"url": f"https://169.254.169.254/{word('path to a metadata service')}"},
            {"type": text("type")},
            {"filters": {"event_types": [text("event")]}},
            {"unknown": text("unknown member")},
        ):
            self.ask("POST", DESTINATIONS, {**bodies[0], "name": "refused", **members}, expect=400)
        self.ask(
            "POST", DESTINATIONS, {"name": "refused", "type": "apprise", "url": text("no Apprise URL")}, expect=400
        )
        self.ask("POST", DESTINATIONS, {"name": "refused", "type": "slack", "url": text("no URL")}, expect=400)

    def _orders(self) -> None:
        self.begin("first", rotation={"auto_rotate": True, "rotate_keys": True})
        self.finish("first")
        self._version("first", rotation={"rotate_keys": True})
        self.finish("first")
        self.begin("by-hand", "manual")

    def _failures(self) -> None:
        for name, dns in (("tsig-fails", "wrong-tsig"), ("echoed", "echo")):
            self.begin(name, dns)
            self.finish(name, state=3)

    def _misplaced(self) -> None:
        """Put secrets where something else belongs in orders."""
        text = self.planted.text
        right = {"secret_type": "public_cert", "name": "refused", "common_name": "refused.example.com"}
        right |= {"ca": CA_NAME, "dns": DNS_NAME}
        key = key_to_pem(ec_key())
        self.planted.add_key("misplaced key of an order", key)
        for members in (
            {"common_name": key},
            {"alt_names": [key]},
            {"ca": key},
            {"dns": key},
            {"key_algorithm": text("algorithm")},
            {"rotation": {"auto_rotate": text("rotation"), "rotate_keys": False}},
            {"private_key": key},
        ):
            self.ask("POST", SECRETS, {**right, **members}, expect=400)
        first = f"{SECRETS}/{self.secrets['first']}"
        self.ask("POST", f"{first}/versions", {"rotation": {"rotate_keys": text("keys")}}, expect=400)
        self.ask("POST", f"{first}/actions", {"action_type": text("action")}, expect=400)
        self.ask("PATCH", f"{first}/metadata", {"key_algorithm": text("new algorithm")}, expect=400)
        for path in (f"{CONFIGURATIONS}/{CA_NAME}/actions", f"{CONFIGURATIONS}/{DNS_NAME}/actions"):
            self.ask("POST", path, {**_TEST, "domain": text("domain")})

    def _told(self) -> None:
        """Wait until every destination was tried with something."""
        self.try_out()
        registration = "/api/v2/notifications/registration"
        body = {"event_notifications_instance_crn": _CRN, "event_notifications_source_name": "planted"}
        self.ask("POST", registration, body, expect=201)
        self.ask("GET", f"{registration}/test", expect=204)
        deadline = time.monotonic() + _DELIVERY_LIMIT_S
        for one in self.destinations:
            while not self.ask("GET", f"{DESTINATIONS}/{one}/deliveries", expect=200).json["deliveries"]:
                assert time.monotonic() < deadline, one
                time.sleep(0.2)
        told = "".join(self.echo.said)
        for needle in ("Pl4nt", "/services/", "v1="):
            assert needle in told
        assert self.mail.logins


_ALL = {"Accept": "*/*", "X-Strongroom-Extensions": "1"}


def _action(name: str) -> dict[str, Any]:
    return {"action_type": _TEST["action_type"]} if name in {CA_NAME, "eab"} else _TEST
