"""Certificate authorities over the API whose keys live in a token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.peers.in_process import InProcess
from tests.peers.server import Answer, LiveServer
from tests.peers.softhsm import TOKEN, USER_PIN

CONFIGURATIONS: Final = "/api/v2/configurations"
SECRETS: Final = "/api/v2/secrets"
EXTENSIONS: Final = {"X-Strongroom-Extensions": "1"}
ROOT: Final = "private_cert_configuration_root_ca"
INTERMEDIATE: Final = "private_cert_configuration_intermediate_ca"
TEMPLATE: Final = "private_cert_configuration_template"


class TokenCas:
    """Makes authorities on a server, and the secret with the PIN of their token first.

    Attributes:
        pin: id of that secret.
    """

    def __init__(self, server: InProcess | LiveServer, pin: str | None = None) -> None:
        self.server = server
        self.pin = pin or self.store("arbitrary", "pin", payload=USER_PIN)

    def store(self, kind: str, name: str, **members: Any) -> str:
        """Store a secret and return its id."""
        answer = self.server.request("POST", SECRETS, {"secret_type": kind, "name": name, **members})
        assert answer.status == 201, answer.raw
        return str(answer.json["id"])

    def key(self, label: str, /, **changes: Any) -> dict[str, Any]:
        """Return a ``crypto_key`` that may be generated; a change to ``None`` leaves the member out."""
        provider = {"type": "pkcs11", "token_label": TOKEN, "pin_secret_id": self.pin}
        provider |= {name: changes.pop(name) for name in ("token_label", "pin_secret_id") if name in changes}
        key = {"label": label, "allow_generate_key": True, "provider": provider, **changes}
        return {name: value for name, value in key.items() if value is not None}

    def try_root(
        self, name: str, crypto_key: Mapping[str, Any], *, by: str = "administrator", **members: Any
    ) -> Answer:
        """Ask for a root."""
        body = {"config_type": ROOT, "common_name": f"Example {name}", "max_ttl": "43830h", "key_type": "ec"}
        return self._create({**body, "name": name, "crypto_key": crypto_key, **members}, by)

    def try_intermediate(self, name: str, crypto_key: Mapping[str, Any], issuer: str, **members: Any) -> Answer:
        """Ask for an intermediate that is signed at once."""
        body = {"config_type": INTERMEDIATE, "common_name": f"Example {name}", "max_ttl": "26280h", "key_type": "ec"}
        signing = {"signing_method": "internal", "issuer": issuer, "auto_sign": True}
        return self._create({**body, **signing, "name": name, "crypto_key": crypto_key, **members})

    def root(self, name: str, crypto_key: Mapping[str, Any], **members: Any) -> dict[str, Any]:
        """Make a root."""
        return _made(self.try_root(name, crypto_key, **members))

    def intermediate(
        self, name: str, crypto_key: Mapping[str, Any], issuer: str = "root", **members: Any
    ) -> dict[str, Any]:
        """Make an intermediate that is signed at once."""
        return _made(self.try_intermediate(name, crypto_key, issuer, **members))

    def template(self, name: str, authority: str) -> None:
        """Make a template that allows everything."""
        body = {"config_type": TEMPLATE, "name": name, "certificate_authority": authority, "max_ttl": "8760h"}
        _made(self.server.request("POST", CONFIGURATIONS, {**body, "allow_any_name": True, "key_type": "ec"}))

    def try_issue(self, name: str, template: str = "leaves") -> Answer:
        """Ask for a certificate."""
        body = {"secret_type": "private_cert", "name": name, "certificate_template": template}
        return self.server.request("POST", SECRETS, {**body, "common_name": f"{name}.example.com"})

    def issue(self, name: str, template: str = "leaves") -> dict[str, Any]:
        """Have a certificate made."""
        return _made(self.try_issue(name, template))

    def act(self, name: str, action: str, **members: Any) -> Answer:
        """Ask for an action on an authority."""
        body = {"action_type": f"private_cert_configuration_action_{action}", **members}
        return self.server.request("POST", f"{CONFIGURATIONS}/{name}/actions", body)

    def delete(self, name: str) -> Answer:
        """Delete a configuration."""
        return self.server.request("DELETE", f"{CONFIGURATIONS}/{name}")

    def file(self, name: str, what: str) -> bytes:
        """Return a file that a CA publishes."""
        answer = self.server.request(
            "GET", f"/v1/ibmcloud/private_cert/config/certificate_authorities/{name}/{what}", token=None
        )
        assert answer.status == 200, answer.raw
        return answer.raw

    def _create(self, body: Mapping[str, Any], by: str = "administrator") -> Answer:
        return self.server.request("POST", CONFIGURATIONS, body, headers=EXTENSIONS, token=by)


def _made(answer: Answer) -> dict[str, Any]:
    assert answer.status == 201, answer.raw
    return dict(answer.json)
