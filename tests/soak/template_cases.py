"""Compare template cases with a peer: what one side refuses the other refuses, and certificates hold the same names.

Run it with ``python -m tests.soak.template_cases --cases 10000``. OpenBao judges every case by a role with the
template's settings; what becomes of it here is computed in this process. The differences that are meant are counted
by their reasons, any other ends the run with a failure. ``--record`` keeps the cases and the peer's answers in
``tests/assets/template-peer-cases.json``, where the short form finds them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from strongroom.pki.subject import find_common_name
from tests.factories.template_cases import (
    Case,
    Cause,
    Outcome,
    csr_pem,
    explain,
    is_same,
    judge,
    list_alt_names,
    soften,
)
from tests.soak.random_templates import Generator
from tools.bench.contender import environment
from tools.bench.openbao import find_program
from tools.bench.processes import ServerProcess, free_port
from tools.bench.wire import Client, wait_until

RECORD: Final = Path(__file__).parents[1] / "assets" / "template-peer-cases.json"

_TOKEN: Final = "root"
_HEADERS: Final = {"X-Vault-Token": _TOKEN, "Content-Type": "application/json"}
_START_S: Final = 60.0


class Peer:
    """An OpenBao with one root on a curve, all of it in memory.

    Args:
        folder: empty, for its log.
    """

    def __init__(self, folder: Path) -> None:
        port = free_port()
        command = [str(find_program()), "server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={_TOKEN}"]
        self._client = Client(port)
        self._server = ServerProcess(
            [*command, f"-dev-listen-address=127.0.0.1:{port}", "-log-level=error"],
            environment=environment(folder),
            log=folder / "server.log",
            folder=folder,
        )

    def prepare(self) -> None:
        """Wait until it listens, and make the root."""
        wait_until(self._is_up, alive=self._server.require_alive, timeout_s=_START_S, what="OpenBao")
        self._expect(
            "sys/mounts/pki", {"type": "pki", "config": {"max_lease_ttl": "87600h", "default_lease_ttl": "26304h"}}
        )
        root = {"common_name": "Example Root", "ttl": "43800h", "key_type": "ec", "key_bits": 256}
        self._expect("pki/root/generate/internal", root)

    def close(self) -> None:
        """Stop it."""
        self._client.close()
        self._server.stop()

    def judge(self, case: Case) -> Outcome:
        """Return what becomes of a case there.

        Raises:
            RuntimeError: if the server fails.
        """
        role = {"key_type": "ec", "key_bits": 256, "no_store": True, **case.template}
        status, answer = self._send("pki/roles/soak", role)
        if status >= 400:
            return self._refusal(answer)
        request = dict(case.request)
        for name in ("alt_names", "ip_sans", "uri_sans", "other_sans"):
            if name in request:
                request[name] = ",".join(request[name])
        word = "issue"
        if "csr" in request:
            request["csr"] = csr_pem(request["csr"])
            word = "sign"
        status, answer = self._send(f"pki/{word}/soak", request)
        if status >= 400:
            return self._refusal(answer)
        return _read_outcome(answer["data"]["certificate"])

    def _refusal(self, answer: Any) -> Outcome:
        return Outcome(allowed=False, causes=(Cause(rule="peer", value="", message="; ".join(answer["errors"])),))

    def _is_up(self) -> bool:
        return self._client.send("GET", "/v1/sys/mounts", headers=_HEADERS).status == 200

    def _expect(self, path: str, body: dict[str, Any]) -> None:
        status, answer = self._send(path, body)
        if status >= 300:
            raise RuntimeError(f"OpenBao answered {path} with {status}: {answer}")

    def _send(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        answer = self._client.send("POST", f"/v1/{path}", headers=_HEADERS, body=json.dumps(body))
        if answer.status >= 500:
            raise RuntimeError(f"OpenBao answered {path} with {answer.status}: {answer.body[:500]!r} to {body}")
        return answer.status, answer.json() if answer.body else {}


def _read_outcome(pem: str) -> Outcome:
    certificate = x509.load_pem_x509_certificate(pem.encode())
    try:
        listed = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        listed = []
    # Roles back-date by 30 seconds, as templates do. The peer looks at the clock twice, so that a second may be lost.
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc - timedelta(seconds=30)
    return Outcome(
        allowed=True,
        common_name=find_common_name(certificate.subject),
        alt_names=list_alt_names(listed),
        life=round(life.total_seconds() / 60) * 60,
    )


@contextmanager
def peer() -> Iterator[Peer]:
    """Lend an OpenBao."""
    with tempfile.TemporaryDirectory() as folder:
        started = Peer(Path(folder))
        try:
            started.prepare()
            yield started
        finally:
            started.close()


@dataclass
class Totals:
    """What the whole run did and found.

    Attributes:
        meant: reasons of the differences that are meant, and how often each was met.
        failures: cases with another difference, both outcomes in words.
    """

    cases: int = 0
    allowed: int = 0
    refused: int = 0
    differing: int = 0
    seconds: float = 0.0
    meant: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def compare(cases: int, *, seed: int, recorded: list[dict[str, Any]] | None = None) -> Totals:
    """Compare generated cases with a peer.

    Args:
        cases: how many.
        seed: the same seed makes the same cases.
        recorded: takes the cases and the peer's outcomes.
    """
    generator, totals = Generator(seed), Totals()
    started = time.monotonic()
    with peer() as other:
        for _ in range(cases):
            case = generator.case()
            ours, theirs = judge(case), other.judge(case)
            softened = theirs if is_same(ours, theirs) else other.judge(soften(case)[0])
            count(totals, case, ours, theirs, softened)
            if recorded is not None:
                recorded.append(record(case, theirs, softened))
    totals.seconds = time.monotonic() - started
    return totals


def count(totals: Totals, case: Case, ours: Outcome, theirs: Outcome, softened: Outcome) -> None:
    """Add one case to the totals."""
    totals.cases += 1
    totals.allowed += ours.allowed and theirs.allowed
    totals.refused += not ours.allowed and not theirs.allowed
    if is_same(ours, theirs):
        return
    totals.differing += 1
    reasons = explain(case, ours, theirs, softened)
    for reason in reasons:
        totals.meant[reason] = totals.meant.get(reason, 0) + 1
    if not reasons:
        totals.failures.append(f"{case}\n  here:  {ours} {ours.causes}\n  there: {theirs} {theirs.causes}")


def record(case: Case, theirs: Outcome, softened: Outcome) -> dict[str, Any]:
    """Return a case and the peer's outcomes as they are kept."""
    kept: dict[str, Any] = {"template": case.template, "request": case.request, "peer": theirs.as_json()}
    if softened != theirs:
        kept["softened"] = softened.as_json()
    return kept


def replay(recorded: list[dict[str, Any]]) -> Totals:
    """Compare recorded cases with the outcomes that the peer gave them."""
    totals = Totals()
    for kept in recorded:
        case = Case(template=kept["template"], request=kept["request"])
        theirs = Outcome.from_json(kept["peer"])
        softened = Outcome.from_json(kept["softened"]) if "softened" in kept else theirs
        count(totals, case, judge(case), theirs, softened)
    return totals


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--record", action="store_true", help=f"keep the cases in {RECORD.name}")
    options = parser.parse_args()
    recorded: list[dict[str, Any]] = []
    totals = compare(options.cases, seed=options.seed, recorded=recorded)
    if options.record:
        lines = ",\n".join(json.dumps(kept, separators=(",", ":")) for kept in recorded)
        RECORD.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(json.dumps({"seed": options.seed, **asdict(totals)}, indent=2))  # noqa: T201  (its whole output)
    return 1 if totals.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
