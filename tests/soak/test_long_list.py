"""A revocation list of a hundred thousand entries holds up neither revocations nor anybody else."""

from __future__ import annotations

import pytest

from tests.peers.in_process import InProcess
from tests.soak.long_list import measure

REVOCATION_MS = 50.0
LIST_MS = 2000.0
STALL_MS = 100.0


def test_revocations_beside_a_long_list(
    server: InProcess, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    revoked = request.config.getoption("--revoked")

    times = measure(server, revoked=revoked, revocations=300)

    with capsys.disabled():
        print(  # noqa: T201  (the figures are what a long run is for)
            f"\n{revoked} entries: revocation p99 {times.revocation_p99:.1f} ms, list built in {times.list:.0f} ms, "
            f"others held up for {times.stall:.0f} ms at most"
        )
    assert times.listed == revoked + 300
    assert times.revocation_p99 < REVOCATION_MS
    assert times.list < LIST_MS
    assert times.stall < STALL_MS
