"""Tries configurations of public certificates out, step by step, and says what exactly fails.

A test is no failure of the server, whatever it finds: each step tells whether it worked, in words. Source: design,
section 12.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from strongroom.domain.orders.acme import Acme
from strongroom.domain.orders.configured import PublicCa
from strongroom.domain.orders.dns import DnsProvider, Propagation, ServerReport, TxtRecord
from strongroom.kernel.errors import Invalid, Unavailable, Upstream
from strongroom.kernel.ids import new_uuid

PROBE: Final = "_strongroom-probe-"
PATIENCE: Final = timedelta(seconds=40)
"""A provider may take half an hour to publish a record; who tests waits for an answer."""
POLL: Final = timedelta(seconds=2)
_MAX_DOMAIN: Final = 253 - len(PROBE) - 17
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_\-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}")
_SHOWN: Final = 5


Leftovers = Callable[[TxtRecord], Callable[[], None]]
"""Notes a record that may stay behind; what it returns notes that it is removed."""


class _StepFailed(Exception):
    """A step did not find what it looked for; its text is shown."""


class _Steps:
    """Runs steps until one fails, and notes what each says."""

    def __init__(self) -> None:
        self.done: list[dict[str, Any]] = []
        self.all_well = True

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """Run the block as a step; it appends its message to the list."""
        said: list[str] = []
        started = time.monotonic()
        try:
            yield said
            success = True
        except _StepFailed as problem:
            said, success = [str(problem)], False
        except (Invalid, Unavailable, Upstream) as problem:
            said, success = [problem.diagnostics()], False
        took = int((time.monotonic() - started) * 1000)
        self.done.append({"name": name, "success": success, "message": " ".join(said), "duration_ms": took})
        self.all_well = self.all_well and success

    def result(self) -> Mapping[str, Any]:
        return {"success": self.all_well, "steps": self.done}


class Probe:
    """Tries configurations out.

    Args:
        acme: how CAs are asked.
        propagation: how the DNS is looked at.
        wait: rests so many seconds.
        patience: how long a record may take to be seen.
    """

    def __init__(
        self,
        acme: Acme,
        propagation: Propagation,
        *,
        wait: Callable[[float], None] = time.sleep,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._acme = acme
        self._propagation = propagation
        self._wait = wait
        self._patience = patience

    def try_ca(self, ca: PublicCa) -> Mapping[str, Any]:
        """Read the CA's directory, and look the account up."""
        steps = _Steps()
        session = self._acme.session(ca.account)
        with steps.step("directory") as said:
            directory = session.directory()
            if ca.profile and ca.profile not in directory.profiles:
                offered = ", ".join(directory.profiles) or "none"
                message = f"The certificate authority does not offer the profile {ca.profile}; it offers {offered}."
                raise _StepFailed(message)
            said.append("The directory was read.")
        if steps.all_well:
            with steps.step("account") as said:
                url = session.find_account()
                if url is None:
                    message = "The certificate authority knows no account of the key."
                    raise _StepFailed(message)
                said.append(f"The account is {url}.")
        return steps.result()

    def try_dns(
        self, open_provider: Callable[[], DnsProvider], domain: str | None, leftovers: Leftovers
    ) -> Mapping[str, Any]:
        """List zones; write a record, see it on the authoritative servers, and remove it.

        Args:
            open_provider: makes that of the configuration.
            domain: to try; the first zone if none is named.
            leftovers: told of the record before it is written.
        """
        steps = _Steps()
        with steps.step("zones") as said:
            provider = open_provider()
            zones = provider.zones()
            name = f"{PROBE}{new_uuid().replace('-', '')[:16]}.{_chosen(zones, domain)}"
            said.append(_zones_found(zones))
        if steps.all_well:
            record = TxtRecord(name=name, value=new_uuid())
            settle = leftovers(record)
            self._write_and_see(steps, provider, record)
            if steps.done[-1]["success"]:
                settle()
        return steps.result()

    def _write_and_see(self, steps: _Steps, provider: DnsProvider, record: TxtRecord) -> None:
        handle: str | None = None
        try:
            with steps.step("write") as said:
                handle = provider.present(record)
                said.append(f"The record {record.name} was written.")
            if steps.all_well:
                with steps.step("see") as said:
                    said.append(self._see(provider, record))
        finally:
            # Also after a write that failed: the provider may have done it all the same.
            with steps.step("remove") as said:
                provider.cleanup(record, handle)
                said.append(f"The record {record.name} was removed.")

    def _see(self, provider: DnsProvider, record: TxtRecord) -> str:
        deadline = time.monotonic() + self._patience.total_seconds()
        while True:
            try:
                reports = self._propagation.look(record.name, [record.value], provider.servers)
                if reports and all(report.seen for report in reports):
                    who = "The authoritative server has" if len(reports) == 1 else "All authoritative servers have"
                    return f"{who} it: {_named(reports)}."
                missing = [report for report in reports if not report.seen]
                problem = f"These servers do not have it: {_named(missing)}." if reports else "No server was found."
            except Unavailable as error:
                problem = error.detail
            rest = min(POLL, provider.timing.poll).total_seconds()
            if time.monotonic() + rest >= deadline:
                break
            self._wait(rest)
        raise _StepFailed(
            f"{problem} The test waits {self._patience.total_seconds():.0f} seconds; orders wait "
            f"{provider.timing.limit.total_seconds() / 60:.0f} minutes."
        )


def _chosen(zones: Sequence[str], domain: str | None) -> str:
    """Return the domain to write below."""
    if domain is None:
        if not zones:
            message = "The provider does not tell its zones; name a domain to try."
            raise _StepFailed(message)
        return zones[0]
    chosen = domain.lower().removeprefix("*.").rstrip(".")
    if len(chosen) > _MAX_DOMAIN or _DOMAIN.fullmatch(chosen) is None:
        message = f"domain must be a DNS name such as example.com, of at most {_MAX_DOMAIN} characters."
        raise _StepFailed(message)
    if zones and not any(chosen == zone or chosen.endswith(f".{zone}") for zone in zones):
        raise _StepFailed(f"{chosen} lies in none of the zones that can be written. {_zones_found(zones)}")
    return chosen


def _zones_found(zones: Sequence[str]) -> str:
    if not zones:
        return "The provider does not tell its zones."
    more = f" and {len(zones) - _SHOWN} more" if len(zones) > _SHOWN else ""
    return f"Zones that can be written: {', '.join(zones[:_SHOWN])}{more}."


def _named(reports: Sequence[ServerReport]) -> str:
    shown = [
        f"{report.name} ({report.address}{f': {report.problem}' if report.problem else ''})"
        for report in reports[:_SHOWN]
    ]
    more = [f"{len(reports) - _SHOWN} more"] if len(reports) > _SHOWN else []
    return ", ".join([*shown, *more])
