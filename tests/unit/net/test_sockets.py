"""Connections to mail servers: to a checked address, encrypted, and not for ever."""

from __future__ import annotations

import base64
import contextlib
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from strongroom.kernel.errors import ErrorCode, Invalid, Unavailable
from strongroom.net.guard import Guard
from strongroom.net.sockets import SmtpSecurity, smtp_connection
from tests.factories.certificates import Made
from tests.peers.loopback import private_ca, server_context

_HOST = "mail.example.com"


def _everything_is_here(host: str) -> list[str]:
    return ["127.0.0.1"]


_GUARD = Guard(allow_private=True, resolve=_everything_is_here)


class MailServer:
    """Speaks as much SMTP as one message needs.

    Attributes:
        said: commands in the order of their arrival, with whether TLS protected them.
        answers: what it says in the place of its usual answer, by command.
        default: what it says to everything else.
    """

    def __init__(self, context: ssl.SSLContext, *, offers_starttls: bool = True, is_tls: bool = False) -> None:
        self._context = context
        self._offers_starttls = offers_starttls
        self._is_tls = is_tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.said: list[tuple[str, bool]] = []
        self.answers: dict[str, str] = {}
        self.default = "250 fine"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
                stack.enter_context(connection)
                if self._is_tls:
                    connection = stack.enter_context(self._context.wrap_socket(connection, server_side=True))
                connection.sendall(self.answers.get("greeting", "220 ready").encode() + b"\r\n")
                while self._command(connection):
                    if self.said[-1][0] == "STARTTLS" and "STARTTLS" not in self.answers:
                        connection = stack.enter_context(self._context.wrap_socket(connection, server_side=True))

    def _command(self, connection: socket.socket) -> bool:
        line = b""
        while not line.endswith(b"\r\n"):
            more = connection.recv(1)
            if not more:
                return False
            line += more
        command = line.decode().strip()
        self.said.append((command, isinstance(connection, ssl.SSLSocket)))
        verb = command.split(" ")[0].upper()
        if verb == "EHLO":
            offer = "250-STARTTLS\r\n" if self._offers_starttls else ""
            usual = f"250-mail.example.com\r\n{offer}250 SIZE"
        else:
            usual = {"STARTTLS": "220 go", "QUIT": "221 bye"}.get(verb, self.default)
        text = self.answers.get(verb, usual)
        if text == "silence":
            connection.recv(1)
            return False
        connection.sendall(text.encode() + b"\r\n")
        return verb != "QUIT"


@pytest.fixture(scope="module")
def ca() -> Made:
    return private_ca()


@pytest.fixture
def mail_server(tmp_path: Path, ca: Made) -> Iterator[Callable[..., MailServer]]:
    made: list[MailServer] = []

    def make(name: str = _HOST, *, offers_starttls: bool = True, is_tls: bool = False) -> MailServer:
        context = server_context(tmp_path, name, issuer=ca)
        made.append(MailServer(context, offers_starttls=offers_starttls, is_tls=is_tls))
        return made[-1]

    yield make
    for server in made:
        server.close()


def test_starttls_protects_all_but_the_greeting(mail_server: Callable[..., MailServer], ca: Made) -> None:
    server = mail_server()

    with smtp_connection(_GUARD, _HOST, server.port, trust_pem=ca.pem) as smtp:
        smtp.mail("strongroom@example.com")

    assert server.said == [
        ("ehlo [127.0.0.1]", False),
        ("STARTTLS", False),
        ("ehlo [127.0.0.1]", True),
        ("mail FROM:<strongroom@example.com>", True),
        ("quit", True),
    ]


def test_tls_protects_everything(mail_server: Callable[..., MailServer], ca: Made) -> None:
    server = mail_server(is_tls=True)

    with smtp_connection(_GUARD, _HOST, server.port, security=SmtpSecurity.TLS, trust_pem=ca.pem) as smtp:
        smtp.noop()

    assert all(is_protected for _, is_protected in server.said)


def test_plain_connections_are_made_where_they_are_asked_for(mail_server: Callable[..., MailServer]) -> None:
    server = mail_server(offers_starttls=False)

    with smtp_connection(_GUARD, _HOST, server.port, security=SmtpSecurity.NONE) as smtp:
        assert smtp.noop()[0] == 250


def test_a_server_without_starttls_is_not_used(mail_server: Callable[..., MailServer]) -> None:
    server = mail_server(offers_starttls=False)

    with (
        pytest.raises(Unavailable, match="mail.example.com does not offer STARTTLS"),
        smtp_connection(_GUARD, _HOST, server.port),
    ):
        pass


@pytest.mark.parametrize("security", [SmtpSecurity.STARTTLS, SmtpSecurity.TLS])
def test_the_certificate_must_be_for_the_host(
    mail_server: Callable[..., MailServer], ca: Made, security: SmtpSecurity
) -> None:
    server = mail_server("other.example.com", is_tls=security is SmtpSecurity.TLS)

    with (
        pytest.raises(Unavailable, match="certificate of mail.example.com is not accepted: Hostname mismatch"),
        smtp_connection(_GUARD, _HOST, server.port, security=security, trust_pem=ca.pem),
    ):
        pass


