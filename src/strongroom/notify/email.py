"""E-mail through the operator's mail server. The libraries for it are imported with the first one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from strongroom.domain.notifications.model import Address, Attempt, Notice
from strongroom.domain.notifications.payload import headline, lines
from strongroom.kernel.errors import ErrorCode, Invalid, Problems, Unavailable
from strongroom.kernel.secret import Secret
from strongroom.kernel.value import value
from strongroom.net.guard import Guard

if TYPE_CHECKING:
    from email.message import EmailMessage

    from strongroom.net.sockets import SmtpSecurity

TIMEOUT: Final = timedelta(seconds=20)
_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_NO_SERVER: Final = "This server has no mail server."
_NO_LOGIN: Final = frozenset({"SMTPNotSupportedError", "SMTPException"})
"""What the library raises in vain search of a login: the first for a server that offers none, the second of a kind."""
_HINT: Final = "The operator names one in the table [smtp] of the settings file."


@value
class MailServer:
    """The operator's mail server.

    Attributes:
        sender: address that mail comes from.
        trust_pem: certificates to trust in the place of the system's.
    """

    host: str
    port: int
    security: SmtpSecurity
    sender: str
    username: str | None = None
    password: Secret[str] | None = None
    trust_pem: str | None = None


class EmailSender:
    """Sends e-mails: one to all recipients of a destination, none of whom sees the others.

    Args:
        guard: opens the connection.
        server: ``None`` if the operator named none.
    """

    def __init__(self, guard: Guard, server: MailServer | None) -> None:
        self._guard = guard
        self._server = server

    def check(self, address: Address) -> None:
        """Refuse recipients that are no addresses, and all if there is no mail server.

        Raises:
            Invalid: names the rule.
        """
        problems = Problems()
        if self._server is None:
            problems.add("type", _NO_SERVER, code=ErrorCode.NOT_SUPPORTED, hint=_HINT)
        for index, recipient in enumerate(address.recipients):
            if not is_address(recipient):
                problems.add(f"recipients[{index}]", "A recipient must be an address such as team@example.com.")
        problems.raise_any()

    def show(self, url: str) -> str:
        """Return the address; there is none."""
        return url

    def send(self, address: Address, notice: Notice) -> Attempt:
        """Send one e-mail.

        Raises:
            Invalid: there is no mail server any more.
            Unavailable: the mail server cannot be reached or does not want the mail.
        """
        server = self._server
        if server is None:
            raise Invalid(ErrorCode.NOT_SUPPORTED, _NO_SERVER, hint=_HINT)
        from strongroom.net.sockets import smtp_connection

        message = mail(notice, server.sender, attach_payload=address.attach_payload)
        try:
            with smtp_connection(
                self._guard,
                server.host,
                server.port,
                security=server.security,
                is_operators=True,
                trust_pem=server.trust_pem,
                timeout=TIMEOUT,
            ) as connection:
                if server.username is not None and server.password is not None:
                    connection.login(server.username, server.password.reveal())
                refused = connection.send_message(message, server.sender, list(address.recipients))
        except OSError as error:
            raise Unavailable(ErrorCode.UNAVAILABLE, _refusal(server.host, error)) from None
        return _attempt(server.host, address, refused)


def is_address(text: str) -> bool:
    """Tell whether a text is an e-mail address as they are in practice. Source: RFC 5321 section 4.1.2, dot-string."""
    local, _, domain = text.rpartition("@")
    dots = local.startswith(".") or local.endswith(".") or ".." in text
    return _ADDRESS.fullmatch(text) is not None and not dots and "." in domain


def mail(notice: Notice, sender: str, *, attach_payload: bool) -> EmailMessage:
    """Return the message; a repeat has the same id, by which mailboxes know it."""
    from email.headerregistry import Address as Mailbox
    from email.message import EmailMessage
    from email.policy import SMTP

    message = EmailMessage(policy=SMTP)
    domain = sender.rpartition("@")[2]
    message["Subject"] = headline(notice.payload)
    message["From"] = Mailbox("Strongroom", addr_spec=sender)
    message["To"] = "undisclosed-recipients:;"
    message["Date"] = notice.at
    message["Message-ID"] = f"<{notice.id}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    text = [
        f"{headline(notice.payload)}.",
        "",
        *(f"- {line}" for line in lines(notice.payload)),
        "",
        f"Instance: {notice.payload['source_instance_crn']}",
        f"Console: {notice.payload['source_instance_dashboard_url']}",
    ]
    message.set_content("\n".join(text) + "\n")
    if attach_payload:
        payload = json.dumps(notice.payload, ensure_ascii=False, indent=2).encode()
        message.add_attachment(payload, maintype="application", subtype="json", filename="notice.json")
    return message


def _attempt(host: str, address: Address, refused: Mapping[str, tuple[int, bytes]]) -> Attempt:
    message = f"The mail server {host} took it"
    if refused:
        # Some recipients have it: sending again would tell them twice.
        message += f" for {len(address.recipients) - len(refused)} of {len(address.recipients)} recipients"
    return Attempt(success=True, message=f"{message}.")


def _refusal(host: str, error: OSError) -> str:
    """Say what the mail server refused, with its code; its words may repeat what was sent."""
    code = getattr(error, "smtp_code", None)
    recipients = getattr(error, "recipients", None)
    if isinstance(recipients, dict) and recipients:
        codes = ", ".join(sorted({str(answer[0]) for answer in recipients.values()}))
        return f"The mail server {host} refused every recipient (code {codes})."
    if isinstance(code, int):
        what = "the user name or password" if code in {530, 534, 535, 538} else "the mail"
        return f"The mail server {host} refused {what} (code {code})."
    if type(error).__name__ in _NO_LOGIN:
        return f"The mail server {host} offers no login that is known here."
    return f"The mail server {host} did not take the mail: {type(error).__name__}."
