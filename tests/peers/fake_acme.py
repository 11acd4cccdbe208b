"""The pretended CA of ``acme_ca.py`` behind HTTP on loopback, for what Pebble lacks.

It is strict where RFC 8555 is: nonces are used once, signatures are checked (apart from the product's libraries),
``url`` and ``kid`` have to fit. It misbehaves only where a test says so.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import ssl
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from strongroom.kernel.time import format_rfc3339
from tests.peers.acme_ca import AcmeCa, CaAccount, CaAuthorization, CaDown, CaOrder, CaRefusal, thumbprint
from tests.peers.acme_issuer import b64, unb64

_URN = "urn:ietf:params:acme:error:"
_CURVES: dict[str, tuple[str, ec.EllipticCurve, hashes.HashAlgorithm]] = {
    "ES256": ("P-256", ec.SECP256R1(), hashes.SHA256()),
    "ES384": ("P-384", ec.SECP384R1(), hashes.SHA384()),
    "ES512": ("P-521", ec.SECP521R1(), hashes.SHA512()),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """An answer as it goes over the wire, in place of the CA's."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A signed request that was checked."""

    key: Any
    thumbprint: str
    account: CaAccount | None
    payload: Any


class FakeAcmeServer:
    """One ACME server; close it in the end.

    Attributes:
        ca: what decides; its attributes are knobs.
        scripted: answers by resource (``directory``, ``new-order``, ``order``, ...), each given once, in their order.
        changes: what a test wants changed in every JSON answer of a resource; ``None`` removes a member.
        bad_nonces: so many posts are refused for their nonces.
        nonces: how often a fresh nonce was fetched.
        algorithms: of signatures that are taken.
        retry_after: sent with authorizations and orders that are not done.
        page: orders on one page of the list.
        posts: how many signed requests came, by resource; refused ones count.
        agents: every User-Agent that was seen.
    """

    def __init__(self, ca: AcmeCa, context: ssl.SSLContext | None = None) -> None:
        self.ca = ca
        self.scripted: dict[str, deque[Raw]] = defaultdict(deque)
        self.changes: dict[str, dict[str, Any]] = defaultdict(dict)
        self.bad_nonces = 0
        self.nonces = 0
        self.algorithms = {"RS256", *_CURVES}
        self.retry_after: timedelta | None = None
        self.page = 2
        self.posts: dict[str, int] = defaultdict(int)
        self.agents: set[str] = set()
        self._known_nonces: set[str] = set()
        self._keys: dict[str, Any] = {}
        self._handlers: dict[str, Callable[[CaAccount, list[str], Any], Raw]] = {
            "new-order": self._new_order,
            "account": lambda account, _rest, _payload: self._json("account", self._account(account)),
            "orders": lambda account, rest, _payload: self._orders(account, int(rest[1])),
            "order": lambda account, rest, _payload: self._order(self.ca.order(account, rest[0])),
            "finalize": lambda account, rest, payload: self._order(
                self.ca.finalize(account, rest[0], unb64(payload["csr"]))
            ),
            "authorization": self._on_authorization,
            "challenge": self._on_challenge,
            "certificate": lambda account, rest, _payload: self._certificate(account, *rest),
        }
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "http" if context is None else "https"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def base(self) -> str:
        """Return how all its addresses begin."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    @property
    def directory_url(self) -> str:
        """Return the address of its directory."""
        return f"{self.base}/directory"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def script(self, resource: str, *answers: Raw) -> None:
        """Give these answers next time, one each."""
        self.scripted[resource].extend(answers)

    def problem(self, type: str, detail: str, *, status: int = 400, **headers: str) -> Raw:
        """Return an answer with a problem document; the names of headers have underscores for hyphens."""
        body = json.dumps({"type": f"{_URN}{type}", "detail": detail}).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Raw(status=status, body=body, headers={"Content-Type": "application/problem+json", **named})

    def new_nonce(self) -> str:
        """Return a nonce that is good for one request."""
        nonce = b64(secrets.token_bytes(16))
        with self._lock:
            self._known_nonces.add(nonce)
        return nonce

    def answer(self, method: str, path: str, body: bytes) -> Raw:
        """Answer a request."""
        resource, *rest = path.strip("/").split("/")
        with self._lock:
            planned = self.scripted[resource].popleft() if self.scripted[resource] else None
        if planned is not None:
            return planned
        try:
            if method == "POST":
                self.posts[resource] += 1
                return self._post(resource, rest, self._check(self.base + path, body))
            return self._get(method, resource, rest)
        except CaDown:
            return Raw(status=503, body=b"busy", headers={"Content-Type": "text/plain"})
        except CaRefusal as refusal:
            return self._refuse(refusal)

    def _get(self, method: str, resource: str, rest: list[str]) -> Raw:
        self.ca.check_up()
        match resource, rest:
            case "directory", []:
                return self._json("directory", self._directory())
            case "new-nonce", []:
                self.nonces += 1
                return Raw(status=200 if method == "HEAD" else 204)
            case "renewal-info", [identifier] if self.ca.offers_renewal_info:
                start, end = self.ca.renewal_window(identifier)
                window = {"start": format_rfc3339(start), "end": format_rfc3339(end)}
                wait = str(int(self.ca.renewal_retry_after.total_seconds()))
                return self._json("renewal-info", {"suggestedWindow": window}, {"Retry-After": wait})
            case _:
                raise CaRefusal("malformed", "no such resource", status=404)

    def _post(self, resource: str, rest: list[str], post: Post) -> Raw:
        if resource == "new-account":
            return self._register(post)
        account = post.account
        if account is None:
            raise CaRefusal("malformed", "this request is signed with an account")
        handler = self._handlers.get(resource)
        if handler is None:
            raise CaRefusal("malformed", "no such resource", status=404)
        return handler(account, rest, post.payload)

    def _new_order(self, account: CaAccount, rest: list[str], payload: Any) -> Raw:
        names = [item["value"] for item in payload["identifiers"]]
        profile, replaces = payload.get("profile"), payload.get("replaces")
        return self._order(self.ca.new_order(account, names, profile=profile, replaces=replaces), status=201)

    def _on_authorization(self, account: CaAccount, rest: list[str], payload: Any) -> Raw:
        if payload and payload.get("status") == "deactivated":
            self.ca.deactivate(account, rest[0])
        return self._authorization(self.ca.authorization(account, rest[0]))

    def _on_challenge(self, account: CaAccount, rest: list[str], payload: Any) -> Raw:
        found = self.ca.authorization(account, rest[0])
        if payload is not None:
            if found.challenge_status != "pending":
                raise CaRefusal("malformed", f"the challenge is {found.challenge_status}")
            found = self.ca.answer(account, rest[0])
        return self._json("challenge", self._challenge(found))

    def _register(self, post: Post) -> Raw:
        payload = post.payload
        binding = payload.get("externalAccountBinding")
        if post.thumbprint not in self.ca.accounts and not {"onlyReturnExisting", "termsOfServiceAgreed"} & set(
            payload
        ):
            raise CaRefusal("userActionRequired", "the terms are not agreed to", status=403)
        self._keys[post.thumbprint] = post.key
        account, is_new = self.ca.register(
            post.thumbprint,
            contact=payload.get("contact", ()),
            only_existing=payload.get("onlyReturnExisting") is True,
            eab_key_id=self._check_binding(binding, post) if binding else None,
        )
        status = 201 if is_new else 200
        return self._json("account", self._account(account), {"Location": f"{self.base}/account/{account.id}"}, status)

    def _check_binding(self, binding: Mapping[str, str], post: Post) -> str:
        protected = json.loads(unb64(binding["protected"]))
        hmac_key = self.ca.eab_keys.get(protected["kid"])
        if hmac_key is None or protected["alg"] != "HS256" or protected["url"] != f"{self.base}/new-account":
            raise CaRefusal("unauthorized", "the external account is not known", status=403)
        check = hmac.HMAC(unb64(hmac_key), hashes.SHA256())
        check.update(f"{binding['protected']}.{binding['payload']}".encode())
        try:
            check.verify(unb64(binding["signature"]))
        except InvalidSignature:
            raise CaRefusal("unauthorized", "the external account's signature is wrong", status=403) from None
        if thumbprint(_public_key(json.loads(unb64(binding["payload"])))) != post.thumbprint:
            raise CaRefusal("malformed", "the external account is bound to another key")
        return str(protected["kid"])

    def _check(self, url: str, body: bytes) -> Post:
        """Check a signed request. Source: RFC 8555 section 6.2."""
        signed = json.loads(body)
        assert set(signed) == {"protected", "payload", "signature"}, set(signed)
        protected = json.loads(unb64(signed["protected"]))
        with self._lock:
            fresh = protected["nonce"] in self._known_nonces
            self._known_nonces.discard(protected["nonce"])
            if self.bad_nonces:
                self.bad_nonces -= 1
                fresh = False
        if not fresh:
            raise CaRefusal("badNonce", "the nonce is not known")
        if protected["alg"] not in self.algorithms:
            raise CaRefusal("badSignatureAlgorithm", f"{protected['alg']} is not supported")
        if protected["url"] != url:
            raise CaRefusal("unauthorized", "another url is signed", status=403)
        if ("jwk" in protected) == ("kid" in protected):
            raise CaRefusal("malformed", "either jwk or kid")
        account = None
        if "kid" in protected:
            account = self.ca.account(protected["kid"].rsplit("/", 1)[1])
            key = self._keys[account.thumbprint]
        else:
            key = _public_key(protected["jwk"])
        _verify(
            key, protected["alg"], f"{signed['protected']}.{signed['payload']}".encode(), unb64(signed["signature"])
        )
        text = unb64(signed["payload"])
        return Post(
            key=key,
            thumbprint=account.thumbprint if account else thumbprint(key),
            account=account,
            payload=json.loads(text) if text else None,
        )

    def _directory(self) -> Mapping[str, Any]:
        names = {"newNonce": "new-nonce", "newAccount": "new-account", "newOrder": "new-order"}
        if self.ca.offers_renewal_info:
            names["renewalInfo"] = "renewal-info"
        meta: dict[str, Any] = {
            "termsOfService": f"{self.base}/terms",
            "externalAccountRequired": bool(self.ca.eab_keys),
        }
        if self.ca.profiles:
            meta["profiles"] = self.ca.profiles
        return {name: f"{self.base}/{place}" for name, place in names.items()} | {"meta": meta}

    def _account(self, account: CaAccount) -> Mapping[str, Any]:
        content: dict[str, Any] = {"status": "valid", "contact": list(account.contact)}
        if self.ca.lists_orders:
            content["orders"] = f"{self.base}/orders/{account.id}/0"
        return content

    def _orders(self, account: CaAccount, number: int) -> Raw:
        every = self.ca.orders_of(account)
        shown = every[number * self.page : (number + 1) * self.page]
        headers = {}
        if len(every) > (number + 1) * self.page:
            headers["Link"] = f'<{self.base}/orders/{account.id}/{number + 1}>;rel="next"'
        return self._json("orders", {"orders": [f"{self.base}/order/{order.id}" for order in shown]}, headers)

    def _order(self, order: CaOrder, status: int = 200) -> Raw:
        content: dict[str, Any] = {
            "status": order.status,
            "identifiers": [{"type": "dns", "value": name} for name in order.names],
            "authorizations": [f"{self.base}/authorization/{item.id}" for item in order.authorizations],
            "finalize": f"{self.base}/finalize/{order.id}",
            "expires": format_rfc3339(order.expires),
        }
        if order.certificate is not None:
            content["certificate"] = f"{self.base}/certificate/{order.certificate.id}"
        if order.problem is not None:
            content["error"] = _problem(*order.problem)
        headers = {"Location": f"{self.base}/order/{order.id}"} if status == 201 else {}
        return self._json("order", content, {**headers, **self._wait(order.status)}, status)

    def _authorization(self, item: CaAuthorization) -> Raw:
        others = [
            {"type": "http-01", "url": f"{self.base}/challenge/http", "status": "pending", "token": item.token},
            {"type": "unheard-of-77", "proof": [1, 2, 3]},
        ]
        content: dict[str, Any] = {
            "status": item.status,
            "identifier": {"type": "dns", "value": item.domain},
            "challenges": [*others[:1], self._challenge(item), *others[1:]],
            "expires": format_rfc3339(item.expires),
        }
        if item.wildcard:
            content["wildcard"] = True
        return self._json("authorization", content, self._wait(item.status))

    def _challenge(self, item: CaAuthorization) -> Mapping[str, Any]:
        content: dict[str, Any] = {
            "type": "dns-01",
            "url": f"{self.base}/challenge/{item.id}",
            "status": item.challenge_status,
            "token": item.token,
        }
        if item.problem is not None:
            content["error"] = _problem(*item.problem)
        return content

    def _certificate(self, account: CaAccount, id: str, alternate: str = "0") -> Raw:
        issued = self.ca.certificate(account, id)
        number = int(alternate)
        place = f"{self.base}/certificate/{id}"
        links = [f'<{self.base}/directory>;rel="index"']
        links += [f'<{place}/{other}>;rel="alternate"' for other in range(len(issued.chains)) if other != number]
        headers = {"Content-Type": "application/pem-certificate-chain", "Link": ", ".join(links)}
        return Raw(body=issued.chains[number].encode(), headers=headers)

    def _wait(self, status: str) -> Mapping[str, str]:
        if self.retry_after is None or status not in {"pending", "processing"}:
            return {}
        return {"Retry-After": str(int(self.retry_after.total_seconds()))}

    def _json(
        self, resource: str, content: Mapping[str, Any], headers: Mapping[str, str] | None = None, status: int = 200
    ) -> Raw:
        changed = {**content, **self.changes[resource]}
        body = json.dumps({name: value for name, value in changed.items() if value is not None}).encode()
        return Raw(status=status, body=body, headers={"Content-Type": "application/json", **(headers or {})})

    def _refuse(self, refusal: CaRefusal) -> Raw:
        content: dict[str, Any] = _problem(refusal.type, refusal.detail)
        if refusal.subproblems:
            content["subproblems"] = [
                {**_problem(type, detail), "identifier": {"type": "dns", "value": name}}
                for name, type, detail in refusal.subproblems
            ]
        headers = {"Content-Type": "application/problem+json"}
        if refusal.retry_after is not None:
            headers["Retry-After"] = str(int(refusal.retry_after.total_seconds()))
        return Raw(status=refusal.status, body=json.dumps(content).encode(), headers=headers)


class _Server(ThreadingHTTPServer):
    """Gives each connection a thread that the end of the tests does not wait for."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that clients ended."""


