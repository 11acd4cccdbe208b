"""A real DNS server, BIND 9, on loopback: resolver and authority at once, changed by signed updates.

It holds the root, so that every name has an answer and nothing is asked outside. Run as root it becomes another user,
in a folder of its own that this user can reach.
"""

from __future__ import annotations

import base64
import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update
import dns.zone
import pytest

from tests.peers.needs import require

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
START_TRIES = 5
ASK_TIMEOUT_S = 5.0
PROBE = "_strongroom-probe-"
CHALLENGE = "_acme-challenge"
ZONES: Mapping[str, Sequence[str]] = {
    "example.com": (
        "@ NS ns1",
        "ns1 A 127.0.0.1",
        "ns2 AAAA ::1",
        "ns3 A 127.0.0.1",
        "@ A 127.0.0.1",
        "www A 127.0.0.1",
    ),
    "example.org": ("@ NS ns1.example.com.", "@ A 127.0.0.1"),
    "example.net": (
        "@ NS ns1.example.com.",
        "acme NS ns1.example.com.",
        "twins NS ns1.example.com.",
        "twins NS ns2.example.com.",
        "elsewhere NS ns1.elsewhere",
        "ns1.elsewhere A 192.0.2.53",
    ),
    "acme.example.net": ("@ NS ns1.example.com.",),
    "twins.example.net": ("@ NS ns1.example.com.", "@ NS ns2.example.com."),
}
"""Zones that the key may change, with their first records.

``acme.example.net`` is what other names are delegated to, ``twins.example.net`` has the second server of
`BindSecondary`, ``elsewhere.example.net`` is not served here.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key for signed updates.

    Attributes:
        secret: base64, as settings have it.
    """

    name: str
    algorithm: str = "hmac-sha256"
    secret: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(32)).decode(), repr=False)

    def for_library(self) -> dns.tsig.Key:
        return dns.tsig.Key(self.name, self.secret, self.algorithm)

    def statement(self) -> str:
        return f'key "{self.name}" {{ algorithm {self.algorithm}; secret "{self.secret}"; }};'


