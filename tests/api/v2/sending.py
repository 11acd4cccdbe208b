"""Short forms of the requests that the tests of API v2 send all the time."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Any

from tests.factories.certificates import Made, make_leaf
from tests.peers.in_process import InProcess
from tests.peers.server import Answer

SECRETS = "/api/v2/secrets"
GROUPS = "/api/v2/secret_groups"
UNKNOWN = "00000000-0000-4000-8000-000000000000"

_VALUES: dict[str, dict[str, Any]] = {
    "arbitrary": {"payload": "something"},
    "kv": {"data": {"key": "value"}},
    "username_password": {"username": "user", "password": "password"},
}


def create(server: InProcess, kind: str = "arbitrary", name: str = "example", **members: Any) -> Answer:
    """Ask for a new secret; members of the type that are not given get plain values."""
    body = {"secret_type": kind, "name": name, **_VALUES.get(kind, {}), **members}
    return server.request("POST", SECRETS, {name: value for name, value in body.items() if value is not ...})


def made(answer: Answer) -> str:
    """Return the address of what was created."""
    assert answer.status == 201, answer.raw
    return f"{SECRETS}/{answer.json['id']}"


def make_group(server: InProcess, name: str = "edge") -> str:
    """Make a group and return its id."""
    answer = server.request("POST", GROUPS, {"name": name})
    assert answer.status == 201, answer.raw
    return str(answer.json["id"])


def import_certificate(server: InProcess, name: str = "cert", **members: Any) -> Answer:
    """Ask for an import."""
    return server.request("POST", SECRETS, {"secret_type": "imported_cert", "name": name, **members})


def leaf(server: InProcess, days: float = 30, **wishes: Any) -> Made:
    """Make a certificate that is valid by the server's clock."""
    return make_leaf(days, now=server.clock.now(), **wishes)


def error(answer: Answer, status: int = 400) -> dict[str, Any]:
    """Return the only problem of a refusal."""
    assert answer.status == status, answer.raw
    (problem,) = answer.json["errors"]
    return dict(problem)


def field(answer: Answer, status: int = 400) -> str:
    """Return which member a refusal is about."""
    return str(error(answer, status)["target"]["name"])


def code(answer: Answer, status: int = 400) -> str:
    """Return the word of a refusal."""
    return str(error(answer, status)["code"])


def lock(server: InProcess, address: str, *names: str, mode: str | None = None) -> Answer:
    """Ask for locks on a secret's current version, or on the version of the address."""
    query = f"?mode={mode}" if mode else ""
    return server.request("POST", f"{address}/locks_bulk{query}", {"locks": [{"name": name} for name in names]})


def events(server: InProcess) -> list[str]:
    """Return the names of all events so far, oldest first, without the notices before an end."""
    database = server.directory.path / "strongroom.db"
    with sqlite3.connect(database) as connection:
        rows = connection.execute(
            "SELECT event_type FROM events WHERE event_type NOT LIKE '%about_to_expire' ORDER BY pk"
        ).fetchall()
    connection.close()
    return [row[0].removeprefix("com.ibm.cloud.secrets-manager.") for row in rows]


def text(at: datetime) -> str:
    """Return an instant as the API writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
