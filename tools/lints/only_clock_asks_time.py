"""Only ``kernel/clock.py`` asks for the time of day, so that tests and simulated years can move it.

Monotonic clocks measure how long something took and are free to use.
"""

from __future__ import annotations

from collections.abc import Iterator

from tools.lints.model import Finding, Module, report

NAME = "only_clock_asks_time"
_NAMES = frozenset(
    {
        "datetime.date.today",
        "datetime.datetime.now",
        "datetime.datetime.today",
        "datetime.datetime.utcnow",
        "time.ctime",
        "time.gmtime",
        "time.localtime",
        "time.time",
        "time.time_ns",
    }
)


def check(module: Module) -> Iterator[Finding]:
    """Yield references to the time of day elsewhere, called or passed on."""
    if module.lies_in("kernel/clock.py"):
        return
    for line, name in module.references():
        if name in _NAMES:
            yield report(NAME, module, line, f"{name} is used outside kernel/clock.py; take a Clock")
