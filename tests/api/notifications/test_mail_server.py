"""E-mail through a mail server that speaks TLS and wants a login: what it is told, and what is refused before."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from strongroom.domain.notifications.delivering import TRY_AGAIN
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.runtime import notices
from tests.api.notifications.sending import deliveries, destination, later
from tests.api.v2.sending import create, made
from tests.factories.certificates import Made
from tests.peers.in_process import InProcess, in_process
from tests.peers.loopback import private_ca, server_context
from tests.peers.sinks import SmtpSink, running_smtp_sink

USER, PASSWORD = "strongroom", "planted-password-0007"
STARTTLS, TLS = "starttls", "tls"


@pytest.fixture(scope="module")
def ca() -> Made:
    return private_ca()


class World:
    """A server with a mail server.

    Args:
        folder: empty.
        clock: of the server.
        prepared: data directory to copy.
        ca: in the setting ``smtp.ca_file``.
    """

    def __init__(self, folder: Path, clock: FrozenClock, prepared: Path, ca: Made) -> None:
        self.folder, self.clock, self.ca = folder, clock, ca
        self.password_file = folder / "password"
        self.ca_file = folder / "ca.pem"
        self.data_dir = folder / "server"
        shutil.copytree(prepared, self.data_dir)
        self.password_file.write_text(f"{PASSWORD}\n")
        self.ca_file.write_text(ca.pem)

    def context(self, *names: str, issuer: Made | None = None) -> ssl.SSLContext:
        return server_context(self.folder, *names, issuer=issuer or self.ca)

    @contextmanager
    def server(self, sink: SmtpSink, **changes: Any) -> Iterator[InProcess]:
        smtp = {
            "host": "127.0.0.1",
            "port": sink.port,
            "from": "strongroom@example.com",
            "username": USER,
            "password_file": str(self.password_file),
            "ca_file": str(self.ca_file),
            **changes,
        }
        given = {name: value for name, value in smtp.items() if value is not ...}
        with in_process(self.data_dir, self.clock, smtp=given) as server:
            yield server


@pytest.fixture
def world(tmp_path: Path, clock: FrozenClock, prepared_data_dir: Path, ca: Made) -> World:
    folder = tmp_path / "world"
    folder.mkdir()
    return World(folder, clock, prepared_data_dir, ca)


@pytest.fixture(params=[STARTTLS, TLS])
def security(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def on_port_of_tls(monkeypatch: pytest.MonkeyPatch, sink: SmtpSink, security: str) -> None:
    """Let the sink's port stand for 465, which tests may not open."""
    if security == TLS:
        monkeypatch.setattr(notices, "SMTPS_PORT", sink.port)


def tell(server: InProcess, address: str) -> dict[str, Any]:
    """Make an event and return the delivery that tells of it."""
    made(create(server, "kv", "told"))
    server.work()
    (delivery,) = deliveries(server, address)
    return delivery


def mail_destination(server: InProcess) -> str:
    return destination(server, type="email", url=..., recipients=["web@example.com"])


