"""The server's TLS: a certificate from the bootstrap CA, or the operator's; both are re-read when they change."""

from __future__ import annotations

import socket
import ssl
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.ids import Instance
from strongroom.pki.bootstrap import issue_server_certificate
from strongroom.pki.keys import KeySpec, generate_private_key
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
    public = urlsplit(settings.public_url or "").hostname
    names += [name for name in (public, socket.gethostname()) if name]
    return list(dict.fromkeys(names))


def ensure_server_certificate(
    settings: Settings, directory: DataDir, keys: ServerKeys, instance: Instance, now: datetime
) -> bool:
    """Make the server's own certificate if there is none that fits and lasts; return whether it changed.

    The key's file is encrypted under a password that lies sealed in the store.
    """
    directory.tls.mkdir(mode=0o755, exist_ok=True)
    if (directory.tls / "ca.pem").read_bytes() != keys.ca_pem if (directory.tls / "ca.pem").exists() else True:
        write_private(directory.tls / "ca.pem", keys.ca_pem, mode=0o644)
    if settings.tls_cert_file is not None or settings.http:
        return False
    names = server_names(settings, instance)
    if _still_good(directory.tls / "server.pem", directory.tls / "server-key.pem", names, keys, now):
        return False
    key = generate_private_key(KeySpec(kind="ec", bits=256))
    certificate = issue_server_certificate(keys.ca_certificate, keys.ca_key, key, names, now, _LIFE)
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(keys.tls_password))
    # One file for both: a crash cannot leave a certificate beside the key of another.
    write_private(directory.tls / "server-key.pem", encrypted + certificate.public_bytes(Encoding.PEM))
    write_private(directory.tls / "server.pem", certificate.public_bytes(Encoding.PEM), mode=0o644)
    return True


def _still_good(certificate: Path, key: Path, names: list[str], keys: ServerKeys, now: datetime) -> bool:
    if not certificate.exists() or not key.exists():
        return False
    try:
        found = x509.load_pem_x509_certificate(key.read_bytes())
    except ValueError:
        return False
    if found.public_bytes(Encoding.PEM) != certificate.read_bytes() or found.issuer != keys.ca_certificate.subject:
        return False
    sans = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    known = {str(name) for name in sans.get_values_for_type(x509.DNSName)}
    known |= {str(address) for address in sans.get_values_for_type(x509.IPAddress)}
    return found.not_valid_after_utc > now + _RENEW_BEFORE and set(names) <= known


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
        try:
            context.load_cert_chain(self._certificate, self._key, password=self._password or _no_password)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise Invalid(
                ErrorCode.SETTINGS_INVALID,
                "The TLS certificate and key files do not go together: they must be PEM and belong to each other.",
                hint=f"{self._certificate}, {self._key}: {error}",
            ) from error

    def _stamp(self) -> tuple[tuple[int, int, int], ...]:
        found = []
        for path in (self._certificate, self._key):
            status = path.stat()
            found.append((status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(found)


def _no_password() -> str:
    # Without this, OpenSSL would ask for the password of an encrypted key on the terminal.
    message = "the key is encrypted"
    raise ValueError(message)