class BindProcess:
    """One ``named`` in a folder of its own.

    Args:
        program: ``named``.
        address: of loopback, to listen on.
    """

    FLAGS = 0
    """Of questions: authorities are not asked to look elsewhere."""

    def __init__(self, program: Path, address: str) -> None:
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._as_user = _other_user()
        self.address = address
        self.port = 0
        self.folder = Path(tempfile.mkdtemp(prefix="strongroom-bind-"))
        self.log = self.folder / "log"

    @property
    def resolver(self) -> str:
        """Return the address as the setting ``dns_resolvers`` has it."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    def start(self) -> None:
        """Start, on the port it had before or a free one, and wait until it answers."""
        known = self.port
        for _ in range(START_TRIES):
            self.port = known or _free_port(self.address)
            self._write(self.folder / "named.conf", self._configuration())
            if self._try_start():
                return
        message = f"BIND does not start: {self.log.read_text(encoding='utf-8', errors='replace')[-2000:]}"
        raise RuntimeError(message)

    def stop(self) -> None:
        """Stop; what it was told is on disk."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Be away for a while."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def close(self) -> None:
        """Stop and remove everything."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, name: str, record_type: str) -> dns.message.Message:
        """Ask it, over TCP."""
        question = dns.message.make_query(name, record_type, flags=self.FLAGS)
        return dns.query.tcp(question, self.address, ASK_TIMEOUT_S, self.port)

    def txt(self, name: str) -> list[str]:
        """Return the values of the TXT records of a name, sorted."""
        found = self.ask(name, "TXT").answer
        wanted = dns.rdatatype.TXT
        return sorted(_joined(record) for rrset in found if rrset.rdtype == wanted for record in rrset)

    def serial(self, zone: str) -> int | None:
        """Return the serial number of a zone, ``None`` if it does not hold it."""
        return next((record.serial for rrset in self.ask(zone, "SOA").answer for record in rrset), None)

    def _configuration(self) -> str:
        raise NotImplementedError

    def _ready_zone(self) -> str:
        raise NotImplementedError

    def _options(self, *more: str) -> str:
        family, other = ("listen-on-v6", "listen-on") if ":" in self.address else ("listen-on", "listen-on-v6")
        lines = [
            f'directory "{self.folder}";',
            f"{family} port {self.port} {{ {self.address}; }};",
            f"{other} {{ none; }};",
            f'pid-file "{self.folder}/pid"; session-keyfile "{self.folder}/session.key";',
            "dnssec-validation no; notify no; recursion no; allow-transfer { any; };",
            *more,
        ]
        return "options {\n  " + "\n  ".join(lines) + "\n};\ncontrols { };\n"

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text, encoding="ascii")
        path.chmod(0o600)
        if self._as_user:
            for place in (self.folder, path):
                shutil.chown(place, self._as_user["user"], self._as_user["group"])

    def _try_start(self) -> bool:
        command = [str(self._program), "-g", "-n", "1", "-c", str(self.folder / "named.conf")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, **self._as_user
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                # Most likely somebody took the port between looking and starting.
                self._process = None
                return False
            with contextlib.suppress(OSError, EOFError, dns.exception.DNSException):
                question = dns.message.make_query(self._ready_zone(), "SOA", flags=self.FLAGS)
                over_udp = dns.query.udp(question, self.address, 1, self.port)
                if over_udp.answer and self.ask(self._ready_zone(), "SOA").answer:
                    return True
            time.sleep(0.05)
        self.stop()
        return False


class BindServer(BindProcess):
    """The primary server of `ZONES`.

    Attributes:
        key: may add and remove TXT records.
        stranger: is known, and may change nothing.
        narrow: may change ``_acme-challenge.narrow`` of each zone, and nothing else.
    """

    def __init__(self, program: Path, zones: Mapping[str, Sequence[str]] = ZONES, *, key: Key | None = None) -> None:
        super().__init__(program, "127.0.0.1")
        self.zones = tuple(zones)
        self.key = key or Key(name="strongroom-orders")
        self.stranger = Key(name="strongroom-stranger")
        self.narrow = Key(name="strongroom-narrow")
        self._keeper = Key(name="tests-keeper")
        self._refuses = False
        try:
            for zone, records in {".": ["@ NS localhost", "localhost A 127.0.0.1"], **zones}.items():
                self._write_zone(zone, records)
            self.start()
        except BaseException:
            self.close()
            raise

    def all_challenge_records(self) -> list[tuple[str, str]]:
        """Return name and value of every TXT record of a challenge or a probe that any zone holds."""
        return sorted(
            (f"{name}.{zone}", _joined(record))
            for zone in self.zones
            for name, _, record in self._transfer(zone).iterate_rdatas("TXT")
            if str(name).startswith((CHALLENGE, PROBE))
        )

    def add_txt(self, name: str, value: str) -> None:
        """Add a TXT record by hand."""
        self._change(name, lambda update, owner: update.add(owner, 120, "TXT", f'"{value}"'))

    def add_cname(self, name: str, target: str) -> None:
        """Put a CNAME record in place of what a name holds."""
        self._change(name, lambda update, owner: update.replace(owner, 5, "CNAME", f"{target.rstrip('.')}."))

    def remove(self, name: str) -> None:
        """Remove every record of a name."""
        self._change(name, lambda update, owner: update.delete(owner))

    def bump(self, zone: str) -> None:
        """Give a zone a new serial number without a change that matters."""
        self.add_txt(f"bumped-{secrets.token_hex(4)}.{zone}", "bumped")

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """Refuse updates with the key for a while; it starts anew for that."""
        self._refuses = True
        try:
            self._restart()
            yield
        finally:
            self._refuses = False
            self._restart()

    def _restart(self) -> None:
        self.stop()
        self.start()

    def _change(self, name: str, change: Any) -> None:
        owner = dns.name.from_text(name)
        zone = max((zone for zone in self.zones if owner.is_subdomain(dns.name.from_text(zone))), key=len)
        update = dns.update.UpdateMessage(zone, keyring=self._keeper.for_library())
        change(update, owner)
        answer = dns.query.tcp(update, self.address, ASK_TIMEOUT_S, self.port)
        assert answer.rcode() == dns.rcode.NOERROR, dns.rcode.to_text(answer.rcode())

    def _transfer(self, zone: str) -> dns.zone.Zone:
        found = dns.zone.Zone(zone)
        dns.query.inbound_xfr(self.address, found, port=self.port, timeout=ASK_TIMEOUT_S)
        return found

    def _configuration(self) -> str:
        grant = "" if self._refuses else f'grant "{self.key.name}" zonesub TXT;'
        keys = [key.statement() for key in (self.key, self.stranger, self.narrow, self._keeper)]
        zones = []
        for zone in self.zones:
            narrow = f'grant "{self.narrow.name}" name {CHALLENGE}.narrow.{zone}. TXT;'
            policy = f'update-policy {{ {grant} {narrow} grant "{self._keeper.name}" zonesub ANY; }};'
            zones.append(f'zone "{zone}" {{ type primary; file "{zone}.zone"; {policy} }};')
        root = 'zone "." { type primary; file "root.zone"; };'
        return "\n".join([self._options(), *keys, root, *zones, ""])

    def _ready_zone(self) -> str:
        return self.zones[-1]

    def _write_zone(self, zone: str, records: Sequence[str]) -> None:
        soa = "@ SOA ns1.example.com. hostmaster.example.com. 1 3600 600 86400 1"
        lines = ["$TTL 5", f"$ORIGIN {zone.rstrip('.')}.", soa, *records, ""]
        self._write(self.folder / f"{'root' if zone == '.' else zone}.zone", "\n".join(lines))


class BindSecondary(BindProcess):
    """A second server of ``twins.example.net``, which takes changes over only when it is told to."""

    ZONE = "twins.example.net"

    def __init__(self, program: Path, primary: BindServer) -> None:
        super().__init__(program, "::1")
        self._primary = primary
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def catch_up(self) -> None:
        """Take over what the primary server has."""
        wanted = self._primary.serial(self.ZONE)
        notice = dns.message.make_query(self.ZONE, "SOA", flags=dns.flags.AA)
        notice.set_opcode(dns.opcode.NOTIFY)
        dns.query.tcp(notice, self.address, ASK_TIMEOUT_S, self.port)
        deadline = time.monotonic() + START_TIMEOUT_S
        while self.serial(self.ZONE) != wanted:
            if time.monotonic() > deadline:
                message = "the secondary DNS server does not catch up"
                raise RuntimeError(message)
            time.sleep(0.05)

    def _configuration(self) -> str:
        primaries = f"primaries {{ {self._primary.address} port {self._primary.port}; }};"
        zone = f'zone "{self.ZONE}" {{ type secondary; {primaries} allow-notify {{ ::1; }}; }};'
        return f"{self._options()}\n{zone}\n"

    def _ready_zone(self) -> str:
        return self.ZONE


class BindResolver(BindProcess):
    """A resolver before the authority: it follows aliases from one zone into another, and remembers nothing."""

    FLAGS = dns.flags.RD

    def __init__(self, program: Path, authority: BindServer) -> None:
        super().__init__(program, "127.0.0.1")
        self._authority = authority
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def _configuration(self) -> str:
        forwarder = f"{self._authority.address} port {self._authority.port}"
        options = self._options(
            f"forward only; forwarders {{ {forwarder}; }};",
            "max-cache-ttl 0; max-ncache-ttl 0; servfail-ttl 0; qname-minimization off;",
        )
        return options.replace("recursion no;", "recursion yes;")

    def _ready_zone(self) -> str:
        return self._authority.zones[-1]


def _joined(record: Any) -> str:
    return b"".join(record.strings).decode()


def _other_user() -> Mapping[str, Any]:
    """Return the arguments that make a process another user's, for root only."""
    if os.geteuid() != 0:
        return {}
    for name in ("bind", "named", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    return {}


def _free_port(address: str) -> int:
    """Return a port that is free for TCP and UDP."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    while True:
        with (
            contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as stream,
            contextlib.closing(socket.socket(family, socket.SOCK_DGRAM)) as datagrams,
        ):
            stream.bind((address, 0))
            port: int = stream.getsockname()[1]
            with contextlib.suppress(OSError):
                datagrams.bind((address, port))
                return port


@pytest.fixture(scope="session")
def bind() -> Iterator[BindServer]:
    """Give one DNS server to all tests of a worker; names are to be a test's own."""
    server = BindServer(require("bind9"))
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def bind_secondary(bind: BindServer) -> Iterator[BindSecondary]:
    """Give a second server of ``twins.example.net``."""
    server = BindSecondary(require("bind9"), bind)
    try:
        yield server
    finally:
        server.close()
