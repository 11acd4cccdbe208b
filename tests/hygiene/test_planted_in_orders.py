"""No credential of a CA, DNS provider or receiver, and no key of an order, is anywhere but where it belongs."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.hygiene.echo import running_echo
from tests.hygiene.ordering import OrderScenario
from tests.hygiene.place import Place, report
from tests.peers.needs import require
from tests.peers.pebble import Pebble
from tests.peers.public_peers import DNS_NAME, PublicPeers
from tests.peers.sinks import SmtpSink, running_smtp_sink

pytestmark = [pytest.mark.integration, pytest.mark.peers, pytest.mark.timeout(240)]

_USER = "strongroom"
_DAMAGE = "UPDATE configurations SET sealed = zeroblob(length(sealed)) WHERE name = ? AND sealed IS NOT NULL"


def test_nothing_secret_of_orders_and_notices_is_left_anywhere(
    tmp_path: Path, public_peers: PublicPeers, pebble_with_external_accounts: Pebble
) -> None:
    require("bind9")
    with running_echo() as echo, running_smtp_sink(SmtpSink(passwords={_USER: "another password"})) as mail:
        password = tmp_path / "smtp-password"
        smtp = {"host": "127.0.0.1", "port": mail.port, "from": "strongroom@example.com", "starttls": False}
        smtp |= {"username": _USER, "password_file": str(password)}
        place = Place(tmp_path, {**public_peers.environment, "STRONGROOM_SMTP": json.dumps(smtp)})
        password.write_text(place.planted.word("SMTP password"), encoding="ascii")
        scenario = OrderScenario(
            place.server.start(),
            place.planted,
            peers=public_peers,
            bound=pebble_with_external_accounts,
            echo=echo,
            mail=mail,
        )
        try:
            _live(place, scenario)
        finally:
            place.server.close()
    for where, data_seen in (*scenario.refusals, *scenario.views, *place.printed):
        place.finds += place.planted.look(where, data_seen)

    assert len(scenario.refusals) > 30
    assert '"level": "debug"' in place.server.log
    assert not place.finds, report(place.finds)


def _live(place: Place, scenario: OrderScenario) -> None:
    """Run the scenario across a kill in the middle of orders and damage in the store, looking all the time."""
    scenario.run()
    place.look()
    killed = [f"killed-{number}" for number in range(4)]
    for name in killed:
        scenario.begin(name)
        time.sleep(0.5)
    place.server.kill()
    place.look()
    place.server.start()
    for name in killed:
        scenario.finish(name)
    scenario.begin("damaged")
    with closing(sqlite3.connect(place.server.data_dir / "strongroom.db", timeout=10)) as store, store:
        assert store.execute(_DAMAGE, (DNS_NAME,)).rowcount
    assert scenario.ask("GET", f"/api/v2/configurations/{DNS_NAME}").status == 500
    scenario.try_out()
    scenario.look()
    assert place.server.stop() == 0
    place.look()
