"""Incoming webhooks of Slack, and of what understands the same: Mattermost, Rocket.Chat, and others."""

from __future__ import annotations

import json
from typing import Final

from strongroom.domain.notifications.model import Address, Attempt, Notice
from strongroom.domain.notifications.payload import headline, lines
from strongroom.notify.posting import Post, host_only

_SHOWN_LINES: Final = 20
_MOST_CHARACTERS: Final = 3000


def message_text(notice: Notice) -> str:
    """Return the message: what happened, and to which secrets; nothing in a name is taken for markup."""
    found = lines(notice.payload)
    shown = [f"\N{BULLET} {_plain(line)}" for line in found[:_SHOWN_LINES]]
    if len(found) > _SHOWN_LINES:
        shown.append(f"and {len(found) - _SHOWN_LINES} more")
    text = "\n".join([f"*{_plain(headline(notice.payload))}*", *shown])
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"


class SlackSender:
    """Sends to Slack-compatible webhooks."""

    def __init__(self, post: Post) -> None:
        self._post = post

    def check(self, address: Address) -> None:
        """Refuse an address that must not be contacted.

        Raises:
            Invalid: names the rule.
        """
        self._post.check(address)

    def show(self, url: str) -> str:
        """Return the host alone: whoever knows the path can post."""
        return host_only(url)

    def send(self, address: Address, notice: Notice) -> Attempt:
        """Send one message.

        Raises:
            Invalid: the host must not be contacted.
            Unavailable: nothing usable came back.
        """
        body = json.dumps({"text": message_text(notice)}, ensure_ascii=False).encode()
        return self._post.send(address, body, {"Content-Type": "application/json; charset=utf-8"})


def _plain(text: str) -> str:
    # The three characters that Slack wants escaped; a full-width @ calls nobody.
    return (
        text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "\N{FULLWIDTH COMMERCIAL AT}")
    )
