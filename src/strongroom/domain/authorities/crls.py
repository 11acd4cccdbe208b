"""Certificate revocation lists, always current when they are asked for.

A revocation only stores its entry and marks the list as out of date. Whoever asks next, or the background job, waits
for the rebuild; those who ask meanwhile wait for the same one. Source: design, section 8 ("CRL after a revocation").
"""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from strongroom.domain.authorities.context import AuthorityContext, certificate_of
from strongroom.domain.authorities.model import Authority, AuthorityId, Crl
from strongroom.domain.configurations.model import Configuration
from strongroom.domain.jobs.model import Job
from strongroom.domain.jobs.steps import Done, Step, new_job
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.kernel.errors import ErrorCode, NotFound, Unavailable
from strongroom.pki.authority import DEFAULT_CRL_EXPIRY
from strongroom.pki.crl import build_crl
from strongroom.pki.extensions import read_key_id

RENEW: Final = "crl.renew"
_AT_LEAST_LEFT: Final = 4
"""A list is renewed when less than one part in so many of its life is left."""
_BATCH: Final = 50
_KEPT: Final = 32
"""Lists in memory."""
_BACKDATED: Final = timedelta(minutes=5)
"""Clocks of relying parties differ a little."""


class Crls:
    """Builds and keeps the revocation lists of all authorities."""

    def __init__(self, context: AuthorityContext) -> None:
        self._context = context
        self._locks: dict[AuthorityId, threading.Lock] = defaultdict(threading.Lock)
        self._newest: OrderedDict[AuthorityId, Crl] = OrderedDict()

    def current(self, configuration: Configuration, authority_id: AuthorityId) -> Crl:
        """Return a list that shows every revocation that was answered before this call.

        Raises:
            NotFound: the authority is not there any more.
            Unavailable: its key is in a token that does not answer, and the stored list is not true any more.
        """
        try:
            return self.renewed(configuration, authority_id)
        except Unavailable:
            # Renewal begins long before a list lapses, so relying parties need not notice that a token is away.
            valid = self._context.storage.read(lambda unit: self._valid(unit, authority_id))
            if valid is None:
                raise
            return valid

    def renewed(self, configuration: Configuration, authority_id: AuthorityId) -> Crl:
        """Return a list as `current` does that has most of its life before it.

        Raises:
            NotFound: the authority is not there any more.
            Unavailable: its key is in a token that does not answer.
        """
        fresh = self._context.storage.read(lambda unit: self.fresh(unit, configuration, authority_id))
        return fresh or self._rebuilt(configuration, authority_id)

    def rebuild(self, configuration: Configuration, authority_id: AuthorityId) -> Crl:
        """Build the list anew, whether or not it is out of date."""
        with self._locks[authority_id]:
            return self._build(configuration, authority_id)

    def _rebuilt(self, configuration: Configuration, authority_id: AuthorityId) -> Crl:
        with self._locks[authority_id]:
            # Another request may have rebuilt it while this one waited.
            fresh = self._context.storage.read(lambda unit: self.fresh(unit, configuration, authority_id))
            return fresh or self._build(configuration, authority_id)

    def fresh(self, unit: ReadUnit, configuration: Configuration, authority_id: AuthorityId) -> Crl | None:
        """Return the stored list unless it is out of date or about to lapse."""
        crl = self._valid(unit, authority_id)
        if crl is None:
            return None
        left = crl.next_update - self._context.now()
        return crl if left * _AT_LEAST_LEFT > life_of(configuration) else None

    def _valid(self, unit: ReadUnit, authority_id: AuthorityId) -> Crl | None:
        """Return the stored list unless it is out of date or has lapsed."""
        authority = _find(unit, authority_id)
        crl = self._stored(unit, authority)
        if crl is None or crl.covers < authority.crl_wanted or crl.next_update <= self._context.now():
            return None
        return crl

    def _stored(self, unit: ReadUnit, authority: Authority) -> Crl | None:
        """Return the stored list, the same object as long as there is no newer one.

        A list may have megabytes, and anybody may fetch it, slowly and as often as he likes.
        """
        known = self._newest.get(authority.id)
        if known is not None and known.number == authority.crl_number:
            return known
        found = unit.authorities.find_crl(authority.id)
        if found is not None:
            self._newest[authority.id] = found
            if len(self._newest) > _KEPT:
                self._newest.popitem(last=False)
        return found

    def _build(self, configuration: Configuration, authority_id: AuthorityId) -> Crl:
        now = self._context.now().replace(microsecond=0)

        def look_up(unit: ReadUnit) -> tuple[Configuration, Authority, list[bytes]]:
            authority = _find(unit, authority_id)
            # As it is in this snapshot: a list that covers a change of the settings must be made by them.
            settings = unit.configurations.find_by_id(configuration.id) or configuration
            if settings.document.get("crl_disable"):
                return settings, authority, []
            return settings, authority, list(unit.authorities.revoked_entries(authority_id, now))

        settings, authority, entries = self._context.storage.read(look_up)
        crl = self._sign(settings, authority, entries, now)
        if self._context.storage.write(lambda unit: unit.authorities.put_crl(crl)):
            return crl
        # Another process was quicker with this number; what it stored may be older than what is wanted.
        return self._build(configuration, authority_id)

    def _sign(self, configuration: Configuration, authority: Authority, entries: Iterable[bytes], now: datetime) -> Crl:
        # The seconds of the clock: so the number does not go back either when an older backup is restored, or a CA is
        # made anew over a key that stayed in its token.
        number = max(authority.crl_number + 1, int(now.timestamp()))
        next_update = now + life_of(configuration)
        der = build_crl(
            self._context.issuer(authority),
            key_id=read_key_id(certificate_of(authority)).digest,
            number=number,
            # Not before the CA itself, unless that is yet to come.
            this_update=min(now, max(now - _BACKDATED, certificate_of(authority).not_valid_before_utc)),
            next_update=next_update,
            entries=entries,
        )
        return Crl(
            authority_id=authority.id,
            number=number,
            covers=authority.crl_wanted,
            this_update=now,
            next_update=next_update,
            der=der,
        )


