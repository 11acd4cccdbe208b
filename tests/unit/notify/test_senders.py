"""What the senders send and show, without a network."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import pytest

from strongroom.domain.notifications.model import Address, EventId, Notice
from strongroom.domain.notifications.payload import Source
from strongroom.domain.secrets.events import PREFIX
from strongroom.kernel.errors import ErrorCode, Internal, Invalid
from strongroom.kernel.ids import Instance
from strongroom.kernel.secret import Secret
from strongroom.net.guard import Guard
from strongroom.notify import apprise
from strongroom.notify.apprise import AppriseSender
from strongroom.notify.email import EmailSender, is_address, mail
from strongroom.notify.posting import host_only, without_query
from strongroom.notify.slack import message_text
from strongroom.notify.webhook import signature

SOURCE = Source(instance=Instance(id="i", account_id="a", region="local"), public_url="https://strongroom.example.com")


def notice(*names: str) -> Notice:
    items = [{"secret_name": name} for name in names]
    payload = SOURCE.payload(PREFIX + "secret_created", secret_type="kv", items=items)
    return Notice(
        id=EventId("1"), event_type=PREFIX + "secret_created", at=datetime(2026, 1, 15, tzinfo=UTC), payload=payload
    )


def test_signature_is_the_one_that_others_compute() -> None:
    # printf '1768478400.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef
    expected = "332ffb12311e2386feb2f74842a811ef4fcfd4b6c1347c6cc4a11e8715be4f99"

    assert signature("0123456789abcdef", "1768478400", b'{"a":1}') == f"v1={expected}"


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("team@example.com", True),
        ("a+b.c@mail.example.com", True),
        ("team@example", False),
        ("team.example.com", False),
        ("a@b@example.com", False),
        (".a@example.com", False),
        ("a..b@example.com", False),
        ("a b@example.com", False),
        ("a@example.com\nBcc: b@example.com", False),
        ("a@example..com", False),
        ("Team <team@example.com>", False),
    ],
)
def test_recipients_are_plain_addresses(text: str, is_one: bool) -> None:
    assert is_address(text) is is_one


def test_subject_and_body_survive_any_name() -> None:
    message = mail(notice("Größe\r\nBcc: x@example.com"), "strongroom@example.com", attach_payload=False)

    assert message["Bcc"] is None
    assert "- Größe Bcc: x@example.com" in message.get_content()
    assert message["Message-ID"] == "<1@example.com>"
    assert message["To"] == "undisclosed-recipients:;"


def test_slack_takes_nothing_in_a_name_for_markup() -> None:
    text = message_text(notice("<!channel> & <https://evil.example.com|click>"))

    assert "<" not in text
    assert "&lt;!channel&gt; &amp; " in text


def test_shown_addresses_keep_what_is_secret() -> None:
    assert without_query("https://h.example.com/a/b?token=planted") == "https://h.example.com/a/b?***"
    assert without_query("https://h.example.com/a") == "https://h.example.com/a"
    assert host_only("https://hooks.example.com:8443/T/planted") == "https://hooks.example.com:8443/***"
    assert AppriseSender(lambda: None).show("tgram://planted/1") == "tgram://***"


def test_no_address_is_shown_in_a_repr() -> None:
    assert "planted" not in repr(Address(name="a", url=Secret("https://planted"), signing_secret=Secret("planted")))


def test_mail_without_a_server_is_refused_with_what_to_do() -> None:
    with pytest.raises(Invalid) as caught:
        EmailSender(Guard(allow_private=False), None).check(Address(name="a", recipients=("team@example.com",)))

    assert caught.value.code is ErrorCode.NOT_SUPPORTED
    assert "[smtp]" in (caught.value.hint or "")


def test_apprise_that_is_not_installed_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    apprise._library.cache_clear()
    monkeypatch.setitem(sys.modules, "apprise", None)

    with pytest.raises(Invalid) as caught:
        AppriseSender(lambda: None).check(Address(name="a", url=Secret("tgram://TOKEN/CHAT")))

    assert caught.value.code is ErrorCode.NOT_SUPPORTED
    assert "pip install 'strongroom[apprise]'" in (caught.value.hint or "")


def test_plug_in_of_apprise_sends_nothing_outside_of_a_notice() -> None:
    address = Address(name="a", url=Secret("json://example.com/"))
    AppriseSender(lambda: None).check(address)
    service = apprise._service("json://example.com/")

    with pytest.raises(Internal):
        service.notify(body="a")


@pytest.mark.parametrize("scheme", ["mailto", "mqtt", "syslog", "rsyslog", "xmpp", "dbus", "irc"])
def test_what_is_not_reached_over_http_is_refused(scheme: str) -> None:
    with pytest.raises(Invalid) as caught:
        AppriseSender(lambda: None).check(Address(name="a", url=Secret(f"{scheme}://user:planted@example.com/a")))

    assert caught.value.field == "url"
    assert "planted" not in str(caught.value)