def test_mail_and_login_are_encrypted(world: World, security: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = SmtpSink(context=world.context("127.0.0.1"), is_tls=security == TLS, passwords={USER: PASSWORD})
    with running_smtp_sink(wanted) as sink:
        on_port_of_tls(monkeypatch, sink, security)
        with world.server(sink) as server:
            assert tell(server, mail_destination(server))["state"] == "delivered"

    (mail,) = sink.mails
    assert (mail.encrypted, mail.user) == (True, USER)
    assert mail.message["Subject"] == "Your 1 kv secret: created"
    assert sink.logins == [(USER, PASSWORD, True)]


@pytest.mark.parametrize("why", ["name", "issuer"])
def test_server_with_a_certificate_that_is_not_its_own_is_told_nothing(
    world: World, security: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = world.context("127.0.0.2", "mail.example.com") if why == "name" else None
    context = context or world.context("127.0.0.1", issuer=private_ca())
    wanted = SmtpSink(context=context, is_tls=security == TLS, passwords={USER: PASSWORD})
    with running_smtp_sink(wanted) as sink:
        on_port_of_tls(monkeypatch, sink, security)
        with world.server(sink) as server:
            delivery = tell(server, mail_destination(server))

    assert (delivery["state"], delivery["attempt"]) == ("retrying", 1)
    assert "certificate of 127.0.0.1 is not accepted" in delivery["message"]
    assert not sink.mails
    assert not sink.logins
    assert set(sink.commands) <= {"EHLO", "STAR"}


def test_server_without_the_setting_trusts_no_private_ca(world: World) -> None:
    wanted = SmtpSink(context=world.context("127.0.0.1"), passwords={USER: PASSWORD})
    with running_smtp_sink(wanted) as sink, world.server(sink, ca_file=...) as server:
        delivery = tell(server, mail_destination(server))

    assert delivery["state"] == "retrying"
    assert sink.logins == []


def test_nothing_is_said_where_starttls_was_cut_out(world: World) -> None:
    wanted = SmtpSink(context=world.context("127.0.0.1"), offers_starttls=False, passwords={USER: PASSWORD})
    with running_smtp_sink(wanted) as sink, world.server(sink) as server:
        delivery = tell(server, mail_destination(server))

    assert delivery["message"] == "The mail server 127.0.0.1 does not offer STARTTLS."
    assert delivery["state"] == "retrying"
    assert not sink.mails
    assert not sink.logins
    assert "AUTH" not in sink.commands
    assert "MAIL" not in sink.commands


def test_wrong_password_is_tried_again_and_shown_nowhere(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = SmtpSink(context=world.context("127.0.0.1"), passwords={USER: "another"})
    with running_smtp_sink(wanted) as sink, world.server(sink) as server:
        address = mail_destination(server)
        refused = tell(server, address)
        button = server.request("POST", f"{address}/test").json
        assert sink.mails == []
        sink.passwords[USER] = PASSWORD
        later(server, seconds=TRY_AGAIN[0].total_seconds() + 60)
        (delivered,) = deliveries(server, address)

    why = "The mail server 127.0.0.1 refused the user name or password (code 535)."
    assert (refused["state"], refused["attempt"], refused["message"]) == ("retrying", 1, why)
    assert button == {"success": False, "message": why}
    assert (delivered["state"], delivered["attempt"]) == ("delivered", 2)
    assert len(sink.mails) == 1
    shown = capsys.readouterr()
    assert why in shown.err
    assert PASSWORD not in f"{refused}{button}{delivered}{shown.out}{shown.err}"


def test_login_that_the_server_does_not_know_is_told(world: World) -> None:
    with running_smtp_sink(SmtpSink(context=world.context("127.0.0.1"))) as sink, world.server(sink) as server:
        delivery = tell(server, mail_destination(server))

    assert delivery["message"] == "The mail server 127.0.0.1 offers no login that is known here."
    assert sink.mails == []


@pytest.mark.parametrize("password", ["pässwörd-planted", "パスワード"])
def test_password_of_any_letters_is_sent_as_it_is(world: World, password: str) -> None:
    world.password_file.write_text(password, encoding="utf-8")
    wanted = SmtpSink(context=world.context("127.0.0.1"), passwords={USER: password})
    with running_smtp_sink(wanted) as sink, world.server(sink) as server:
        delivery = tell(server, mail_destination(server))

    assert delivery["state"] == "delivered"
    assert sink.logins == [(USER, password, True)]


@pytest.mark.parametrize("content", ["", "no certificate"])
def test_ca_file_without_certificates_stops_the_start(world: World, content: str) -> None:
    world.ca_file.write_text(content)
    with pytest.raises(Invalid) as caught, world.server(SmtpSink(port=25)):
        pass

    assert (caught.value.code, caught.value.field) == (ErrorCode.SETTINGS_INVALID, "smtp.ca_file")


@pytest.mark.parametrize(("content", "rule"), [(None, "No such file"), ("", "is empty"), ("one\ntwo", "one line")])
def test_password_file_that_is_of_no_use_stops_the_start(world: World, content: str | None, rule: str) -> None:
    if content is None:
        world.password_file.unlink()
    else:
        world.password_file.write_text(content)
    with pytest.raises(Invalid) as caught, world.server(SmtpSink(port=25)):
        pass

    assert (caught.value.code, caught.value.field) == (ErrorCode.SETTINGS_INVALID, "smtp.password_file")
    assert rule in caught.value.detail
