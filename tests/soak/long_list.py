"""An authority with many revoked certificates: what a revocation, the list and everything else beside it take."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from cryptography import x509

from strongroom.domain.authorities.model import Authority, Issued, IssuedKind
from strongroom.domain.configurations.model import ConfigKind
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.pki.crl import entry_der
from tests.api.authorities import FILES, REVOKE, SECRETS, create_certificate, make_tree
from tests.peers.in_process import InProcess

_BATCH: Final = 2000
_LIFE: Final = timedelta(days=30)
_LIST: Final = f"{FILES}/issuing/crl"
_LONG: Final = 1 << 152
"""Serial numbers as long as real ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Milliseconds.

    Attributes:
        revocation: of each request to revoke.
        list: of the request that had the list built anew.
        stall: longest that another thread was kept from running meanwhile.
        listed: entries of the list.
    """

    revocation: list[float]
    list: float
    stall: float
    listed: int

    @property
    def revocation_p99(self) -> float:
        """Return what all but one of a hundred revocations stayed below."""
        return statistics.quantiles(self.revocation, n=100)[-1]


def measure(server: InProcess, *, revoked: int, revocations: int) -> Times:
    """Fill the list of a new authority, revoke some more certificates, and fetch it."""
    make_tree(server, allow_any_name=True, lint_level="off")
    _fill(server, revoked)
    made = [create_certificate(server, f"certificate-{number}").json["id"] for number in range(revocations)]
    server.request("GET", _LIST, token=None)
    taken = []
    for secret_id in made:
        began = time.perf_counter()
        answer = server.request("POST", f"{SECRETS}/{secret_id}/actions", {"action_type": REVOKE})
        taken.append((time.perf_counter() - began) * 1e3)
        assert answer.status == 201, answer.raw
    with _watched() as stalls:
        began = time.perf_counter()
        der = server.request("GET", _LIST, token=None).raw
        built = (time.perf_counter() - began) * 1e3
    return Times(revocation=taken, list=built, stall=max(stalls) * 1e3, listed=len(x509.load_der_x509_crl(der)))


def _fill(server: InProcess, revoked: int) -> None:
    storage = server.container.services.storage
    now = server.clock.now()

    def look_up(unit: ReadUnit) -> Authority:
        found = unit.configurations.find(ConfigKind.PRIVATE_CA, "issuing")
        assert found is not None
        return unit.authorities.generations(found.id)[0]

    authority = storage.read(look_up)
    for start in range(0, revoked, _BATCH):

        def add(unit: Unit, start: int = start) -> None:
            for number in range(start + 1, min(start + _BATCH, revoked) + 1):
                serial = f"{_LONG + number:x}"
                unit.authorities.add_issued(
                    Issued(
                        configuration_id=authority.configuration_id,
                        authority_id=authority.id,
                        serial=serial,
                        kind=IssuedKind.LEAF,
                        not_after=now + _LIFE,
                        issued_at=now,
                    )
                )
                entry = entry_der(_LONG + number, now)
                assert unit.authorities.revoke(authority.configuration_id, serial, now, entry)

        storage.write(add)


@contextmanager
def _watched() -> Iterator[list[float]]:
    """Note how late a thread comes that asks for the processor every millisecond."""
    late: list[float] = [0.0]
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            began = time.perf_counter()
            time.sleep(0.001)
            late.append(time.perf_counter() - began - 0.001)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield late
    finally:
        stop.set()
        thread.join()
