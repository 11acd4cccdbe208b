"""The server's certificate: its names, its renewal, files that do not fit, and the operator's own."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.runtime.bootstrap import OpenStore, open_store
from strongroom.runtime.data_dir import DataDir
from strongroom.runtime.settings import load_settings
from strongroom.runtime.tls import ServerTls, ensure_server_certificate, server_names
from tests.factories.certificates import make_leaf


class Place:
    """A data directory with an open store, and the TLS of a server on it."""

    def __init__(self, directory: DataDir, store: OpenStore, clock: FrozenClock) -> None:
        self.directory = directory
        self.store = store
        self.clock = clock

    def ensure(self, **more: object) -> bool:
        settings = load_settings({"data_dir": self.directory.path, **more})
        return ensure_server_certificate(
            settings, self.directory, self.store.keys, self.store.instance, self.clock.now()
        )

    def tls(self, **more: object) -> ServerTls:
        settings = load_settings({"data_dir": self.directory.path, **more})
        return ServerTls(settings, self.directory, self.store.keys, self.store.instance, self.clock)

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.directory.tls / "server.pem").read_bytes())

    def names(self) -> set[str]:
        sans = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return {str(name.value) for name in sans}


@pytest.fixture
def place(data_dir: Path, clock: FrozenClock) -> Iterator[Place]:
    with DataDir(data_dir) as directory:
        store = open_store(load_settings({"data_dir": data_dir}), directory, clock)
        try:
            yield Place(directory, store, clock)
        finally:
            store.storage.close()


def served(tls: ServerTls) -> x509.Certificate:
    """Return the certificate that the context gives to a client."""
    ours, theirs = socket.socketpair()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE

    def answer() -> None:
        with suppress(OSError), tls.context.wrap_socket(theirs, server_side=True):
            pass

    thread = threading.Thread(target=answer)
    thread.start()
    with client.wrap_socket(ours) as connection:
        der = connection.getpeercert(binary_form=True)
    thread.join()
    assert der is not None
    return x509.load_der_x509_certificate(der)


def test_the_first_certificate_has_every_name_and_lasts_a_year(place: Place) -> None:
    assert place.ensure(listen="192.0.2.9:8443", public_url="https://Strongroom.example.com")
    service = f"{place.store.instance.id}.local.secrets-manager.appdomain.cloud"
    assert place.names() >= {
        "localhost",
        "127.0.0.1",
        "::1",
        "192.0.2.9",
        "strongroom.example.com",
        service,
        service.replace(".local.", ".private.local."),
    }
    assert place.certificate.not_valid_after_utc - place.clock.now() > timedelta(days=390)
    place.certificate.verify_directly_issued_by(place.store.keys.ca_certificate)
    assert (place.directory.tls / "ca.pem").read_bytes() == place.store.keys.ca_pem


def test_its_key_is_on_disk_encrypted_only(place: Place) -> None:
    place.ensure()
    file = place.directory.tls / "server-key.pem"
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((place.directory.tls / "server.pem").stat().st_mode) == 0o644


def test_nothing_is_made_again_while_it_fits(place: Place) -> None:
    wishes = {"listen": "[0:0:0:0:0:0:0:1]:8443", "public_url": "https://STRONGROOM.example.com"}
    assert place.ensure(**wishes)
    assert not place.ensure(**wishes)


@pytest.mark.parametrize(("days", "again"), [(366, False), (368, True), (500, True)])
def test_it_is_renewed_thirty_days_before_its_end(place: Place, days: int, *, again: bool) -> None:
    place.ensure()
    place.clock.advance(timedelta(days=days))
    assert place.ensure() is again


def test_it_is_made_again_when_names_are_missing(place: Place) -> None:
    place.ensure()
    assert place.ensure(public_url="https://other.example.com")
    assert "other.example.com" in place.names()


def test_fewer_names_are_no_reason(place: Place) -> None:
    place.ensure(public_url="https://other.example.com")
    assert not place.ensure()


@pytest.mark.parametrize("called", ["under_score", "x" * 70, "höst.example.com", "spaces in it", "-"])
def test_a_host_may_be_called_anything(place: Place, monkeypatch: pytest.MonkeyPatch, called: str) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: called)
    assert place.ensure()
    assert not place.ensure()


@pytest.mark.parametrize(
    "content", [b"", b"no PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", bytes(range(256))]
)
@pytest.mark.parametrize("file", ["server-key.pem", "server.pem", "ca.pem"])
def test_broken_files_are_made_again(place: Place, file: str, content: bytes) -> None:
    place.ensure()
    (place.directory.tls / file).write_bytes(content)
    place.ensure()
    assert (place.directory.tls / "ca.pem").read_bytes() == place.store.keys.ca_pem
    assert served(place.tls()) == place.certificate


def test_a_missing_file_is_made_again(place: Place) -> None:
    place.ensure()
    (place.directory.tls / "server.pem").unlink()
    place.ensure()
    assert place.certificate == served(place.tls())


def test_a_certificate_without_names_is_replaced(place: Place) -> None:
    place.ensure()
    (place.directory.tls / "server-key.pem").write_text(make_leaf(9, now=place.clock.now()).pem)
    assert place.ensure()


def test_files_of_another_instance_are_replaced(place: Place, tmp_path: Path, clock: FrozenClock) -> None:
    # Its authority has the same name, as after a restore beside old files.
    with DataDir(tmp_path / "other") as directory:
        store = open_store(load_settings({"data_dir": directory.path}), directory, clock)
        other = Place(directory, store, clock)
        other.ensure()
        store.storage.close()
    for name in ("server-key.pem", "server.pem", "ca.pem"):
        (place.directory.tls / name).write_bytes((other.directory.tls / name).read_bytes())
    assert place.ensure()
    place.certificate.verify_directly_issued_by(place.store.keys.ca_certificate)
    assert (place.directory.tls / "ca.pem").read_bytes() == place.store.keys.ca_pem


def test_a_certificate_without_its_key_is_replaced(place: Place) -> None:
    place.ensure()
    file = place.directory.tls / "server-key.pem"
    file.write_bytes((place.directory.tls / "server.pem").read_bytes())
    assert place.ensure()


def test_plain_http_needs_no_certificate(place: Place) -> None:
    assert not place.ensure(http=True)
    assert not (place.directory.tls / "server.pem").exists()


def test_a_running_server_renews_and_serves_the_new_one(place: Place) -> None:
    tls = place.tls()
    before = served(tls)
    tls.run()
    assert served(tls) == before
    place.clock.advance(timedelta(days=380))
    tls.run()
    assert served(tls) == place.certificate != before


def test_nothing_older_than_tls_1_2_is_spoken(place: Place) -> None:
    tls = place.tls()
    assert tls.context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert not tls.context.options & ssl.OP_NO_TLSv1_3


# --- the operator's files


class Own:
    """An operator's two files."""

    def __init__(self, folder: Path, clock: FrozenClock) -> None:
        self.cert, self.key = folder / "cert.pem", folder / "key.pem"
        self.clock = clock

    @property
    def settings(self) -> dict[str, object]:
        return {"tls_cert_file": self.cert, "tls_key_file": self.key}

    def install(self, days: int) -> x509.Certificate:
        leaf = make_leaf(days, now=self.clock.now(), names=("localhost",))
        self.cert.write_text(leaf.pem)
        self.key.write_text(leaf.key_pem)
        return leaf.certificate