def test_an_unknown_authority_is_not_trusted(mail_server: Callable[..., MailServer]) -> None:
    server = mail_server()

    with pytest.raises(Unavailable, match="is not accepted"), smtp_connection(_GUARD, _HOST, server.port):
        pass


def test_a_private_mail_server_is_the_operators_alone(mail_server: Callable[..., MailServer], ca: Made) -> None:
    server = mail_server()
    strict = Guard(allow_private=False, resolve=_everything_is_here)

    with pytest.raises(Invalid) as refused, smtp_connection(strict, _HOST, server.port, trust_pem=ca.pem):
        pass
    assert refused.value.code is ErrorCode.DESTINATION_NOT_ALLOWED
    assert not server.said
    with smtp_connection(strict, _HOST, server.port, trust_pem=ca.pem, is_operators=True) as smtp:
        smtp.noop()


@pytest.mark.parametrize(
    ("command", "text", "code"),
    [("greeting", "554 no", 554), ("greeting", "421 later", 421), ("STARTTLS", "454 no", 454)],
)
def test_a_server_that_takes_no_mail_is_unavailable(
    mail_server: Callable[..., MailServer], ca: Made, command: str, text: str, code: int
) -> None:
    server = mail_server()
    server.answers[command] = text

    with (
        pytest.raises(Unavailable, match=f"mail.example.com does not take mail now \\(code {code}\\)"),
        smtp_connection(_GUARD, _HOST, server.port, trust_pem=ca.pem),
    ):
        pass


def test_a_refusal_inside_the_block_is_the_callers(mail_server: Callable[..., MailServer], ca: Made) -> None:
    server = mail_server()
    server.answers["MAIL"] = "550 not you"

    with (
        pytest.raises(smtplib.SMTPSenderRefused),
        smtp_connection(_GUARD, _HOST, server.port, trust_pem=ca.pem) as smtp,
    ):
        smtp.sendmail("strongroom@example.com", ["operator@example.com"], "text")


@pytest.mark.parametrize("accepted", ["235 welcome", "503 you are already"])
def test_a_challenge_is_answered_without_the_password(mail_server: Callable[..., MailServer], accepted: str) -> None:
    # The example of RFC 2195 section 2.
    server = mail_server()
    answer = base64.b64encode(b"tim b913a602c7eda7a495b4e6e7334d3890").decode()
    server.answers = {
        "EHLO": "250-mail.example.com\r\n250 AUTH CRAM-MD5 PLAIN",
        "AUTH": "334 " + base64.b64encode(b"<1896.697170952@postoffice.reston.mci.net>").decode(),
        answer.upper(): accepted,
    }
    with smtp_connection(_GUARD, _HOST, server.port, security=SmtpSecurity.NONE) as smtp:
        smtp.login("tim", "tanstaaftanstaaf")
    assert [said for said, _ in server.said][1:3] == ["AUTH CRAM-MD5", answer]


def test_a_server_that_asks_without_end_is_not_answered_without_end(mail_server: Callable[..., MailServer]) -> None:
    server = mail_server()
    server.answers = {"EHLO": "250-mail.example.com\r\n250 AUTH LOGIN"}
    server.default = "334 x"
    with (
        pytest.raises(smtplib.SMTPAuthenticationError),
        smtp_connection(_GUARD, _HOST, server.port, security=SmtpSecurity.NONE) as smtp,
    ):
        smtp.login("user", "planted")
    assert len(server.said) < 10


@pytest.mark.parametrize("command", ["EHLO", "STARTTLS", "NOOP"])
def test_a_server_that_falls_silent_is_left_when_the_time_is_over(
    mail_server: Callable[..., MailServer], ca: Made, command: str
) -> None:
    server = mail_server()
    server.answers[command] = "silence"
    began = time.monotonic()

    with (
        pytest.raises(Unavailable, match="mail.example.com did not answer completely within 0.4 seconds"),
        smtp_connection(_GUARD, _HOST, server.port, trust_pem=ca.pem, timeout=timedelta(seconds=0.4)) as smtp,
    ):
        smtp.noop()

    assert time.monotonic() - began < 3


def test_answers_that_never_end_are_left_when_the_time_is_over() -> None:
    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            for _ in range(60):
                connection.sendall(b"220-wait\r\n")
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        with (
            pytest.raises(Unavailable, match="within 0.4 seconds"),
            smtp_connection(_GUARD, _HOST, listener.getsockname()[1], timeout=timedelta(seconds=0.4)),
        ):
            pass
        thread.join()


def test_a_server_that_nobody_runs_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with (
        pytest.raises(Unavailable, match="mail.example.com cannot be reached: Connection refused"),
        smtp_connection(_GUARD, _HOST, port),
    ):
        pass
