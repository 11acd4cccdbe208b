"""What monitors read: requests, jobs, secrets, the store, in Prometheus' form.

A request costs a few dictionary operations; everything else is computed when somebody asks, and what
comes from the store is kept for ten seconds. The Prometheus library only writes the text, so it is
imported at the first scrape.

Source: contract domain section 7.3.
"""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from strongroom import __version__
from strongroom.api.operations import Call
from strongroom.domain.authorities.ocsp import OcspOutcome
from strongroom.domain.ports import AuthorityFigures, ReadUnit, Statistics, Storage
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import StrongroomError
from strongroom.runtime.key_pool import KeyPoolFigures

if TYPE_CHECKING:
    from prometheus_client.core import Metric

LATENCY_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds of the latency buckets, in seconds."""
EXPIRY_BOUNDS: Final = (1, 7, 10, 30, 60, 90, 180, 365)
"""Upper bounds of the days-to-expiry buckets; the notices of the contract are among them."""
_KEPT_S: Final = 10.0
_WINDOW_S: Final = 60.0
_CLASSES: Final = {"GET": "read", "HEAD": "read", "DELETE": "delete"}
_SERVER_ERROR: Final = 500
_CLIENT_ERROR: Final = 400


class WriterFigures(Protocol):
    """What the store's writer knows about itself."""

    batches: int
    units: int
    failed_units: int
    audit_records: int
    largest_batch: int
    queued_units: int
    queued_entries: int


@dataclass(slots=True)
class _Window:
    """Response times of one minute."""

    since: float
    count: int = 0
    total: float = 0.0
    least: float = float("inf")
    most: float = 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.total += seconds
        self.least = min(self.least, seconds)
        self.most = max(self.most, seconds)