class CrlRenewal:
    """Finds lists that are out of date or about to lapse, and renews them."""

    kind: Final = RENEW

    def __init__(self, context: AuthorityContext, crls: Crls) -> None:
        self._context = context
        self._crls = crls

    def enqueue_due(self, unit: Unit, now: datetime) -> int:
        """Queue a job for each list that needs one."""
        new = 0
        for authority_id in unit.authorities.crls_due(now + DEFAULT_CRL_EXPIRY / _AT_LEAST_LEFT, _BATCH):
            configuration = _configuration(unit, authority_id)
            # The store knows when a list lapses, not how long it lived: one with a short life is not due yet.
            if configuration is None or self._crls.fresh(unit, configuration, authority_id) is not None:
                continue
            job = new_job(RENEW, dedupe_key=f"{RENEW}:{authority_id}", now=now, data={"authority_id": authority_id})
            new += unit.jobs.enqueue(job)
        return new

    def run(self, job: Job) -> Step:
        """Renew one list."""
        authority_id = AuthorityId(str(job.data["authority_id"]))
        found = self._context.storage.read(lambda unit: _configuration(unit, authority_id))
        if found is not None:
            self._crls.renewed(found, authority_id)
        return Done()


def life_of(configuration: Configuration) -> timedelta:
    """Return how long a list of the CA is valid."""
    seconds = configuration.document.get("crl_expiry_seconds") or DEFAULT_CRL_EXPIRY.total_seconds()
    return timedelta(seconds=seconds)


def _find(unit: ReadUnit, authority_id: AuthorityId) -> Authority:
    authority = unit.authorities.find(authority_id)
    if authority is None or authority.certificate is None:
        raise NotFound(ErrorCode.NOT_FOUND, "There is no such revocation list.")
    return authority


def _configuration(unit: ReadUnit, authority_id: AuthorityId) -> Configuration | None:
    authority = unit.authorities.find(authority_id)
    return None if authority is None else unit.configurations.find_by_id(authority.configuration_id)
