"""Our own authorities: a root and an intermediate of each kind, templates, and the workloads of certificates."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from strongroom.pki.crl import entry_der
from tools.bench.certificates import (
    NAME,
    OCSP_QUESTIONS,
    TTL,
    csr_pem,
    question,
    require_certificate,
    require_good,
)
from tools.bench.contender import REVOCATIONS, Workload
from tools.bench.load import COUNTER, Plan
from tools.bench.wire import Answer, UnexpectedAnswerError

KEYS_AHEAD: Final = 64
"""The default of the server."""
CRL_PATH: Final = "/v1/ibmcloud/private_cert/config/certificate_authorities/issuing-ec/crl"

_CONFIGURATIONS: Final = "/api/v2/configurations"
_SECRETS: Final = "/api/v2/secrets"
_KINDS: Final = {"ec": 256, "rsa": 2048}
_TEMPLATES: Final = {
    "issue-ec": "leaves-ec",
    "issue-ec-no-store": "leaves-ec",
    "sign-csr": "leaves-ec",
    "issue-rsa": "leaves-rsa",
    "issue-rsa-ec-ca": "leaves-rsa-by-ec",
}
WORKLOADS: Final = (*_TEMPLATES, "ocsp", "revoke")
_PREFIX: Final = "private_cert_configuration_"
_MICROSECONDS: Final = 1_000_000


class Call(Protocol):
    """Sends a request to the server and returns the JSON of the answer."""

    def __call__(self, method: str, path: str, body: Mapping[str, Any] | None = None, status: int = 201) -> Any:
        """Send it."""
        ...


class OwnAuthorities:
    """Made when the first workload is asked for, so that other figures are taken without them.

    Args:
        call: reaches the server.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._is_prepared = False
        self._number = 0

    def workload(self, name: str, *, port: int, headers: Mapping[str, str]) -> Workload:
        """Return a workload by its name."""
        self.prepare()
        if name == "ocsp":
            return self._questions(port)
        if name == "revoke":
            return self._revocations(port, headers)
        body = _request(_TEMPLATES[name], f"{name}-{COUNTER}", f"{COUNTER}.example.com")
        if name == "sign-csr":
            body |= {"common_name": NAME, "csr": csr_pem()}

        def check(answer: Answer) -> None:
            if answer.status != 201:
                raise UnexpectedAnswerError(f"Strongroom answered {name} with {answer.status}: {answer.body!r}")
            made = answer.json()
            is_rsa = name.startswith("issue-rsa")
            require_certificate(made["certificate"], made["issuing_ca"], made.get("private_key") or None, is_rsa=is_rsa)

        def read_back(counter: str) -> None:
            path = f"/api/v2/secret_groups/default/secret_types/private_cert/secrets/{name}-{counter}"
            kept = self._call("GET", path, status=200)
            require_certificate(
                kept["certificate"],
                kept["issuing_ca"],
                kept.get("private_key") or None,
                is_rsa=name.startswith("issue-rsa"),
            )

        plan = Plan(port=port, method="POST", paths=[_SECRETS], headers=headers, body=json.dumps(body))
        return Workload(plan=plan, check=check, read_back=read_back)

    def issue(self, kind: str, name: str) -> Any:
        """Issue a certificate by the authority of a kind with a key of that kind."""
        return self._call("POST", _SECRETS, _request(f"leaves-{kind}", name, f"{name}.example.com"))

    def revoke_another(self) -> None:
        """Issue a certificate of the EC authority and revoke it."""
        self._call("POST", _action_path(self._another()["id"]), _REVOKE)

    def prepare(self) -> None:
        """Make what the workloads need, once."""
        if self._is_prepared:
            return
        for kind, bits in _KINDS.items():
            key = {"key_type": kind, "key_bits": bits}
            root, issuing = f"root-{kind}", f"issuing-{kind}"
            self._configure("root_ca", root, common_name="Example Root", max_ttl="87600h", ttl="43800h", **key)
            signed_by = {"signing_method": "internal", "issuer": root}
            self._configure(
                "intermediate_ca", issuing, common_name="Example Issuing", max_ttl="43800h", **signed_by, **key
            )
            action = {
                "action_type": f"{_PREFIX}action_sign_intermediate",
                "intermediate_certificate_authority": issuing,
            }
            self._call("POST", f"{_CONFIGURATIONS}/{root}/actions", action)
        for name, issuing, kind in (
            ("leaves-ec", "issuing-ec", "ec"),
            ("leaves-rsa", "issuing-rsa", "rsa"),
            ("leaves-rsa-by-ec", "issuing-ec", "rsa"),
        ):
            key = {"key_type": kind, "key_bits": _KINDS[kind]}
            self._configure(
                "template", name, certificate_authority=issuing, allow_any_name=True, max_ttl="8760h", **key
            )
        self._is_prepared = True

    def _configure(self, kind: str, name: str, **members: Any) -> None:
        self._call("POST", _CONFIGURATIONS, {"config_type": f"{_PREFIX}{kind}", "name": name, **members})

    def _another(self) -> Any:
        self._number += 1
        return self.issue("ec", f"another-{self._number}")

    def _questions(self, port: int) -> Workload:
        made = [self._another() for _ in range(OCSP_QUESTIONS)]
        paths = [f"/ocsp/issuing-ec/{question(each['certificate'], each['issuing_ca'])}" for each in made]
        return Workload(plan=Plan(port=port, method="GET", paths=paths, headers={}), check=require_good)

    def _revocations(self, port: int, headers: Mapping[str, str]) -> Workload:
        paths = [_action_path(self._another()["id"]) for _ in range(REVOCATIONS)]

        def check(answer: Answer) -> None:
            if answer.status != 201:
                raise UnexpectedAnswerError(f"Strongroom answered a revocation with {answer.status}: {answer.body!r}")

        plan = Plan(port=port, method="POST", paths=paths, headers=headers, body=json.dumps(_REVOKE))
        return Workload(plan=plan, check=check)


_REVOKE: Final = {"action_type": "private_cert_action_revoke_certificate"}


def _action_path(secret_id: str) -> str:
    return f"{_SECRETS}/{secret_id}/actions"


def _request(template: str, name: str, common_name: str) -> dict[str, str]:
    return {
        "name": name,
        "secret_type": "private_cert",
        "certificate_template": template,
        "common_name": common_name,
        "ttl": TTL,
    }


def add_revoked(database: Path, count: int) -> None:
    """Write revoked certificates of the newest EC authority into the store of a server that does not run."""
    at = datetime.now(UTC).replace(microsecond=0)  # the entries say when they were revoked
    now = int(at.timestamp()) * _MICROSECONDS
    rows = []
    for number in range(1, count + 1):
        # As long as real ones, and different from them: those do not begin with ones.
        serial = (0b111111 << 153) + number
        rows.append((f"{serial:x}", now, now + 86_400 * _MICROSECONDS, now, entry_der(serial, at)))
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.executemany(_ADD_REVOKED, rows)
        connection.execute("UPDATE authorities SET crl_wanted = crl_wanted + 1")
        connection.commit()


_ADD_REVOKED: Final = """
INSERT INTO issued_certificates
  (configuration_pk, authority_pk, serial, kind, issued_at, not_after, revoked_at, crl_entry)
SELECT configurations.pk, authorities.pk, ?, 'leaf', ?, ?, ?, ?
FROM configurations JOIN authorities ON authorities.configuration_pk = configurations.pk
WHERE configurations.name = 'issuing-ec'
"""