@dataclass(slots=True)
class _Latency:
    """Response times of one class of requests, since the start and by the minute."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS) + 1))
    total: float = 0.0
    window: _Window = field(default_factory=lambda: _Window(time.monotonic()))
    last: _Window | None = None

    def add(self, seconds: float, now: float) -> None:
        self.buckets[bisect_left(LATENCY_BOUNDS, seconds)] += 1
        self.total += seconds
        self.turn(now)
        self.window.add(seconds)

    def turn(self, now: float) -> None:
        """Begin the next minute when one is over; a minute without requests is forgotten."""
        age = now - self.window.since
        if age >= _WINDOW_S:
            self.last = self.window if age < 2 * _WINDOW_S and self.window.count else None
            self.window = _Window(now)


@dataclass(slots=True)
class _StepFigures:
    """Steps of jobs of one kind that ended one way."""

    count: int = 0
    total: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """What the store counted, and when."""

    at: float
    secrets: dict[str, int]
    groups: int
    open_deliveries: int
    statistics: Statistics


class Metrics:
    """Collects while the server works, and tells when asked.

    Args:
        storage: counted from at a scrape.
        clock: decides what "in seven days" is.
        writer: the figures of the store's writer.
        key_pool: the figures of the RSA keys that are made ahead.
        ocsp_answers: how many answers of each kind this process gave.
        deliveries: how many tries to deliver a notice this process made, by type of destination and outcome.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        clock: Clock,
        writer: Callable[[], WriterFigures],
        key_pool: Callable[[], Sequence[KeyPoolFigures]],
        ocsp_answers: Callable[[], Mapping[OcspOutcome, int]],
        deliveries: Callable[[], Mapping[tuple[str, str], int]],
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._writer = writer
        self._key_pool = key_pool
        self._ocsp_answers = ocsp_answers
        self._deliveries = deliveries
        self._requests: dict[tuple[str, str, int], int] = {}
        self._latency = {name: _Latency() for name in ("read", "write", "delete")}
        self._steps: dict[tuple[str, str], _StepFigures] = {}
        self._steps_lock = threading.Lock()
        self._stored: _Stored | None = None
        self._render_lock = threading.Lock()
        self._registry: Any = None

    def observer(self, log: Any) -> RequestObserver:
        """Return what the HTTP edge tells about requests."""
        return RequestObserver(self, log)

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request; called on the event loop only.

        Args:
            method: of the operation.
            route: the path with its parameters unfilled.
            status: of the answer.
            seconds: from its first byte to the last of the answer.
        """
        key = (method, route, status)
        requests = self._requests
        requests[key] = requests.get(key, 0) + 1
        self._latency[_CLASSES.get(method, "write")].add(seconds, time.monotonic())

    def observe_job(self, kind: str, outcome: str, seconds: float) -> None:
        """Count a step of a job; called by the workers."""
        with self._steps_lock:
            figures = self._steps.setdefault((kind, outcome), _StepFigures())
            figures.count += 1
            figures.total += seconds

    def render(self) -> bytes:
        """Return everything in Prometheus' text form; may wait for the store."""
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

        with self._render_lock:
            if self._registry is None:
                self._registry = CollectorRegistry(auto_describe=False)
                self._registry.register(self)
                ProcessCollector(namespace="strongroom", registry=self._registry)
            return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; called by the Prometheus library."""
        from prometheus_client.core import InfoMetricFamily

        yield InfoMetricFamily("strongroom_build", "The version that runs.", {"version": __version__})
        yield from self._of_requests()
        yield from self._of_jobs()
        yield from self._of_writer()
        yield from self._of_keys()
        yield from self._of_ocsp()
        yield from self._of_deliveries()
        yield from self._of_store()

    def _of_requests(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        requests = CounterMetricFamily(
            "strongroom_requests", "Answered requests.", labels=["class", "method", "route", "status"]
        )
        errors = {"4xx": 0, "5xx": 0}
        for (method, route, status), count in list(self._requests.items()):
            requests.add_metric([_CLASSES.get(method, "write"), method, route, str(status)], count)
            if status >= _CLIENT_ERROR:
                errors["5xx" if status >= _SERVER_ERROR else "4xx"] += count
        yield requests
        refused = CounterMetricFamily("strongroom_errors", "Requests answered with an error.", labels=["class"])
        for name, count in errors.items():
            refused.add_metric([name], count)
        yield refused
        seconds = HistogramMetricFamily("strongroom_request_seconds", "Response times.", labels=["class"])
        window = GaugeMetricFamily(
            "strongroom_request_window_seconds", "Response times of the last full minute.", labels=["class", "value"]
        )
        now = time.monotonic()
        for name, latency in self._latency.items():
            seconds.add_metric([name], _cumulative(LATENCY_BOUNDS, latency.buckets), latency.total)
            latency.turn(now)
            if latency.last is not None:
                window.add_metric([name, "avg"], latency.last.total / latency.last.count)
                window.add_metric([name, "max"], latency.last.most)
                window.add_metric([name, "min"], latency.last.least)
        yield seconds
        yield window

    def _of_jobs(self) -> Iterator[Metric]:
        from prometheus_client.core import SummaryMetricFamily

        steps = SummaryMetricFamily(
            "strongroom_job_step_seconds", "Steps of background jobs.", labels=["kind", "outcome"]
        )
        with self._steps_lock:
            for (kind, outcome), figures in self._steps.items():
                steps.add_metric([kind, outcome], figures.count, figures.total)
        yield steps

    def _of_writer(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        figures = self._writer()
        for name, value, text in (
            ("strongroom_writer_batches", figures.batches, "Commits to the database."),
            ("strongroom_writer_units", figures.units, "Units of work in those commits."),
            ("strongroom_writer_failed_units", figures.failed_units, "Units of work that were rolled back."),
            ("strongroom_audit_records", figures.audit_records, "Audit records written by this process."),
        ):
            yield CounterMetricFamily(name, text, value=value)
        for name, value, text in (
            ("strongroom_writer_largest_batch", figures.largest_batch, "Most units of work in one commit."),
            ("strongroom_writer_queue", figures.queued_units, "Units of work that wait for the writer."),
            ("strongroom_audit_queue", figures.queued_entries, "Audit entries of reads that wait for the writer."),
        ):
            yield GaugeMetricFamily(name, text, value=value)

    def _of_keys(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        figures = self._key_pool()
        depth = GaugeMetricFamily("strongroom_rsa_keys_ready", "RSA keys that were made ahead.", labels=["bits"])
        taken = CounterMetricFamily("strongroom_rsa_keys_taken", "RSA keys handed out.", labels=["bits"])
        misses = CounterMetricFamily("strongroom_rsa_key_misses", "Requests that found no RSA key.", labels=["bits"])
        made = CounterMetricFamily("strongroom_rsa_keys_made", "RSA keys made by processes.", labels=["bits"])
        for keys in figures:
            for family, value in (
                (depth, keys.depth),
                (taken, keys.taken),
                (misses, keys.misses),
                (made, keys.made),
            ):
                family.add_metric([str(keys.bits)], value)
        yield from (depth, taken, misses, made)

    def _of_ocsp(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily

        answers = CounterMetricFamily("strongroom_ocsp_answers", "OCSP answers given.", labels=["status"])
        for outcome, count in self._ocsp_answers().items():
            answers.add_metric([outcome.value], count)
        yield answers

    def _of_deliveries(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily

        tries = CounterMetricFamily(
            "strongroom_notification_tries", "Tries to deliver a notice.", labels=["type", "state"]
        )
        for (destination_type, state), count in sorted(self._deliveries().items()):
            tries.add_metric([destination_type, state], count)
        yield tries

    def _of_authorities(self, authorities: Sequence[AuthorityFigures]) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        ends = GaugeMetricFamily(
            "strongroom_ca_certificate_expires_timestamp_seconds",
            "When the newest certificate of a CA ends.",
            labels=["ca"],
        )
        lapses = GaugeMetricFamily(
            "strongroom_crl_next_update_timestamp_seconds", "When a revocation list lapses.", labels=["ca", "key"]
        )
        numbers = GaugeMetricFamily("strongroom_crl_number", "The number of a revocation list.", labels=["ca", "key"])
        now, seen = self._clock.now(), set()
        for authority in authorities:
            if authority.name not in seen and not authority.is_revoked:
                ends.add_metric([authority.name], authority.not_after.timestamp())
            seen.add(authority.name)
            # The last list of a key may lapse once its certificate has ended; nobody is to be woken by that.
            if authority.crl_next_update is not None and authority.not_after > now:
                labels = [authority.name, authority.key_id]
                lapses.add_metric(labels, authority.crl_next_update.timestamp())
                numbers.add_metric(labels, authority.crl_number)
        yield from (ends, lapses, numbers)

    def _of_orders(self, statistics: Statistics) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        orders = GaugeMetricFamily(
            "strongroom_orders", "Orders of public certificates in progress.", labels=["ca", "state", "step"]
        )
        for (ca, state, step), count in sorted(statistics.orders.items()):
            orders.add_metric([ca, state.value, step], count)
        failed = GaugeMetricFamily(
            "strongroom_public_renewals_failed", "Public certificates whose last rotation failed.", labels=["ca"]
        )
        for ca, count in sorted(statistics.orders_failed.items()):
            failed.add_metric([ca], count)
        due = GaugeMetricFamily(
            "strongroom_renewals_due", "Secrets that rotate by themselves within so many days.", labels=["days"]
        )
        for days, count in zip((0, *EXPIRY_BOUNDS), statistics.renewals, strict=True):
            due.add_metric([str(days)], count)
        yield from (orders, failed, due)
        if statistics.next_renewal_at is not None:
            yield GaugeMetricFamily(
                "strongroom_next_renewal_timestamp_seconds",
                "When the next secret rotates by itself.",
                value=statistics.next_renewal_at.timestamp(),
            )

    def _of_store(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily

        try:
            stored = self._count()
        except StrongroomError:
            yield GaugeMetricFamily("strongroom_store_up", "Whether the database answers.", value=0)
            return
        yield GaugeMetricFamily("strongroom_store_up", "Whether the database answers.", value=1)
        secrets = GaugeMetricFamily("strongroom_secrets", "Secrets.", labels=["secret_type"])
        for name, count in sorted(stored.secrets.items()):
            secrets.add_metric([name], count)
        yield secrets
        yield GaugeMetricFamily("strongroom_secret_groups", "Secret groups, the default one included.", stored.groups)
        statistics = stored.statistics
        expiry = HistogramMetricFamily("strongroom_days_to_expiry", "Active secrets by the days they have left.")
        counts = [statistics.expiring[0] + statistics.expired, *statistics.expiring[1:]]
        expiry.add_metric([], _cumulative(EXPIRY_BOUNDS, counts), None)
        yield expiry
        for name, value, text in (
            ("strongroom_secrets_overdue_to_expire", statistics.expired, "Active secrets past their expiry."),
            ("strongroom_rotations_failed", statistics.rotations_failed, "Secrets whose last rotation failed."),
            ("strongroom_notifications_waiting", stored.open_deliveries, "Deliveries of notices that have not ended."),
            ("strongroom_rotations_blocked", statistics.rotations_blocked, "Secrets whose rotation waits for locks."),
        ):
            yield GaugeMetricFamily(name, text, value=value)
        jobs = GaugeMetricFamily("strongroom_jobs", "Jobs that are open or have failed.", labels=["kind", "state"])
        for (kind, state), count in sorted(statistics.jobs.items()):
            jobs.add_metric([kind, state.value], count)
        yield jobs
        yield from self._of_orders(statistics)
        yield from self._of_authorities(statistics.authorities)

    def _count(self) -> _Stored:
        now = time.monotonic()
        if self._stored is None or now - self._stored.at >= _KEPT_S:
            self._stored = self._storage.read(self._gather)
        return self._stored

    def _gather(self, unit: ReadUnit) -> _Stored:
        now = self._clock.now()
        secrets: dict[str, int] = {}
        for (_, secret_type), count in unit.secrets.counts().items():
            secrets[secret_type.value] = secrets.get(secret_type.value, 0) + count
        return _Stored(
            at=time.monotonic(),
            secrets=secrets,
            groups=unit.groups.count() + 1,
            open_deliveries=unit.notifications.open_deliveries(),
            statistics=unit.statistics.gather(now, [now + timedelta(days=days) for days in EXPIRY_BOUNDS]),
        )


class RequestObserver:
    """Counts requests and writes what operators need to see of them."""

    def __init__(self, metrics: Metrics, log: Any) -> None:
        self._count = metrics.observe_request
        self._log = log
        # One line per request costs as much as the request: only who asks for it gets it.
        self._access_log = log.is_enabled_for(logging.DEBUG)

    def finished(self, call: Call, status: int, seconds: float) -> None:
        """Note an answered request."""
        operation = call.operation
        self._count(operation.method, operation.path, status, seconds)
        if status >= _SERVER_ERROR:
            self._log.error("request failed", **_facts(call, status, seconds))
        elif self._access_log:
            self._log.debug("request", **_facts(call, status, seconds))

    def crashed(self, call: Call, error: BaseException) -> None:
        """Note a bug; the only place where it is described."""
        self._log.error("unexpected error", operation=call.operation.name, trace=call.request_id, exc_info=error)


def _facts(call: Call, status: int, seconds: float) -> dict[str, Any]:
    return {
        "operation": call.operation.name,
        "status": status,
        "ms": round(seconds * 1000, 2),
        "trace": call.request_id,
        "address": call.address,
        "caller": call.principal.iam_id,
    }


def _cumulative(bounds: tuple[float, ...] | tuple[int, ...], counts: list[int]) -> list[tuple[str, float]]:
    """Return buckets as Prometheus has them: each counts all below its bound."""
    total = 0.0
    buckets = []
    for bound, count in zip((*map(str, bounds), "+Inf"), counts, strict=True):
        total += count
        buckets.append((bound, total))
    return buckets
