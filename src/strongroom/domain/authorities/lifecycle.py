"""What authorities tell of by themselves: that a certificate or a revocation list of theirs is about to end.

Nobody is told twice of one thing: what was told is kept in a job that stays open as long as the thing does, and both
are written by one commit. Source: contract domain sections 5.9 and 7.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from strongroom.domain.access.principals import SYSTEM
from strongroom.domain.authorities.context import AuthorityContext
from strongroom.domain.authorities.crls import RENEW
from strongroom.domain.authorities.model import Authority, AuthorityId, Crl
from strongroom.domain.configurations.model import Configuration
from strongroom.domain.jobs.model import ENDED, Job, JobQuery
from strongroom.domain.jobs.steps import Commit, Done, Ended, Step, Waiting, new_job
from strongroom.domain.notifications.ladder import NOTICE_DAYS, days_left, sub_type
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.kernel.time import format_rfc3339, from_microseconds, to_microseconds
from strongroom.pki.authority import DEFAULT_CRL_EXPIRY
from strongroom.pki.formats import serial_text

WATCH_CERTIFICATE: Final = "authority.watch"
WATCH_CRL: Final = "crl.watch"

_DAY: Final = timedelta(days=1)
_JUST_AFTER: Final = timedelta(microseconds=1)
_CRL_PART: Final = 8
"""People are told when less than one part in so many of a list's life is left: it is renewed at twice of that."""
_LET_RENEWAL_TRY: Final = timedelta(minutes=1)
"""After a time without a server, lists are renewed before anybody is told that they could not be."""
_LOOK_AGAIN: Final = timedelta(hours=1)
_BATCH: Final = 50


class AuthorityEvent(StrEnum):
    """What happened to an authority."""

    ABOUT_TO_EXPIRE = "ca_about_to_expire"
    EXPIRED = "ca_expired"
    CRL_ABOUT_TO_EXPIRE = "crl_about_to_expire"
    CRL_EXPIRED = "crl_expired"


class CertificateWatch:
    """Tells of the newest certificate of each CA that it is about to end, and that it has ended."""

    kind: Final = WATCH_CERTIFICATE

    def __init__(self, context: AuthorityContext) -> None:
        self._context = context

    def enqueue_due(self, unit: Unit, now: datetime) -> int:
        """Queue the watch of every certificate that nobody watches yet."""
        new = 0
        for authority in unit.authorities.current():
            if authority.revoked_at is None and authority.not_after is not None and authority.not_after > now:
                key = f"{self.kind}:{authority.id}"
                job = new_job(self.kind, dedupe_key=key, now=now, data={"authority_id": authority.id})
                new += unit.jobs.enqueue(job)
        return new

    def run(self, job: Job) -> Step:
        """Tell what is to be told today, and wait for the next day of the certificate's life."""
        return Commit(lambda unit: self._look(unit, job))

    def _look(self, unit: Unit, job: Job) -> Ended:
        now = self._context.now()
        authority = unit.authorities.find(AuthorityId(str(job.data["authority_id"])))
        configuration = unit.configurations.find_by_id(authority.configuration_id) if authority is not None else None
        if authority is None or configuration is None or authority.revoked_at is not None:
            return Done()
        is_newest = unit.authorities.generations(configuration.id)[0].id == authority.id
        end = authority.not_after
        if end is None or not is_newest:
            return Done()
        told = _told(job, end)
        details = _certificate_details(configuration, authority, end)
        if end <= now:
            self._context.outbox.emit_about_server(unit, AuthorityEvent.EXPIRED, details, by=SYSTEM.iam_id, at=now)
            return Done()
        days = days_left(end, now)
        if days in NOTICE_DAYS and days not in told:
            told = [*told, days]
            self._context.outbox.emit_about_server(
                unit,
                AuthorityEvent.ABOUT_TO_EXPIRE,
                details,
                by=SYSTEM.iam_id,
                at=now,
                sub_type=sub_type(days),
            )
        data = {**job.data, "not_after": to_microseconds(end), "told": told}
        return Waiting("the end of the certificate to come nearer", end - days * _DAY + _JUST_AFTER, data)


class CrlWatch:
    """Tells of revocation lists that could not be renewed in time."""

    kind: Final = WATCH_CRL

    def __init__(self, context: AuthorityContext) -> None:
        self._context = context

    def enqueue_due(self, unit: Unit, now: datetime) -> int:
        """Queue the watch of every list that should have been renewed by now."""
        new = 0
        for authority_id in unit.authorities.crls_due(now + DEFAULT_CRL_EXPIRY / _CRL_PART, _BATCH):
            crl = unit.authorities.find_crl(authority_id)
            if crl is None or not _is_late(crl, now):
                continue
            job = new_job(
                self.kind,
                dedupe_key=f"{self.kind}:{authority_id}",
                now=now,
                run_at=now + _LET_RENEWAL_TRY,
                data={"authority_id": authority_id, "number": crl.number},
            )
            new += unit.jobs.enqueue(job)
        return new

    def run(self, job: Job) -> Step:
        """Tell that the list is about to lapse or has lapsed, until there is a new one."""
        return Commit(lambda unit: self._look(unit, job))

    def _look(self, unit: Unit, job: Job) -> Ended:
        now = self._context.now()
        authority_id = AuthorityId(str(job.data["authority_id"]))
        authority, crl = unit.authorities.find(authority_id), unit.authorities.find_crl(authority_id)
        if authority is None or crl is None or crl.number != job.data["number"]:
            return Done()
        configuration = unit.configurations.find_by_id(authority.configuration_id)
        if configuration is None:
            return Done()
        is_over = crl.next_update <= now
        event = AuthorityEvent.CRL_EXPIRED if is_over else AuthorityEvent.CRL_ABOUT_TO_EXPIRE
        data = dict(job.data)
        if event.value not in data:
            details = _crl_details(unit, configuration, crl)
            self._context.outbox.emit_about_server(unit, event, details, by=SYSTEM.iam_id, at=now)
            data[event.value] = to_microseconds(now)
        until = now + _LOOK_AGAIN
        return Waiting("the revocation list to be renewed", until if is_over else min(until, crl.next_update), data)


def _told(job: Job, end: datetime) -> list[int]:
    """Return of which days people were told, unless the authority has got another certificate since."""
    known = job.data.get("not_after")
    if not isinstance(known, int) or from_microseconds(known) != end:
        return []
    return [int(days) for days in job.data.get("told", ())]


def _is_late(crl: Crl, now: datetime) -> bool:
    return (crl.next_update - now) * _CRL_PART <= crl.next_update - crl.this_update


def _named(configuration: Configuration) -> dict[str, Any]:
    return {
        "configuration_id": configuration.id,
        "configuration_name": configuration.name,
        "configuration_type": configuration.config_type.value,
    }


def _certificate_details(configuration: Configuration, authority: Authority, end: datetime) -> Mapping[str, Any]:
    details = {**_named(configuration), "certificate_expiration": format_rfc3339(end)}
    if authority.serial is not None:
        details["serial_number"] = serial_text(int(authority.serial, 16))
    return details


def _crl_details(unit: ReadUnit, configuration: Configuration, crl: Crl) -> Mapping[str, Any]:
    details = {
        **_named(configuration),
        "crl_number": crl.number,
        "crl_expiration": format_rfc3339(crl.next_update),
    }
    tried = unit.jobs.page(JobQuery(limit=_BATCH, kind=RENEW)).items
    for job in tried:
        if job.state not in ENDED and job.data.get("authority_id") == crl.authority_id and job.last_error is not None:
            details["failure_reason"] = job.last_error.message
    return details
