"""When certificates are renewed, and when it is tried again. Nothing here looks at a clock or a store.

Sources: design, section 8 ("renewal time", "a renewal that does not succeed"); RFC 9773 (renewal information).

What is spread is spread by a digest of a key that belongs to the certificate: the same question gets the same answer
after a restart and on every server.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from strongroom.domain.orders.acme import RenewalWindow
from strongroom.domain.orders.model import RenewalCheck
from strongroom.kernel.ids import SecretId, VersionId

LONG_LIFE: Final = timedelta(days=90)
BEFORE_END: Final = timedelta(days=31)
"""Of certificates with a long life."""
SHORT_LIFE: Final = timedelta(days=10)
_BOTH_ENDS: Final = timedelta(seconds=1)
"""A certificate is valid in its last second, too: the life of what is issued for 90 days is 90 days."""

_JITTER_SHARE: Final = 360
"""Part of its life by which a certificate may be renewed earlier than the rule says: six hours of ninety days."""
_JITTER_MOST: Final = timedelta(hours=6)

NEXT_DAY: Final = timedelta(days=1)
_SOONEST: Final = timedelta(hours=1)
_NEAR: Final = 8
"""Within so many days of the end, on either side, it is tried more often than once a day."""
_SOONEST_ASKED: Final = timedelta(minutes=10)
_LONGEST_ASKED: Final = timedelta(days=7)

CHECK_FIRST_WITHIN: Final = timedelta(hours=1)
CHECK_AGAIN: Final = timedelta(hours=6)
"""Where the CA does not say. Source: RFC 9773 section 4.3.3."""
_CHECK_BACK_OFF: Final = (timedelta(minutes=10), timedelta(minutes=30), timedelta(hours=2))


def renew_at(not_before: datetime, not_after: datetime, *, key: str | None = None) -> datetime:
    """Return when a certificate is due by the rule.

    Args:
        not_before: first second of its life.
        not_after: last one.
        key: its serial number, say: it is then due a little earlier than the rule says, each at its own time, so that
            those that were issued together are not renewed in the same minute. Never later.
    """
    life = max(not_after - not_before + _BOTH_ENDS, timedelta())
    if life >= LONG_LIFE:
        before = BEFORE_END
    elif life >= SHORT_LIFE:
        before = life / 3
    else:
        before = life / 2
    if key is not None:
        before += min(life / _JITTER_SHARE, _JITTER_MOST) * _share(key)
    return not_after - before


def next_attempt(
    now: datetime, *, expires_at: datetime | None, retry_after: timedelta | None = None, key: str | None = None
) -> datetime:
    """Return when a renewal that failed is tried again: the next day, more often around the end of the certificate.

    Args:
        now: when it failed.
        expires_at: of the certificate that is to be renewed.
        retry_after: what the CA asked for. It counts for a week at most, and not longer than half of what is left,
            which is a day at least: somebody's mistake must not let a certificate lapse.
        key: of the certificate; those that failed together are then not tried together.
    """
    left = NEXT_DAY * _NEAR if expires_at is None else expires_at - now
    if retry_after is not None:
        longest = min(max(left / 2, NEXT_DAY), _LONGEST_ASKED)
        wait = min(max(retry_after, _SOONEST_ASKED), longest)
    else:
        wait = min(max(abs(left) / _NEAR, _SOONEST), NEXT_DAY)
        if key is not None:
            # Earlier, so that it is never more than a day.
            wait -= wait / 24 * _share(f"{key} {now.isoformat()}")
    return now + wait


def choose_in_window(start: datetime, end: datetime, now: datetime, *, key: str) -> datetime:
    """Return an instant within a CA's window, the same for the same certificate and window; now if it is past.

    Source: RFC 9773 section 4.2.
    """
    chosen = start + (end - start) * _share(f"{key} {start.isoformat()} {end.isoformat()}")
    return max(chosen, now)


def first_check(secret_id: SecretId, version_id: VersionId, now: datetime) -> RenewalCheck:
    """Return when to ask for the first time about a new certificate: soon, but not all at once."""
    return RenewalCheck(
        secret_id=secret_id, version_id=version_id, check_at=now + CHECK_FIRST_WITHIN * _share(version_id)
    )


def answered(check: RenewalCheck, window: RenewalWindow, now: datetime) -> RenewalCheck:
    """Return a check after the CA told its window.

    The instant within the window is chosen once; a window that has moved brings another. An empty one counts as no
    answer. Source: RFC 9773 section 4.2.
    """
    if window.end <= window.start:
        return unanswered(check, now)
    renew = check.renew_at
    if renew is None or (window.start, window.end) != (check.window_start, check.window_end):
        renew = choose_in_window(window.start, window.end, now, key=check.version_id)
    return replace(
        check,
        check_at=now + window.check_again,
        window_start=window.start,
        window_end=window.end,
        explanation_url=window.explanation_url,
        renew_at=renew,
        failures=0,
    )


def unanswered(check: RenewalCheck, now: datetime, retry_after: timedelta | None = None) -> RenewalCheck:
    """Return a check after the CA said nothing of use; what it said before still counts. Source: RFC 9773 section 4.3.

    Args:
        check: as it was.
        now: when the CA was asked.
        retry_after: what it asked for; a day at most.
    """
    wait = _CHECK_BACK_OFF[check.failures] if check.failures < len(_CHECK_BACK_OFF) else CHECK_AGAIN
    if retry_after is not None:
        wait = min(max(wait, retry_after), NEXT_DAY)
    return replace(check, check_at=now + wait, failures=check.failures + 1)


def _share(key: str) -> float:
    """Return a number from 0 up to 1, without 1, that looks like chance."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6]) / (1 << 48)
