"""What notices say: metadata only. Source: contract domain section 7.1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from strongroom.domain.secrets.events import PREFIX, ServerEvent
from strongroom.kernel.ids import Instance
from strongroom.kernel.value import value

TEST_EVENT: Final = PREFIX + ServerEvent.TEST.value


@value
class Source:
    """This server, as receivers may know it.

    Attributes:
        public_url: base of its addresses.
    """

    instance: Instance
    public_url: str

    def payload(
        self, event_type: str, *, sub_type: str = "", secret_type: str | None = None, items: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Return the payload of a notice.

        Args:
            event_type: with its prefix.
            sub_type: the expiry detail.
            secret_type: of all items; ``None`` where they are no secrets.
            items: details of the events, as the outbox has them.
        """
        payload: dict[str, Any] = {
            "event_type": event_type,
            "event_sub_type": sub_type,
            "source_service": "secrets-manager",
            "source_instance_crn": self.instance.crn,
            "source_instance_dashboard_url": f"{self.public_url}/console/",
            "source_instance_api_public_url": self.public_url,
            # There is one address for everybody; receivers expect both members.
            "source_instance_api_private_url": self.public_url,
        }
        listed = [{name: content for name, content in item.items() if name != "secret_type"} for item in items]
        if secret_type is not None:
            payload["secret_type"] = secret_type
            payload["secrets"] = listed
        elif event_type == TEST_EVENT:
            payload["secrets"] = []
        else:
            payload["configurations"] = listed
        return payload


def headline(payload: Mapping[str, Any]) -> str:
    """Return the one line that says what a notice is about; the subject of e-mails."""
    event = str(payload["event_type"]).removeprefix(PREFIX)
    if event == ServerEvent.TEST.value:
        return "Test notice from Strongroom"
    secrets = payload.get("secrets")
    if secrets is None:
        return f"{_count(len(payload['configurations']), 'configuration')}: {event.replace('_', ' ')}"
    what = f"{len(secrets)} {payload['secret_type']} {'secret' if len(secrets) == 1 else 'secrets'}"
    verb = "expires" if len(secrets) == 1 else "expire"
    parts = str(payload["event_sub_type"]).split("_")
    if event == "secret_about_to_expire" and len(parts) == 3:
        days = int(parts[1])
        when = "in less than a day" if days == 0 else f"in {_count(days, 'day')}"
        return f"Your {what} {verb} {when}"
    return f"Your {what}: {event.removeprefix('secret_').replace('_', ' ')}"


def lines(payload: Mapping[str, Any]) -> list[str]:
    """Return one line of text for each thing that a notice is about."""
    secrets = payload.get("secrets")
    if secrets is None:
        return [_line(item, "configuration_name", "certificate_expiration") for item in payload["configurations"]]
    return [_line(item, "secret_name", "secret_expiration") for item in secrets]


def _line(item: Mapping[str, Any], name: str, end: str) -> str:
    parts = [str(item.get(name, "?"))]
    if item.get("domains"):
        parts.append(str(item["domains"]))
    if item.get(end):
        parts.append(f"expires {item[end]}")
    if item.get("failure_reason"):
        parts.append(str(item["failure_reason"]))
    return " - ".join(" ".join(part.split()) for part in parts)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
