from __future__ import annotations

from tests.unit.tools.lints.conftest import Broken
from tools.lints.only_clock_asks_time import check


def test_asking_for_the_time_elsewhere_is_refused(broken: Broken) -> None:
    assert broken(check, "domain/secrets/model.py", "from datetime import UTC, datetime\ndatetime.now(UTC)\n") == [2]
    assert broken(check, "api/app.py", "import datetime as dt\ndt.datetime.utcnow()\n") == [2]
    assert broken(check, "api/app.py", "import time\ntime.time()\n") == [2]


def test_passing_the_function_on_is_refused_too(broken: Broken) -> None:
    assert broken(check, "api/app.py", "from time import time\nfield(default_factory=time)\n") == [2]


def test_the_clock_may_ask(broken: Broken) -> None:
    assert broken(check, "kernel/clock.py", "from datetime import UTC, datetime\ndatetime.now(UTC)\n") == []


def test_measuring_how_long_something_took_is_fine(broken: Broken) -> None:
    assert broken(check, "api/app.py", "import time\ntime.monotonic()\ntime.perf_counter()\n") == []
