"""Looking at the DNS as the CA will. Sources: RFC 8555 section 8.4; contract domain section 4.5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from strongroom.domain.orders.acme import AcmeStatus
from strongroom.domain.orders.model import Order, OrderChallenge
from strongroom.domain.orders.placing import pending
from strongroom.domain.orders.turn import Turn
from strongroom.kernel.time import from_microseconds, to_microseconds
from strongroom.kernel.value import value


@value
class Looks:
    """What earlier looks at the DNS have shown.

    Attributes:
        since: the first of them.
        wrong: how many in a row found other values than ours.
        only_dead_since: since when all servers that answer have the records.
    """

    since: datetime
    wrong: int = 0
    only_dead_since: datetime | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any], now: datetime, idle: timedelta) -> Looks:
        """Return what the job remembers; time in which nobody could look does not count."""
        if "since" not in data:
            return cls(since=now)
        dead = data.get("only_dead_since")
        return cls(
            since=from_microseconds(data["since"]) + idle,
            wrong=data["wrong"],
            only_dead_since=None if dead is None else from_microseconds(dead) + idle,
        )

    def after(self, unseen: Sequence[OrderChallenge], now: datetime) -> Looks:
        """Return what is known after another look that did not find everything."""
        dead = all(map(_is_for_the_dead, unseen))
        return Looks(
            since=self.since,
            wrong=self.wrong + 1 if all(map(_has_others, unseen)) else 0,
            only_dead_since=(self.only_dead_since or now) if dead else None,
        )

    @property
    def data(self) -> dict[str, Any]:
        """Return what the job is to remember."""
        dead = self.only_dead_since
        return {
            "since": to_microseconds(self.since),
            "wrong": self.wrong,
            "only_dead_since": None if dead is None else to_microseconds(dead),
        }


def look(turn: Turn) -> tuple[Order, list[OrderChallenge]]:
    """Look at the authoritative servers; return what they said, and the challenges that are not on all of them."""
    servers = {} if turn.is_manual else turn.dns.provider.servers
    owed = pending(turn.order.challenges)
    targets = {item.txt_name: item.target or turn.context.propagation.target(item.txt_name) for item in owed}
    values: dict[str, list[str]] = {}
    for challenge in owed:
        values.setdefault(targets[challenge.txt_name], []).append(challenge.txt_value)
    seen = {name: tuple(turn.context.propagation.look(name, wanted, servers)) for name, wanted in values.items()}
    challenges = tuple(
        replace(item, target=targets[item.txt_name], servers=seen[targets[item.txt_name]])
        if item.status is AcmeStatus.PENDING
        else item
        for item in turn.order.challenges
    )
    unseen = [
        item
        for item in challenges
        if item.status is AcmeStatus.PENDING and not (item.servers and all(server.seen for server in item.servers))
    ]
    return replace(turn.order, challenges=challenges), unseen


def target_of(challenge: OrderChallenge) -> str:
    """Return where the record of a challenge stands."""
    return challenge.target or challenge.txt_name


def _is_for_the_dead(challenge: OrderChallenge) -> bool:
    """Tell whether all that lacks is the word of servers that do not answer."""
    return any(server.seen for server in challenge.servers) and all(
        server.seen or server.problem is not None for server in challenge.servers
    )


def _has_others(challenge: OrderChallenge) -> bool:
    """Tell whether every server has a record at the name, and none has ours."""
    return bool(challenge.servers) and all(server.found and not server.seen for server in challenge.servers)


def missing(unseen: Sequence[OrderChallenge]) -> str:
    """Say what is waited for."""
    first = unseen[0]
    have = sum(server.seen for server in first.servers)
    more = f", and {len(unseen) - 1} more" if len(unseen) > 1 else ""
    servers = "1 name server" if len(first.servers) == 1 else f"{len(first.servers)} name servers"
    return f"the TXT record at {target_of(first)}, seen on {have} of {servers}{more}"


def unseen_in_time(challenge: OrderChallenge, waited: timedelta) -> str:
    """Say why waiting has an end."""
    lacking = ", ".join(
        f"{server.name} ({server.address}{': ' + server.problem if server.problem else ''})"
        for server in challenge.servers
        if not server.seen
    )
    minutes = max(1, round(waited.total_seconds() / 60))
    return (
        f"The TXT record {target_of(challenge)}. with the value {challenge.txt_value} was not seen within "
        f"{'a minute' if minutes == 1 else f'{minutes} minutes'} on {lacking or 'any authoritative server'}."
    )


def wrong_value(challenge: OrderChallenge) -> str:
    """Say what stands where our value should."""
    found = next((server.found for server in challenge.servers if server.found), ())
    listed = ", ".join(f'"{text}"' for text in found)
    return (
        f"The TXT record {target_of(challenge)}. holds {listed} on the authoritative servers, not the value "
        f'"{challenge.txt_value}" that the CA asks for. Order anew and publish the value of the new challenge.'
    )
