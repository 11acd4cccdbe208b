"""A long life of one server in which everything secret is planted, also where it does not belong."""

from __future__ import annotations

import base64
import json
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from tests.api.authorities import ACTION, CONFIGURATIONS, EVALUATE, FILES, INTERMEDIATE, REVOKE, ROOT, TEMPLATE
from tests.factories.certificates import Key, ec_key, key_to_pem, make_leaf, rsa_key, sign_csr
from tests.hygiene.planted import Planted
from tests.peers.server import Answer, LiveServer

SECRETS = "/api/v2/secrets"
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_JOB_LIMIT_S = 30.0


def _certificate(template: str) -> dict[str, Any]:
    return {"certificate_template": template, "common_name": "localhost"}


def _words(word: Callable[[str], str], names: str) -> dict[str, str]:
    return {name: word(name) for name in names.split()}


@dataclass
class Scenario:
    """Sends the requests and keeps every refusal.

    Attributes:
        refusals: bodies and headers of everything that was not a success, by what was asked.
        views: answers that show no secret by their nature: lists, metadata, audit, jobs, metrics.
    """

    server: LiveServer
    planted: Planted
    refusals: list[tuple[str, bytes]] = field(default_factory=list)
    views: list[tuple[str, bytes]] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    authorities: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Make, use, change and refuse."""
        self.planted.add("first API key", self.server.api_key)
        self.planted.add("administrator's token", self.server.token())
        self._secrets()
        self._certificates()
        self._authorities()
        self._public_configurations()
        self._identities()
        self._wrong_fields()
        self._wrong_authorities()
        self._wrong_logins()
        self._wrong_bodies()
        self.look()

    def ask(self, method: str, path: str, body: Any = None, *, expect: int | None = None, **more: Any) -> Answer:
        """Send a request; what is refused is kept to be searched."""
        answer = self.server.request(method, path, body, **more)
        if answer.status >= 400:
            heads = json.dumps(answer.headers).encode()
            self.refusals.append((f"{method} {path.partition('?')[0]} {answer.status}", heads + answer.raw))
        assert expect is None or answer.status == expect, (method, path, answer.status, answer.raw)
        return answer

    def look(self) -> None:
        """Read everything that shows no secret."""
        paths = [
            f"{SECRETS}?limit=100",
            "/api/v2/secrets_locks",
            "/api/v2/audit_events?limit=1000",
            "/api/v2/audit_events/export",
            "/api/v2/jobs",
            "/api/v2/settings",
            "/api/v2/endpoints",
            "/v1/apikeys?pagesize=100",
            "/v1/apikeys?scope=account&pagesize=100",
            "/v1/serviceids?pagesize=100",
            "/v1/policies",
            "/identity/users",
            "/metrics",
            "/readyz",
            "/identity/keys",
            CONFIGURATIONS,
            "/api/v2/certificate_templates",
        ]
        for name in self.authorities:
            paths += [f"{CONFIGURATIONS}/{name}"]
            paths += [f"{FILES}/{name}/{file}" for file in ("ca", "ca/pem", "ca_chain", "crl", "crl/pem")]
        for secret in self.secrets.values():
            place = f"{SECRETS}/{secret}"
            paths += [f"{place}/metadata", f"{place}/versions", f"{place}/versions/current/metadata", f"{place}/locks"]
        for path in paths:
            answer = self.ask("GET", path, headers={"Accept": "*/*"})
            self.views.append((path, answer.raw))

    def rotate_master_key(self) -> None:
        """Have the master key replaced and everything wrapped anew."""
        job = self.ask("POST", "/api/v2/master_key/rotate", {}, expect=202).json
        deadline = time.monotonic() + _JOB_LIMIT_S
        while time.monotonic() < deadline:
            found = self.ask("GET", f"/api/v2/jobs/{job['id']}").json
            if found["state"] in {"done", "failed"}:
                assert found["state"] == "done", found
                return
            time.sleep(0.1)
        message = "the master key was not rotated in time"
        raise AssertionError(message)

    def read_all(self) -> None:
        """Read every payload; what fails is kept to be searched."""
        for secret in self.secrets.values():
            self.ask("GET", f"{SECRETS}/{secret}")

    def _create(self, kind: str, name: str, **members: Any) -> dict[str, Any]:
        body = {"secret_type": kind, "name": name, "labels": ["planted"], **members}
        made: dict[str, Any] = self.ask("POST", SECRETS, body, expect=201).json
        self.secrets[name] = made["id"]
        return made

    def _secrets(self) -> None:
        text = self.planted.text
        self._create("arbitrary", "plain", payload=text("payload"))
        self._version("plain", payload=text("second payload"), custom_metadata={"a": 1})
        nested = {"user": text("kv"), "deep": {"list": [1, {"key": text("nested kv")}]}}
        self._create("kv", "pairs", data=nested)
        self._version("pairs", data={"next": text("next kv")})
        self._create("username_password", "given", username=self.planted.word("username"), password=text("password"))
        rotation = {"auto_rotate": True, "interval": 1, "unit": "day"}
        made = self._create("username_password", "generated", username="someone", rotation=rotation)
        self.planted.add("generated password", made["password"])
        made = self._version("generated")
        self.planted.add("second generated password", made["password"])
        self._version("given", password=text("next password"))
        self.ask("POST", f"{SECRETS}/{self.secrets['plain']}/locks_bulk", {"locks": [{"name": "use"}]}, expect=201)
        for name in self.secrets:
            self.ask("PATCH", f"{SECRETS}/{self.secrets[name]}/metadata", {"description": "changed"}, expect=200)

    def _version(self, name: str, **members: Any) -> dict[str, Any]:
        made = self.ask("POST", f"{SECRETS}/{self.secrets[name]}/versions", members, expect=201)
        return dict(made.json)

    def _certificates(self) -> None:
        layouts: dict[str, tuple[Key, PrivateFormat]] = {
            "rsa-pkcs1": (rsa_key(), PrivateFormat.TraditionalOpenSSL),
            "rsa-pkcs8": (rsa_key(other=True), PrivateFormat.PKCS8),
            "ec-sec1": (ec_key(), PrivateFormat.TraditionalOpenSSL),
            "ec-pkcs8": (ec_key(), PrivateFormat.PKCS8),
        }
        for name, (key, layout) in layouts.items():
            pem = key_to_pem(key, layout)
            self.planted.add_key(name, pem)
            leaf = make_leaf(200, key=key, names=(f"{name}.example.com",))
            self._create("imported_cert", name, certificate=leaf.pem, private_key=pem)
        for kind in ("rsa", "ec", "ed25519"):
            name = f"managed-{kind}"
            inputs = {"common_name": f"{name}.example.com", "key_type": kind, "rotate_keys": True}
            self._create("imported_cert", name, managed_csr=inputs)
            self._note_managed(name, "first")
            self.ask("PATCH", f"{SECRETS}/{self.secrets[name]}/metadata", {"managed_csr": {"ou": ["edge"]}}, expect=200)
            csr = self._note_managed(name, "second")
            self._version(name, certificate=sign_csr(csr).pem)
            self._note_managed(name, "third")

    def _authorities(self) -> None:
        """Make a tree for each kind of key, issue, rotate and revoke; keys of authorities are in no answer."""
        self.planted.add_key_shapes()
        for kind in ("rsa", "ec", "ed25519"):
            self._tree(kind)
            for layout in ("der", "pkcs8"):
                self._issue(f"{kind}-{layout}", f"leaves-{kind}", private_key_format=layout, format="pem_bundle")
            self._version(f"{kind}-der")
            self._note_issued(f"{kind}-der", "second")
            issuing = f"{CONFIGURATIONS}/issuing-{kind}/actions"
            body = {"action_type": f"{ACTION}rotate_intermediate"}
            self.views.append(("rotate_intermediate", self.ask("POST", issuing, body, expect=201).raw))
            body = {"action_type": REVOKE}
            self.ask("POST", f"{SECRETS}/{self.secrets[f'{kind}-pkcs8']}/actions", body, expect=201)
        body = {**_certificate("leaves-ec"), "secret_type": "private_cert"}
        self.views.append(("evaluate", self.ask("POST", EVALUATE, body, expect=200).raw))

    def _tree(self, kind: str) -> None:
        below: dict[str, Any] = {"signing_method": "internal", "issuer": f"root-{kind}", "auto_sign": True}
        members: dict[str, dict[str, Any]] = {
            "root": {"config_type": ROOT, "max_ttl": "40000h"},
            "issuing": {"config_type": INTERMEDIATE, "max_ttl": "30000h", **below},
            "waiting": {"config_type": INTERMEDIATE, "max_ttl": "30000h", "signing_method": "external"},
        }
        for name, more in members.items():
            body = {"name": f"{name}-{kind}", "common_name": f"Example {name}", "key_type": kind, **more}
            made = self.ask("POST", CONFIGURATIONS, body | {"format": "pem_bundle"}, expect=201)
            self.views.append((f"create {name}", made.raw))
            if name != "waiting":
                self.authorities.append(body["name"])
        template = {"config_type": TEMPLATE, "certificate_authority": f"issuing-{kind}", "key_type": kind}
        self.ask("POST", CONFIGURATIONS, {"name": f"leaves-{kind}", **template}, expect=201)

    def _issue(self, name: str, template: str, **members: Any) -> None:
        self._create("private_cert", name, **_certificate(template), **members)
        self._note_issued(name, "first")

    def _note_issued(self, name: str, which: str) -> None:
        shown = self.ask("GET", f"{SECRETS}/{self.secrets[name]}").json
        self.planted.add_key(f"{name} {which}", shown["private_key"])

    def _wrong_authorities(self) -> None:
        """Put secrets where something else belongs in requests about authorities."""
        text = self.planted.text
        key = key_to_pem(ec_key())
        self.planted.add_key("misplaced key of an authority", key)
        root = {"config_type": ROOT, "name": "refused", "common_name": "Refused", "max_ttl": "100h", "key_type": "ec"}
        provider = {"type": "pkcs11", "token_label": "none", "pin_secret_id": text("PIN")}
        wrong: list[dict[str, Any]] = [
            {"name": key},
            {"name": text("configuration name")},
            {"config_type": text("config type")},
            {"config_type": "iam_credentials_configuration", "api_key": text("API key of an engine")},
            {"common_name": key},
            {"max_ttl": text("life")},
            {"key_type": text("kind of key")},
            {"format": text("format")},
            {"private_key": key},
            {"crypto_key": {"label": "one", "provider": {**provider, "pin": text("unknown member")}}},
            {"crypto_key": {"label": "one", "provider": {**provider, "type": text("type of provider")}}},
        ]
        for members in wrong:
            answer = self.ask("POST", CONFIGURATIONS, {**root, **members})
            assert answer.status == 400, (members, answer.raw)
        actions: list[tuple[str, dict[str, Any]]] = [
            (text("action"), {}),
            (f"{ACTION}sign_csr", {"csr": key}),
            (f"{ACTION}sign_csr", {"csr": text("CSR") * 5}),
            (f"{ACTION}set_signed", {"certificate": key}),
            (f"{ACTION}set_signed", {"certificate": text("signed") * 5}),
            (f"{ACTION}rotate_crl", {"private_key": key}),
        ]
        for action, members in actions:
            for name in ("root-ec", "waiting-ec"):
                body = {"action_type": action, **members}
                answer = self.ask("POST", f"{CONFIGURATIONS}/{name}/actions", body)
                assert answer.status == 400, (body, answer.raw)
        right = {"secret_type": "private_cert", "name": "refused", **_certificate("leaves-ec")}
        leaves: list[dict[str, Any]] = [
            {"csr": key},
            {"csr": text("leaf CSR") * 5},
            {"private_key": key},
            {"private_key_format": text("layout")},
            {"ttl": text("life of a leaf")},
            {"rotation": {"auto_rotate": True, "interval": 1, "unit": text("unit of a leaf")}},
        ]
        for members in leaves:
            for path in (SECRETS, EVALUATE):
                answer = self.ask("POST", path, {**right, **members})
                assert answer.status == 400 or path == EVALUATE, (members, answer.raw)
                self.views.append((f"evaluate {members.keys()}", answer.raw))

    def _public_configurations(self) -> None:
        """Keep, change and refuse credentials of DNS providers and keys of accounts."""
        text, word = self.planted.text, self.planted.word
        kinds: list[tuple[str, dict[str, str], dict[str, str]]] = [
            ("classic_infrastructure", {"username": "user"}, {"password": text("classic password")}),
            (
                "akamai",
                {"host": "akab-example.luna.akamaiapis.net"},
                _words(word, "client_token client_secret access_token"),
            ),
            ("cloudflare", {}, _words(word, "api_token")),
            ("powerdns", {"url": "https://dns.example.com"}, _words(word, "api_key")),
            ("route53", {"access_key_id": "AKIAIOSFODNN7EXAMPLE"}, _words(word, "secret_access_key")),
        ]
        key = key_to_pem(ec_key())
        self.planted.add_key("misplaced key of an account", key)
        for kind, clear, credentials in kinds:
            place = f"{CONFIGURATIONS}/dns-{kind}"
            body = {
                "config_type": f"public_cert_configuration_dns_{kind}",
                **{f"{kind}_{name}": value for name, value in (clear | credentials).items()},
            }
            self.ask("POST", CONFIGURATIONS, {**body, "name": f"dns-{kind}"}, expect=201)
            for name in credentials:
                self.ask("PATCH", place, {f"{kind}_{name}": word(f"next {name} of {kind}")}, expect=200)
            for name in (*clear, *credentials, "unknown"):
                member = f"{kind}_{name}"
                self.ask("POST", CONFIGURATIONS, {**body, "name": "refused", member: key}, expect=400)
                self.ask("PATCH", place, {member: [text(f"{name} of {kind} in a list")]}, expect=400)
        wrong: list[dict[str, Any]] = [
            {"acme_account_private_key": key},
            {"acme_account_private_key": text("no key")},
            {"acme_eab_hmac_key": text("binding without its id")},
            {"acme_eab_key_id": "id", "acme_eab_hmac_key": text("malformed binding")},
            {"acme_directory_url": f"https://user:{word('password of a directory')}@acme.example.com/"},
            *({member: key} for member in ("acme_root_bundle", "acme_contact", "acme_profile", "ca_fallback")),
        ]
        for members in wrong:
            # Without the setting nobody is asked there.
            right = {"config_type": "public_cert_configuration_ca_acme", "name": "refused"}
            self.ask(
                "POST", CONFIGURATIONS, {**right, "acme_directory_url": "https://127.0.0.1/", **members}, expect=400
            )

    def _note_managed(self, name: str, which: str) -> str:
        shown = self.ask("GET", f"{SECRETS}/{self.secrets[name]}").json["managed_csr"]
        if shown["private_key"]:
            self.planted.add_key(f"{name} {which}", shown["private_key"])
        return str(shown["csr"])

    def _identities(self) -> None:
        service = self.ask("POST", "/v1/serviceids", {"name": "reader", "apikey": {"name": "first"}}, expect=201).json
        keys = [service["apikey"]["apikey"]]
        body = {"name": "second", "iam_id": service["iam_id"]}
        keys.append(self.ask("POST", "/v1/apikeys", body, expect=201).json["apikey"])
        for number, key in enumerate(keys):
            self.planted.add(f"API key {number}", key)
            basic = base64.b64encode(b"bx:bx").decode()
            answer = self._token(key, {"Authorization": f"Basic {basic}"}).json
            self.planted.add(f"token {number}", answer["access_token"])
            self.planted.add(f"signature of token {number}", answer["access_token"].rpartition(".")[2])
            self.planted.add(f"refresh token {number}", answer["refresh_token"])
            form = {"grant_type": "refresh_token", "refresh_token": answer["refresh_token"]}
            fresh = self._post_form(form, {"Authorization": f"Basic {basic}"}).json
            for member in ("access_token", "refresh_token"):
                if fresh.get(member) not in (None, "not_supported"):
                    self.planted.add(f"next {member} {number}", fresh[member])
            self.ask("GET", SECRETS, token=answer["access_token"], expect=403)
            self.ask("GET", "/v1/apikeys/details", headers={"IAM-ApiKey": key})
        user = {"name": "somebody", "email": "somebody@example.com", "password": self.planted.text("user password")}
        made = self.ask("POST", "/identity/users", user, expect=201).json
        change = {"password": self.planted.text("next user password")}
        self.ask("PATCH", f"/identity/users/{made['iam_id']}", change, expect=200)
        self.ask("GET", "/v1/apikeys/details", headers={"IAM-ApiKey": self.planted.word("wrong key in a header")})

    def _token(self, key: str, headers: Mapping[str, str] | None = None) -> Answer:
        form = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": key}
        return self._post_form(form, headers)

    def _post_form(self, form: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Answer:
        raw = urllib.parse.urlencode(form).encode()
        return self.ask("POST", "/identity/token", raw=raw, headers={**_FORM, **(headers or {})}, token=None)

    def _wrong_fields(self) -> None:
        """Put secrets where something else belongs; every one of these is refused."""
        text, word = self.planted.text, self.planted.word
        key = key_to_pem(ec_key())
        self.planted.add_key("misplaced key", key)
        locked = ec_key().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(text("passphrase").encode())
        )
        base: dict[str, Any] = {"secret_type": "arbitrary", "name": "refused", "payload": text("refused payload")}
        wrong: list[dict[str, Any]] = [
            {"name": text("name")},
            {"name": key},
            {"description": key + "\0"},
            {"labels": [text("label") + "\n"]},
            {"labels": [key]},
            {"secret_group_id": text("group")},
            {"secret_group_id": word("group word")},
            {"secret_type": text("type")},
            {"passwd": text("unknown member")},
            {"payload": [text("payload in a list")]},
            {"payload": {"value": text("payload in an object")}},
            {"expiration_date": text("date")},
            {"custom_metadata": text("metadata")},
            {"custom_metadata": [text("metadata in a list")]},
            {"secret_type": "kv", "payload": ..., "data": text("data")},
            {"secret_type": "kv", "payload": ..., "data": [text("data in a list")]},
            {"secret_type": "username_password", "payload": ..., "username": text("user name"), "password": text("p1")},
            {"secret_type": "username_password", "payload": ..., "username": "user", "password": text("p2") * 20},
            {
                "secret_type": "username_password",
                "payload": ...,
                "username": "user",
                "password": text("p3"),
                "rotation": {"auto_rotate": True, "interval": text("interval"), "unit": text("unit")},
            },
            {"secret_type": "imported_cert", "payload": ..., "certificate": key},
            {"secret_type": "imported_cert", "payload": ..., "certificate": text("certificate") * 3},
            {"secret_type": "imported_cert", "payload": ..., "certificate": make_leaf().pem, "private_key": key},
            {
                "secret_type": "imported_cert",
                "payload": ...,
                "certificate": make_leaf().pem,
                "private_key": locked.decode(),
            },
            {
                "secret_type": "imported_cert",
                "payload": ...,
                "certificate": make_leaf().pem,
                "private_key": text("key") * 4,
            },
            {"secret_type": "imported_cert", "payload": ..., "certificate": make_leaf().pem, "intermediate": key},
            {"secret_type": "imported_cert", "payload": ..., "managed_csr": {"common_name": key}},
            {"secret_type": "imported_cert", "payload": ..., "managed_csr": {"alt_names": self.server.api_key}},
            {"secret_type": "imported_cert", "payload": ..., "managed_csr": {"key_type": text("key type")}},
            {"secret_type": "imported_cert", "payload": ..., "managed_csr": {"key_bits": text("key bits")}},
            {"secret_type": "imported_cert", "payload": ..., "managed_csr": {"password": text("unknown in csr")}},
        ]
        for members in wrong:
            body = {name: value for name, value in {**base, **members}.items() if value is not ...}
            self.ask("POST", SECRETS, body, expect=400)
        for name, secret in self.secrets.items():
            place = f"{SECRETS}/{secret}"
            for member in ("payload", "password", "private_key", "data"):
                self.ask("PATCH", f"{place}/metadata", {member: text(f"{member} in a patch")}, expect=400)
            self.ask("POST", f"{place}/versions", {"unknown": text(f"unknown for {name}")}, expect=400)
            self.ask("POST", f"{place}/actions", {"action_type": text("action")}, expect=400)
            self.ask("POST", f"{place}/locks_bulk", {"locks": [{"name": text("lock")}]}, expect=400)
        for path, body in (
            ("/api/v2/secret_groups", {"name": text("group name")}),
            ("/v1/serviceids", {"name": ["x"], "description": text("service id")}),
            ("/v1/apikeys", {"name": "x", "iam_id": text("iam id"), "apikey": text("own key")}),
            ("/v1/apikeys", {"name": "x", "iam_id": "x", "allowed_networks": [text("network")]}),
            ("/v1/apikeys", {"name": "x", "iam_id": "x", "expires_at": text("expiry")}),
            ("/v1/policies", {"type": text("policy type"), "subjects": [], "roles": [], "resources": []}),
            ("/v1/policies", {"type": "access", "subjects": [], "roles": [{"role_id": text("role")}], "resources": []}),
            ("/v2/groups", {"name": [], "description": text("access group")}),
            ("/identity/users", {"name": "", "password": text("refused user password")}),
            ("/identity/users", {"name": "short", "password": word("p")[:5]}),
        ):
            self.ask("POST", path, body, expect=400)

    def _wrong_logins(self) -> None:
        text, word, first = self.planted.text, self.planted.word, self.server.api_key
        self._token(word("wrong API key"))
        self._post_form({"grant_type": first, "apikey": "x"})
        self._post_form({"grant_type": word("grant"), "password": text("password of a login")})
        self._post_form({"grant_type": "refresh_token", "refresh_token": word("wrong refresh token")})
        for scheme in ("Bearer", "Basic", "Digest", ""):
            for secret in (word(f"{scheme} authorization"), first):
                self.ask(
                    "GET", SECRETS, token=None, headers={"Authorization": f"{scheme} {secret}".strip()}, expect=401
                )
        head, payload, _ = self.server.token().split(".")
        forged = f"{head}.{payload}.{word('signature')}"
        self.ask("GET", SECRETS, token=forged, expect=401)
        for path in ("/api/v2/secrets/{}", "/api/v2/secret_groups/{}", "/v1/apikeys/{}", "/v1/serviceids/{}", "/{}"):
            for secret in (first, self.server.token()):
                self.ask("GET", path.format(urllib.parse.quote(secret)), expect=404)
        name = urllib.parse.quote(text("name in a path"), safe="")
        self.ask("GET", f"/api/v2/secret_groups/default/secret_types/arbitrary/secrets/{name}", expect=404)
        self.ask("GET", f"{SECRETS}?sort={name}", expect=400)
        self.ask("GET", f"{SECRETS}?limit={name}", expect=400)
        self.ask("GET", f"{SECRETS}?secret_types={name}", expect=400)

    def _wrong_bodies(self) -> None:
        text = self.planted.text
        for raw, headers in (
            (b'{"secret_type": "arbitrary", "payload": "' + text("broken JSON").encode(), {}),
            (b'{"payload": "' + text("bad escape").encode() + b'\\q"}', {}),
            (b'["' + text("list").encode() + b'"]', {}),
            (text("bare text").encode(), {}),
            (b'{"payload": "\xff' + text("not UTF-8").encode() + b'"}', {}),
            (text("plain text").encode(), {"Content-Type": "text/plain"}),
            (text("no gzip").encode(), {"Content-Encoding": "gzip"}),
            (b'{"a": "' + text("too large").encode() * 200_000 + b'"}', {}),
        ):
            sent = {"Content-Type": "application/json", **headers}
            answer = self.ask("POST", SECRETS, raw=raw, headers=sent)
            assert answer.status in {400, 413, 415}


def corrupt(scenario: Scenario, name: str, run: Callable[[str], None]) -> None:
    """Damage the stored payload of a secret, and read it: a 500 that tells nothing."""
    run(scenario.secrets[name])
    answer = scenario.ask("GET", f"{SECRETS}/{scenario.secrets[name]}")
    assert answer.status == 500, answer.raw
