"""The server's TLS: a certificate from the bootstrap CA, or the operator's; both are re-read when they change."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.ids import Instance
from strongroom.pki.bootstrap import issue_server_certificate
from strongroom.pki.keys import KeySpec, generate_private_key
from strongroom.pki.names import NameProblem, check_host
from strongroom.runtime.data_dir import DataDir, write_private
from strongroom.runtime.server_keys import ServerKeys
from strongroom.runtime.settings import Settings

_LIFE: Final = timedelta(days=397)
_RENEW_BEFORE: Final = timedelta(days=30)


def server_names(settings: Settings, instance: Instance) -> list[str]:
    """Return the names the server's own certificate is for.

    Among them are those that clients of the reference service build from instance id and region.
    """
    service = f"{settings.region}.secrets-manager.appdomain.cloud"
    names = ["localhost", "127.0.0.1", "::1", f"{instance.id}.{service}", f"{instance.id}.private.{service}"]
    if settings.host not in ("0.0.0.0", "::"):  # noqa: S104  (compared, not bound)
        names.append(settings.host)
    names.append(urlsplit(settings.public_url or "").hostname or "localhost")
    names.append(socket.gethostname())
    return list(dict.fromkeys(name for name in map(_certifiable, names) if name is not None))


def _certifiable(name: str) -> str | None:
    """Return the name as a certificate has it, or ``None`` if it can have none: a host may be called anything."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return check_host(name)
    except NameProblem:
        return None


def ensure_server_certificate(
    settings: Settings, directory: DataDir, keys: ServerKeys, instance: Instance, now: datetime
) -> bool:
    """Make the server's own certificate if there is none that fits and lasts; return whether it changed.

    The key's file is encrypted under a password that lies sealed in the store.
    """
    with _alone(directory):
        _keep(directory.tls / "ca.pem", keys.ca_pem)
        if settings.tls_cert_file is not None or settings.http:
            return False
        return _ensure(directory, keys, server_names(settings, instance), now)


@contextmanager
def _alone(directory: DataDir) -> Iterator[None]:
    """Keep the other workers out: they share the files, start at the same moment and renew at the same moment."""
    lock = os.open(directory.tls / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _ensure(directory: DataDir, keys: ServerKeys, names: list[str], now: datetime) -> bool:
    both, shown = directory.tls / "server-key.pem", directory.tls / "server.pem"
    found = _still_good(both, names, keys, now)
    if found is not None:
        _keep(shown, found.public_bytes(Encoding.PEM))
        return False
    key = generate_private_key(KeySpec(kind="ec", bits=256))
    certificate = issue_server_certificate(keys.ca_certificate, keys.ca_key, key, names, now, _LIFE)
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(keys.tls_password))
    # One file for both: a crash cannot leave a certificate beside the key of another.
    write_private(both, encrypted + certificate.public_bytes(Encoding.PEM))
    _keep(shown, certificate.public_bytes(Encoding.PEM))
    return True


def _keep(path: Path, content: bytes) -> None:
    """Have a public file hold this, whatever is there."""
    try:
        if path.read_bytes() == content:
            return
    except OSError:
        # Missing, or nothing that can be read: writing it says what is wrong.
        pass
    write_private(path, content, mode=0o644)


def _still_good(path: Path, names: list[str], keys: ServerKeys, now: datetime) -> x509.Certificate | None:
    """Return the certificate of the file if it is ours, has its key, has all names and lasts."""
    try:
        content = path.read_bytes()
        found = x509.load_pem_x509_certificate(content)
        # Every instance's authority has the same name: after a restore only the signature tells them apart.
        found.verify_directly_issued_by(keys.ca_certificate)
        key = load_pem_private_key(content, keys.tls_password)
        sans = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return None
    known = {str(name) for name in sans.get_values_for_type(x509.DNSName)}
    known |= {str(address) for address in sans.get_values_for_type(x509.IPAddress)}
    lasts = found.not_valid_before_utc <= now and now + _RENEW_BEFORE < found.not_valid_after_utc
    return found if lasts and set(names) <= known and key.public_key() == found.public_key() else None


class ServerTls:
    """The context that the listener uses, kept current without a restart."""

    every: Final = timedelta(seconds=5)

    def __init__(
        self, settings: Settings, directory: DataDir, keys: ServerKeys, instance: Instance, clock: Clock
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._keys = keys
        self._instance = instance
        self._clock = clock
        own = settings.tls_cert_file is None
        self._certificate = settings.tls_cert_file or directory.tls / "server-key.pem"
        self._key = settings.tls_key_file or directory.tls / "server-key.pem"
        self._password = keys.tls_password if own else None
        self._own = own
        if own:
            ensure_server_certificate(settings, directory, keys, instance, clock.now())
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self._seen = self._stamp()
        self._load(self.context)

    def run(self) -> None:
        """Renew the own certificate in time, and load files that have changed.

        Raises:
            Invalid: the changed files do not fit together; the old ones stay in use.
        """
        if self._own:
            ensure_server_certificate(self._settings, self._directory, self._keys, self._instance, self._clock.now())
        stamp = self._stamp()
        if stamp == self._seen:
            return
        # Tried on a context of its own first: a certificate without its key would leave the listener half changed.
        self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        self._load(self.context)
        self._seen = stamp

    def _load(self, context: ssl.SSLContext) -> None:
        # OpenSSL opens the file twice, for the certificate and for the key.
        with _alone(self._directory) if self._own else nullcontext():
            self._load_files(context)

    def _load_files(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self._certificate, self._key, password=self._password or _no_password)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise _unusable(self._certificate, self._key, str(error)) from error

    def _stamp(self) -> tuple[tuple[int, int, int], ...]:
        found = []
        for path in (self._certificate, self._key):
            try:
                status = path.stat()
            except OSError as error:
                raise _unusable(self._certificate, self._key, f"{path.name}: {error.strerror}") from error
            found.append((status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(found)


def _unusable(certificate: Path, key: Path, reason: str) -> Invalid:
    return Invalid(
        ErrorCode.SETTINGS_INVALID,
        "The TLS certificate and key cannot be used: both must be PEM files that belong together, the key unencrypted.",
        field="tls_cert_file",
        hint=f"Look at {certificate} and {key} ({reason}).",
    )


def _no_password() -> str:
    # Without this, OpenSSL would ask for the password of an encrypted key on the terminal.
    message = "the key is encrypted"
    raise ValueError(message)