@pytest.fixture
def own(tmp_path: Path, clock: FrozenClock) -> Own:
    return Own(tmp_path, clock)


def test_the_operators_certificate_is_used(place: Place, own: Own) -> None:
    certificate = own.install(9)
    assert served(place.tls(**own.settings)) == certificate
    assert not (place.directory.tls / "server.pem").exists()


def test_files_that_do_not_fit_are_refused_at_start(place: Place, own: Own) -> None:
    own.install(9)
    own.key.write_text(make_leaf(9, now=own.clock.now()).key_pem)
    with pytest.raises(Invalid, match="belong together") as caught:
        place.tls(**own.settings)
    assert caught.value.code is ErrorCode.SETTINGS_INVALID
    assert str(own.cert) in (caught.value.hint or "")


@pytest.mark.parametrize("missing", ["cert", "key"])
def test_a_missing_file_is_refused_at_start(place: Place, own: Own, missing: str) -> None:
    own.install(9)
    getattr(own, missing).unlink()
    with pytest.raises(Invalid) as caught:
        place.tls(**own.settings)
    assert f"{missing}.pem: No such file or directory" in (caught.value.hint or "")


def test_an_encrypted_key_is_refused_and_nobody_is_asked(place: Place, own: Own) -> None:
    place.ensure()
    own.install(9)
    own.key.write_bytes((place.directory.tls / "server-key.pem").read_bytes())
    with pytest.raises(Invalid, match="unencrypted"):
        place.tls(**own.settings)


def test_changed_files_are_taken_over(place: Place, own: Own) -> None:
    own.install(9)
    tls = place.tls(**own.settings)
    certificate = own.install(20)
    tls.run()
    assert served(tls) == certificate


def test_changed_files_that_do_not_fit_leave_the_old_in_use(place: Place, own: Own) -> None:
    before = own.install(9)
    tls = place.tls(**own.settings)
    own.cert.write_text(make_leaf(20, now=own.clock.now()).pem)
    for _ in range(2):
        with pytest.raises(Invalid):
            tls.run()
        assert served(tls) == before
    own.key.unlink()
    with pytest.raises(Invalid):
        tls.run()
    assert served(tls) == before
    after = own.install(30)
    tls.run()
    assert served(tls) == after


def test_names_are_told_once_each(place: Place) -> None:
    settings = load_settings({"listen": "localhost:8443", "public_url": "https://localhost:8443"})
    names = server_names(settings, place.store.instance)
    assert len(names) == len(set(names))
    assert names[0] == "localhost"


def test_servers_that_start_at_the_same_moment_share_one_certificate(place: Place) -> None:
    with ThreadPoolExecutor(8) as threads:
        started = list(threads.map(lambda _: (place.ensure(), place.tls()), range(24)))

    assert sum(made for made, _ in started) <= 1
    assert len(started) == 24
