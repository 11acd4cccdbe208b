"""Short forms of the requests that the tests of notices send all the time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.peers.in_process import InProcess
from tests.peers.server import Answer

DESTINATIONS = "/api/v2/notifications/destinations"
REGISTRATION = "/api/v2/notifications/registration"
SIGNING_SECRET = "planted-signing-secret-0001"
CRN = "crn:v1:bluemix:public:event-notifications:local:a/1:2::"


def ask(server: InProcess, **members: Any) -> Answer:
    """Ask for a webhook destination; members that are ``...`` are left out."""
    body = {"name": "hook", "type": "webhook", "url": "https://hooks.example.com/a?token=planted", **members}
    return server.request("POST", DESTINATIONS, {name: value for name, value in body.items() if value is not ...})


def destination(server: InProcess, **members: Any) -> str:
    """Make a destination and return its address."""
    answer = ask(server, **members)
    assert answer.status == 201, answer.raw
    return f"{DESTINATIONS}/{answer.json['id']}"


def deliveries(server: InProcess, address: str) -> list[dict[str, Any]]:
    """Return the delivery log of a destination."""
    found = server.request("GET", f"{address}/deliveries").json["deliveries"]
    assert isinstance(found, list)
    return found


def later(server: InProcess, **time: float) -> None:
    """Move the clock, and do what is due then."""
    server.clock.advance(timedelta(**time))
    server.forget_tokens()
    server.work()
