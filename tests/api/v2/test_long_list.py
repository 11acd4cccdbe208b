from __future__ import annotations

from tests.peers.in_process import InProcess
from tests.soak.long_list import measure


def test_a_list_of_two_thousand_entries_is_whole_and_holds_nobody_up(server: InProcess) -> None:
    times = measure(server, revoked=2_000, revocations=20)

    assert times.listed == 2_020
    # Some milliseconds where nothing else runs; what grew with the square of the list would take seconds.
    assert sorted(times.revocation)[10] < 500
    assert times.list < 5_000