def _handler_of(server: FakeAcmeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body leave together: apart, the second waits for an acknowledgement that the client delays.
        wbufsize = -1

        def do_GET(self) -> None:
            self._reply()

        def do_HEAD(self) -> None:
            self._reply()

        def do_POST(self) -> None:
            self._reply()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

        def _reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            server.agents.add(self.headers.get("User-Agent", ""))
            raw = server.answer(self.command, self.path, body)
            self.send_response(raw.status)
            gives_nonce = self.command == "POST" or self.path == "/new-nonce"
            headers = ({"Replay-Nonce": server.new_nonce()} if gives_nonce else {}) | dict(raw.headers)
            for name, value in headers.items():
                self.send_header(name, value)
            if raw.status != 204:
                self.send_header("Content-Length", str(len(raw.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(raw.body)

    return Handler


@contextlib.contextmanager
def fake_acme(ca: AcmeCa, context: ssl.SSLContext | None = None) -> Iterator[FakeAcmeServer]:
    """Run a server; without TLS it suits directories of the operator's only."""
    server = FakeAcmeServer(ca, context)
    try:
        yield server
    finally:
        server.close()


def _problem(type: str, detail: str) -> dict[str, Any]:
    return {"type": f"{_URN}{type}", "detail": detail}


def _public_key(jwk: Mapping[str, str]) -> Any:
    if jwk["kty"] == "RSA":
        numbers = rsa.RSAPublicNumbers(int.from_bytes(unb64(jwk["e"])), int.from_bytes(unb64(jwk["n"])))
        return numbers.public_key()
    curve = next(curve for name, curve, _ in _CURVES.values() if name == jwk["crv"])
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + unb64(jwk["x"]) + unb64(jwk["y"]))


def _verify(key: Any, algorithm: str, message: bytes, signature: bytes) -> None:
    try:
        if algorithm == "RS256":
            key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
            return
        name, curve, digest = _CURVES[algorithm]
        half = (curve.key_size + 7) // 8
        if key.curve.name != curve.name or len(signature) != 2 * half:
            raise CaRefusal("badSignatureAlgorithm", f"the key does not sign with {algorithm} on {name}")
        first, second = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
        key.verify(encode_dss_signature(first, second), message, ec.ECDSA(digest))
    except InvalidSignature:
        raise CaRefusal("malformed", "the signature is wrong") from None
