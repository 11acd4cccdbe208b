"""The peer's authorities: two roots, their roles, and the workloads of certificates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Protocol

from tools.bench.certificates import (
    NAME,
    OCSP_QUESTIONS,
    TTL,
    csr_pem,
    question,
    require_certificate,
    require_good,
)
from tools.bench.contender import Workload
from tools.bench.load import COUNTER, Plan
from tools.bench.wire import Answer, UnexpectedAnswerError

_KINDS: Final = {"ec": 256, "rsa": 2048}
_PATHS: Final = {
    "issue-ec": "/v1/pki-ec/issue/stores-ec",
    "issue-ec-no-store": "/v1/pki-ec/issue/forgets-ec",
    "sign-csr": "/v1/pki-ec/sign/stores-ec",
    "issue-rsa": "/v1/pki-rsa/issue/stores-rsa",
    "issue-rsa-ec-ca": "/v1/pki-ec/issue/stores-rsa",
}
WORKLOADS: Final = (*_PATHS, "ocsp")


class Call(Protocol):
    """Sends a request to the server as its root, and returns the JSON of the answer."""

    def __call__(self, method: str, path: str, body: Mapping[str, Any], status: int = 200) -> Any:
        """Send it."""
        ...


class PeerAuthorities:
    """Made when the first workload is asked for, so that other figures are taken without them.

    Args:
        call: reaches the server.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._is_prepared = False

    def workload(self, name: str, *, port: int, headers: Mapping[str, str]) -> Workload:
        """Return a workload by its name."""
        self._prepare()
        if name == "ocsp":
            return self._questions(port)
        body: dict[str, str] = {"common_name": f"{COUNTER}.example.com", "ttl": TTL}
        if name == "sign-csr":
            body |= {"common_name": NAME, "csr": csr_pem()}

        def check(answer: Answer) -> None:
            if answer.status != 200:
                raise UnexpectedAnswerError(f"OpenBao answered {name} with {answer.status}: {answer.body!r}")
            data = answer.json()["data"]
            is_rsa = name.startswith("issue-rsa")
            require_certificate(data["certificate"], data["issuing_ca"], data.get("private_key"), is_rsa=is_rsa)

        plan = Plan(
            port=port,
            method="PUT",
            paths=[_PATHS[name]],
            headers={**headers, "Content-Type": "application/json"},
            body=json.dumps(body),
        )
        return Workload(plan=plan, check=check)

    def _questions(self, port: int) -> Workload:
        paths = []
        for number in range(OCSP_QUESTIONS):
            made = self._call("PUT", _PATHS["issue-ec"], {"common_name": f"ocsp-{number}.example.com", "ttl": TTL})
            asked = question(made["data"]["certificate"], made["data"]["issuing_ca"])
            paths.append(f"/v1/pki-ec/ocsp/{asked}")
        return Workload(plan=Plan(port=port, method="GET", paths=paths, headers={}), check=require_good)

    def _prepare(self) -> None:
        if self._is_prepared:
            return
        for kind, bits in _KINDS.items():
            mount = f"pki-{kind}"
            tuned = {"type": "pki", "config": {"max_lease_ttl": "87600h"}}
            self._call("POST", f"/v1/sys/mounts/{mount}", tuned, 204)
            key = {"key_type": kind, "key_bits": bits}
            root = {"common_name": "Example Root", "ttl": "43800h"} | key
            self._call("POST", f"/v1/{mount}/root/generate/internal", root)
        for mount, kind in (("pki-ec", "ec"), ("pki-ec", "rsa"), ("pki-rsa", "rsa")):
            for word, no_store in (("stores", False), ("forgets", True)):
                role = {"allow_any_name": True, "key_type": kind, "key_bits": _KINDS[kind], "max_ttl": "8760h"}
                self._call("POST", f"/v1/{mount}/roles/{word}-{kind}", {**role, "no_store": no_store})
        self._is_prepared = True
