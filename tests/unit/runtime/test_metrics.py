"""Metrics: what is counted, and the text that monitors read."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client.parser import text_string_to_metric_families

from strongroom import __version__
from strongroom.api.operations import Call
from strongroom.domain.authorities.ocsp import OcspOutcome
from strongroom.domain.jobs.model import JobState
from strongroom.domain.ports import AuthorityFigures, Statistics, Storage
from strongroom.domain.secrets.model import SecretType
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import ErrorCode, Unavailable
from strongroom.runtime import metrics as module
from strongroom.runtime.key_pool import KeyPoolFigures
from strongroom.runtime.metrics import EXPIRY_BOUNDS, Metrics


class Counting:
    """A store that counts, and counts how often."""

    def __init__(self) -> None:
        self.reads = 0
        self.down = False
        self.bounds: list[datetime] = []
        self.authorities: list[AuthorityFigures] = []
        self.next_renewal_at: datetime | None = None

    def read(self, fn: Callable[[Any], Any]) -> Any:
        self.reads += 1
        if self.down:
            raise Unavailable(ErrorCode.UNAVAILABLE, "down")
        return fn(
            SimpleNamespace(
                secrets=SimpleNamespace(
                    counts=lambda: {
                        ("a", SecretType.KV): 2,
                        ("b", SecretType.KV): 3,
                        ("a", SecretType.IMPORTED_CERT): 7,
                    }
                ),
                groups=SimpleNamespace(count=lambda: 4),
                notifications=SimpleNamespace(open_deliveries=lambda: 3),
                statistics=SimpleNamespace(gather=self.gather),
            )
        )

    def gather(self, now: datetime, bounds: list[datetime]) -> Statistics:
        self.bounds = bounds
        return Statistics(
            expired=1,
            expiring=(2, 0, 0, 5, 0, 0, 0, 0, 9),
            rotations_failed=3,
            rotations_blocked=6,
            renewals=(1, 2, 2, 3, 4, 4, 4, 4, 5),
            next_renewal_at=self.next_renewal_at,
            orders={("le", JobState.WAITING, "propagate"): 4, ("le", JobState.QUEUED, "place"): 2},
            orders_failed={"le": 3},
            jobs={("secret.rotate", JobState.WAITING): 8},
            authorities=tuple(self.authorities),
        )


WRITER = SimpleNamespace(
    batches=10, units=25, failed_units=1, audit_records=40, largest_batch=6, queued_units=2, queued_entries=5
)
KEYS = [
    KeyPoolFigures(bits=2048, depth=60, taken=7, misses=2, made=67),
    KeyPoolFigures(bits=4096, depth=0, taken=1, misses=1, made=1),
]


OCSP_ANSWERS = {OcspOutcome.GOOD: 11, OcspOutcome.REVOKED: 2, OcspOutcome.MALFORMED: 0}


@dataclass
class Log:
    """A log that remembers."""

    debugging: bool = False
    lines: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def is_enabled_for(self, _: int) -> bool:
        return self.debugging

    def debug(self, event: str, **fields: Any) -> None:
        self.lines.append(("debug", event, fields))

    def error(self, event: str, **fields: Any) -> None:
        self.lines.append(("error", event, fields))


@pytest.fixture
def store() -> Counting:
    return Counting()


@pytest.fixture
def metrics(store: Counting, clock: FrozenClock) -> Metrics:
    return Metrics(
        storage=cast("Storage", store),
        clock=clock,
        writer=lambda: WRITER,
        key_pool=lambda: KEYS,
        ocsp_answers=lambda: OCSP_ANSWERS,
        deliveries=lambda: {("webhook", "delivered"): 4, ("email", "retrying"): 1},
    )


def samples(metrics: Metrics) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_requests_are_counted_by_class_route_and_status(metrics: Metrics) -> None:
    for method, status in (("GET", 200), ("GET", 200), ("GET", 404), ("POST", 500), ("DELETE", 204)):
        metrics.observe_request(method, "/api/v2/secrets/{id}", status, 0.004)
    found = samples(metrics)
    route = "route=/api/v2/secrets/{id}"
    assert found[f"strongroom_requests_total{{class=read,method=GET,{route},status=200}}"] == 2
    assert found[f"strongroom_requests_total{{class=write,method=POST,{route},status=500}}"] == 1
    assert found[f"strongroom_requests_total{{class=delete,method=DELETE,{route},status=204}}"] == 1
    assert found["strongroom_errors_total{class=4xx}"] == 1
    assert found["strongroom_errors_total{class=5xx}"] == 1


def test_latencies_are_a_histogram_for_each_class(metrics: Metrics) -> None:
    for seconds in (0.0005, 0.004, 0.004, 99.0):
        metrics.observe_request("GET", "/", 200, seconds)
    found = samples(metrics)
    assert found["strongroom_request_seconds_bucket{class=read,le=0.001}"] == 1
    assert found["strongroom_request_seconds_bucket{class=read,le=0.005}"] == 3
    assert found["strongroom_request_seconds_bucket{class=read,le=+Inf}"] == 4
    assert found["strongroom_request_seconds_count{class=read}"] == 4
    assert found["strongroom_request_seconds_sum{class=read}"] == pytest.approx(99.0085)
    assert found["strongroom_request_seconds_count{class=write}"] == 0


def test_last_full_minute_has_average_longest_and_shortest(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [time.monotonic()]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    metrics.observe_request("GET", "/", 200, 0.1)
    metrics.observe_request("GET", "/", 200, 0.3)
    assert not any("window" in name for name in samples(metrics))
    now[0] += 61
    found = samples(metrics)
    assert found["strongroom_request_window_seconds{class=read,value=avg}"] == pytest.approx(0.2)
    assert found["strongroom_request_window_seconds{class=read,value=max}"] == 0.3
    assert found["strongroom_request_window_seconds{class=read,value=min}"] == 0.1
    now[0] += 200
    metrics.observe_request("GET", "/", 200, 0.7)
    assert not any("window" in name for name in samples(metrics))


def test_steps_of_jobs_are_counted_by_kind_and_outcome(metrics: Metrics) -> None:
    metrics.observe_job("secret.rotate", "done", 0.5)
    metrics.observe_job("secret.rotate", "done", 1.5)
    metrics.observe_job("secret.rotate", "error", 0.1)
    found = samples(metrics)
    assert found["strongroom_job_step_seconds_count{kind=secret.rotate,outcome=done}"] == 2
    assert found["strongroom_job_step_seconds_sum{kind=secret.rotate,outcome=done}"] == 2.0
    assert found["strongroom_job_step_seconds_count{kind=secret.rotate,outcome=error}"] == 1


def test_secrets_groups_and_jobs_come_from_the_store(metrics: Metrics) -> None:
    found = samples(metrics)
    assert found["strongroom_store_up{}"] == 1
    assert found["strongroom_secrets{secret_type=kv}"] == 5
    assert found["strongroom_secrets{secret_type=imported_cert}"] == 7
    assert found["strongroom_secret_groups{}"] == 5
    assert found["strongroom_jobs{kind=secret.rotate,state=waiting}"] == 8
    assert found["strongroom_rotations_failed{}"] == 3
    assert found["strongroom_rotations_blocked{}"] == 6
    assert found["strongroom_secrets_overdue_to_expire{}"] == 1


def test_days_to_expiry_are_a_histogram(metrics: Metrics, store: Counting, clock: FrozenClock) -> None:
    found = samples(metrics)
    assert store.bounds == [clock.now() + timedelta(days=days) for days in EXPIRY_BOUNDS]
    assert found["strongroom_days_to_expiry_bucket{le=1}"] == 3
    assert found["strongroom_days_to_expiry_bucket{le=30}"] == 8
    assert found["strongroom_days_to_expiry_bucket{le=+Inf}"] == 17


def test_orders_and_renewals_are_told(metrics: Metrics, store: Counting, clock: FrozenClock) -> None:
    assert "strongroom_next_renewal_timestamp_seconds" not in metrics.render().decode()
    store.next_renewal_at = clock.now() + timedelta(hours=1)
    metrics._stored = None
    text = metrics.render().decode()
    assert 'strongroom_orders{ca="le",state="waiting",step="propagate"} 4.0' in text
    assert 'strongroom_orders{ca="le",state="queued",step="place"} 2.0' in text
    assert 'strongroom_public_renewals_failed{ca="le"} 3.0' in text
    assert 'strongroom_renewals_due{days="0"} 1.0' in text
    assert 'strongroom_renewals_due{days="365"} 5.0' in text
    found = {family.name: family.samples for family in text_string_to_metric_families(text)}
    (sample,) = found["strongroom_next_renewal_timestamp_seconds"]
    assert sample.value == store.next_renewal_at.timestamp()


def test_figures_of_the_writer_are_shown(metrics: Metrics) -> None:
    found = samples(metrics)
    assert found["strongroom_writer_batches_total{}"] == 10
    assert found["strongroom_writer_units_total{}"] == 25
    assert found["strongroom_audit_records_total{}"] == 40
    assert found["strongroom_audit_queue{}"] == 5
    assert found["strongroom_writer_queue{}"] == 2


def test_every_name_has_our_prefix_and_the_version_is_shown(metrics: Metrics) -> None:
    found = samples(metrics)
    assert all(name.startswith("strongroom_") for name in found)
    assert found[f"strongroom_build_info{{version={__version__}}}"] == 1


def test_store_is_asked_once_in_ten_seconds(metrics: Metrics, store: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics.render()
    metrics.render()
    assert store.reads == 1
    monkeypatch.setattr(module, "_KEPT_S", 0.0)
    metrics.render()
    assert store.reads == 2


def test_scrape_without_a_database_still_answers(metrics: Metrics, store: Counting) -> None:
    store.down = True
    found = samples(metrics)
    assert found["strongroom_store_up{}"] == 0
    assert "strongroom_secret_groups{}" not in found
    assert found["strongroom_writer_batches_total{}"] == 10


def a_call(method: str = "GET") -> Call:
    return cast(
        "Call",
        SimpleNamespace(
            operation=SimpleNamespace(name="get_secret", method=method, path="/api/v2/secrets/{id}"),
            request_id="req-1",
            address="192.0.2.7",
            principal=SimpleNamespace(iam_id="iam-1"),
        ),
    )


def test_answers_are_counted_without_a_log_line(metrics: Metrics) -> None:
    log = Log()
    metrics.observer(log).finished(a_call(), 200, 0.001)
    assert log.lines == []
    name = "strongroom_requests_total{class=read,method=GET,route=/api/v2/secrets/{id},status=200}"
    assert samples(metrics)[name] == 1


def test_every_request_is_logged_when_asked_for(metrics: Metrics) -> None:
    log = Log(debugging=True)
    metrics.observer(log).finished(a_call(), 200, 0.0123)
    assert log.lines == [
        (
            "debug",
            "request",
            {
                "operation": "get_secret",
                "status": 200,
                "ms": 12.3,
                "trace": "req-1",
                "address": "192.0.2.7",
                "caller": "iam-1",
            },
        )
    ]


def test_server_errors_are_always_logged(metrics: Metrics) -> None:
    log = Log()
    metrics.observer(log).finished(a_call(), 503, 0.1)
    assert [(level, event, fields["trace"]) for level, event, fields in log.lines] == [
        ("error", "request failed", "req-1")
    ]


def test_bugs_are_logged_with_their_trace(metrics: Metrics) -> None:
    log, error = Log(), ValueError("x")
    metrics.observer(log).crashed(a_call(), error)
    assert log.lines == [
        ("error", "unexpected error", {"operation": "get_secret", "trace": "req-1", "exc_info": error})
    ]


def test_rsa_keys_that_were_made_ahead_are_told_by_size(metrics: Metrics) -> None:
    found = samples(metrics)
    assert found["strongroom_rsa_keys_ready{bits=2048}"] == 60
    assert found["strongroom_rsa_keys_taken_total{bits=2048}"] == 7
    assert found["strongroom_rsa_key_misses_total{bits=2048}"] == 2
    assert found["strongroom_rsa_keys_made_total{bits=2048}"] == 67
    assert found["strongroom_rsa_key_misses_total{bits=4096}"] == 1


def test_ocsp_answers_are_counted_by_status(metrics: Metrics) -> None:
    found = samples(metrics)
    assert found["strongroom_ocsp_answers_total{status=good}"] == 11
    assert found["strongroom_ocsp_answers_total{status=revoked}"] == 2
    assert found["strongroom_ocsp_answers_total{status=malformed}"] == 0


EXPIRES = "strongroom_ca_certificate_expires_timestamp_seconds"
LAPSES = "strongroom_crl_next_update_timestamp_seconds"
NUMBER = "strongroom_crl_number"
DAY = timedelta(days=1)


def a_key(clock: FrozenClock, name: str, generation: int, days: float, **changes: Any) -> AuthorityFigures:
    """Return a key of a CA whose certificate and list have so many days."""
    fields: dict[str, Any] = {"is_revoked": False, "crl_number": 70 + generation, "key_id": f"k{generation}"}
    fields |= {"not_after": clock.now() + days * DAY, "crl_next_update": clock.now() + DAY}
    return AuthorityFigures(name=name, generation=generation, **(fields | changes))


def about_authorities(metrics: Metrics) -> dict[str, float]:
    return {name: value for name, value in samples(metrics).items() if name.startswith((EXPIRES, LAPSES, NUMBER))}


def test_ends_of_authorities_and_of_their_lists_are_told(metrics: Metrics, store: Counting, clock: FrozenClock) -> None:
    store.authorities = [a_key(clock, "root", 1, 900)]
    assert about_authorities(metrics) == {
        f"{EXPIRES}{{ca=root}}": (clock.now() + 900 * DAY).timestamp(),
        f"{LAPSES}{{ca=root,key=k1}}": (clock.now() + DAY).timestamp(),
        f"{NUMBER}{{ca=root,key=k1}}": 71,
    }


def test_a_rotated_authority_has_one_end_and_a_list_for_each_key(
    metrics: Metrics, store: Counting, clock: FrozenClock
) -> None:
    store.authorities = [a_key(clock, "issuing", 2, 300), a_key(clock, "issuing", 1, 10)]
    found = about_authorities(metrics)
    assert found[f"{EXPIRES}{{ca=issuing}}"] == (clock.now() + 300 * DAY).timestamp()
    assert {name for name in found if name.startswith(NUMBER)} == {
        f"{NUMBER}{{ca=issuing,key=k1}}",
        f"{NUMBER}{{ca=issuing,key=k2}}",
    }


def test_nobody_is_woken_by_what_ended_as_it_should(metrics: Metrics, store: Counting, clock: FrozenClock) -> None:
    store.authorities = [
        a_key(clock, "issuing", 2, 300, crl_next_update=None),
        a_key(clock, "issuing", 1, -1),
        a_key(clock, "gone", 2, 300, is_revoked=True),
        a_key(clock, "gone", 1, -1),
    ]
    # The list of a revoked authority is still renewed.
    assert set(about_authorities(metrics)) == {
        f"{EXPIRES}{{ca=issuing}}",
        f"{LAPSES}{{ca=gone,key=k2}}",
        f"{NUMBER}{{ca=gone,key=k2}}",
    }


def test_the_end_of_an_authority_is_told_when_it_has_passed(
    metrics: Metrics, store: Counting, clock: FrozenClock
) -> None:
    store.authorities = [a_key(clock, "root", 1, -1)]
    assert set(about_authorities(metrics)) == {f"{EXPIRES}{{ca=root}}"}
