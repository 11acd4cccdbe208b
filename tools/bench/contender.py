"""What a server looks like to the benchmark, whichever it is."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tools.bench.load import Plan
from tools.bench.processes import ServerProcess
from tools.bench.wire import Answer

SECRETS = 100
PAYLOAD_CHARACTERS = 4096
REVOCATIONS = 400
"""Certificates that are issued to be revoked."""
START_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One kind of request on one server, and how to tell that the server does what is asked."""

    plan: Plan
    check: Callable[[Answer], None]
    """Looks at one answer before the load starts; raises `UnexpectedAnswerError`."""
    read_back: Callable[[str], None] | None = None
    """Reads what the request with this counter stored, after the load; raises `UnexpectedAnswerError`."""


class Contender(Protocol):
    """One server under test.

    `start` is called first and once; it makes a new server in an empty folder with `SECRETS` secrets in it.
    `restart` stops it and starts it again on what it has. `close` stops it whatever happened before, even when
    `start` failed half way, and may be called twice.
    """

    label: str
    workloads: Mapping[str, Callable[[], Workload]]
    """By name; two servers' workloads of one name are compared. Each is prepared when it is asked for."""

    @property
    def version(self) -> str:
        """Name the program and its version."""
        ...

    @property
    def server(self) -> ServerProcess:
        """Return the running process."""
        ...

    def start(self) -> float:
        """Make the server; return the seconds to the first authorised answer, before any secret was stored."""
        ...

    def restart(self) -> float:
        """Start it again; return the seconds to the first authorised answer."""
        ...

    def close(self) -> None:
        """Stop the server."""
        ...


class OwnContender(Contender, Protocol):
    """Our own server, which some measurements need to do more for them."""

    def wait_for_keys(self) -> int:
        """Wait until all RSA keys are there that are made ahead; return how many."""
        ...

    def take_keys(self, tag: str) -> None:
        """Use up the RSA keys that are there, so that others are made."""
        ...

    def add_revoked(self, count: int) -> None:
        """Stop, store so many revoked certificates of the EC authority, and start again."""
        ...

    def renew_list(self) -> float:
        """Revoke a certificate of the EC authority and fetch its list; return the seconds that fetching took."""
        ...


def payload(number: int) -> str:
    """Return the text of a secret: 4 KB that do not compress, the same for both servers."""
    return base64.b64encode(random.Random(number).randbytes(PAYLOAD_CHARACTERS * 3 // 4)).decode()  # noqa: S311 (no secret)


def environment(folder: Path) -> dict[str, str]:
    """Return what a server finds in its environment: nothing of the caller's.

    The byte code of Python modules is kept beside the data, as an installed package has it; where the environment of
    development forbids that, each start would compile everything again.
    """
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONPYCACHEPREFIX": str(folder / "pycache"),
    }
