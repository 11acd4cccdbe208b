"""A program of the operator's own that writes the records.

It is called as ``PROGRAM present NAME VALUE`` and ``PROGRAM cleanup NAME VALUE``, without a shell, and ends with status
0 once the record is there, or is not there any more. Calling it twice must do no harm. Other statuses are failures;
three of ``sysexits.h`` are told apart: 68 (unknown name) means that no zone of its holds the name, 77 that it has no
permission; after 75 (temporary failure) it is called again later.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from strongroom.dns.kinds import Fields, ProviderContext
from strongroom.dns.program import run
from strongroom.dns.vendor import CLEANUP, PRESENT
from strongroom.domain.orders.dns import DnsProblem, DnsRefusal, PropagationTiming, TxtRecord
from strongroom.kernel.errors import ErrorCode, Unavailable
from strongroom.kernel.secret import scrub

_TIMING: Final = PropagationTiming(limit=timedelta(minutes=10), poll=timedelta(seconds=5))
_LIMIT: Final = timedelta(seconds=60)
_RETRY: Final = timedelta(seconds=60)
_PATH: Final = re.compile(r"/[^\0]+")
_ENVIRONMENT: Final = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
_NOT_ALLOWED: Final = "Programs may not be run: the operator has to set exec_allowed = true in the [dns] table."
_TEMPORARY: Final = 75
_NO_PERMISSION: Final = 77
_NO_ZONE: Final = 68
_SHOWN: Final = 300


class ExecKind:
    """Settings ``exec_``.

    Args:
        limit: how long the program may take.
    """

    secret_members: frozenset[str] = frozenset()

    def __init__(self, limit: timedelta = _LIMIT) -> None:
        self._limit = limit

    def check(self, fields: Fields, context: ProviderContext) -> None:
        """Read every member once."""
        fields.text("exec_program", most=1024, form=_PATH, says="the absolute path of a program")
        if not context.exec_allowed:
            fields.refuse("exec_program", _NOT_ALLOWED)

    def build(self, values: Mapping[str, Any], context: ProviderContext) -> Exec:
        """Return the provider; the program is not run."""
        return Exec(values["exec_program"], is_allowed=context.exec_allowed, limit=self._limit)


class Exec:
    """Runs the program.

    Args:
        program: absolute path.
        is_allowed: what the setting says now; it may have changed since the configuration was made.
        limit: how long the program may take.
    """

    def __init__(self, program: str, *, is_allowed: bool, limit: timedelta) -> None:
        self._program = program
        self._is_allowed = is_allowed
        self._limit = limit

    @property
    def timing(self) -> PropagationTiming:
        """Return how long records take to be seen."""
        return _TIMING

    @property
    def servers(self) -> Mapping[str, int]:
        """Return nothing: the program does not say."""
        return {}

    def zones(self) -> Sequence[str]:
        """Return nothing: the program does not say."""
        return ()

    def present(self, record: TxtRecord) -> None:
        """Have the record added."""
        self._run(PRESENT, record)

    def cleanup(self, record: TxtRecord, handle: str | None) -> None:
        """Have the record removed."""
        del handle
        self._run(CLEANUP, record)

    def _run(self, step: str, record: TxtRecord) -> None:
        if not self._is_allowed:
            raise DnsProblem(_NOT_ALLOWED, refusal=DnsRefusal.AUTHORIZATION, step=step)
        self._look_at_program(step)
        try:
            ended = run([self._program, step, record.name, record.value], environment=_ENVIRONMENT, limit=self._limit)
        except OSError as error:
            raise self._error(f"cannot be run ({error.strerror})", step) from None
        if ended.status == 0:
            return
        if ended.status is None:
            raise Unavailable(
                ErrorCode.UNAVAILABLE,
                f"The program {self._program} was stopped: {step} took longer than {self._limit.total_seconds():g} s.",
                retry_after=_RETRY,
            )
        said = scrub(ended.output)[:_SHOWN]
        words = f'said "{said}" and ' if said else ""
        if ended.status == _TEMPORARY:
            detail = f"The program {self._program} {words}asks to be called again later."
            raise Unavailable(ErrorCode.UNAVAILABLE, detail, retry_after=_RETRY)
        if ended.status == _NO_PERMISSION:
            detail = f"The program {self._program} {words}has no permission to {step}."
            raise DnsProblem(detail, refusal=DnsRefusal.AUTHORIZATION, step=step)
        if ended.status == _NO_ZONE:
            detail = f"The program {self._program} {words}knows no zone that holds {record.name}."
            raise DnsProblem(detail, refusal=DnsRefusal.NO_ZONE, step=step)
        raise self._error(f"{words}ended with status {ended.status} when called to {step}", step)

    def _look_at_program(self, step: str) -> None:
        """Refuse what is no program, or what anybody on the machine can change."""
        try:
            mode = os.stat(self._program).st_mode  # noqa: PTH116  (the path is given as text and stays it)
        except OSError as error:
            raise self._error(f"cannot be found ({error.strerror})", step) from None
        if not stat.S_ISREG(mode) or not os.access(self._program, os.X_OK):
            raise self._error("is not a file that this server may run", step)
        if mode & stat.S_IWOTH:
            raise self._error("is not run because everybody may write to it", step)

    def _error(self, what: str, step: str) -> DnsProblem:
        return DnsProblem(f"The program {self._program} {what}.", refusal=DnsRefusal.ERROR, step=step)
