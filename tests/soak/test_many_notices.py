"""A million secrets of which many end: telling of them holds up nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.storage.engine import open_engine
from strongroom.storage.migrate import ensure_schema
from strongroom.storage.store import open_storage
from tests.soak.many_notices import measure
from tests.soak.seed import seed

LOOK_MS = 10.0
STEP_MS = 1000.0


@pytest.mark.timeout(3600)
def test_notices_of_a_full_store(
    tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    url = str(tmp_path / "strongroom.db")
    engine = open_engine(url, read_pool=1)
    ensure_schema(engine)
    seed(engine, secrets=request.config.getoption("--secrets"), groups=200, payload_bytes=32)
    engine.close()
    store = open_storage(url, stream="notices", read_pool=2)
    report = measure(store, destinations=10, most_events=100_000)
    store.close()

    with capsys.disabled():
        print("\n" + "\n".join(report.lines()))  # noqa: T201  (the figures are what a long run is for)
    assert max(report.told.steps) < STEP_MS
    assert max(report.grouped.steps) < STEP_MS
    assert report.idle < LOOK_MS
    assert report.next_delivery < LOOK_MS
