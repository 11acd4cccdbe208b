"""RSA keys made ahead, so that a request for one does not wait for it.

Processes of the lowest priority make them, and only after somebody asked for an RSA key: a server that issues none pays
nothing. The keys wait in memory, never on disk, and each is handed out once; those that a crash loses nobody has seen.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from strongroom.kernel.errors import ErrorCode, StrongroomError, Unavailable
from strongroom.pki.keys import IssuedKey, KeySpec, generate_key_der, generate_private_key, load_own_key_der
from strongroom.runtime.helper_processes import HelperProcesses

LOWEST_PRIORITY: Final = 19
"""Requests go first; whatever they leave makes keys."""
_MAKERS: Final = 2
_WAITING_AT_MOST: Final = 64
_TIMEOUT: Final = timedelta(seconds=120)
"""For one key: 8192 bits may take half a minute where others use the processor."""
_IDLE: Final = timedelta(seconds=5)


@dataclass(slots=True)
class _Shelf:
    """The keys of one size.

    Attributes:
        wanted: whether somebody has asked for this size, so that it is worth keeping.
        waiting: callers that found no key, the longest wait first.
        in_making: keys that processes are making.
        taken: keys handed out.
        misses: of those, keys that were not ready and had to be waited for.
        made: keys that processes have made.
    """

    wanted: bool = False
    ready: deque[IssuedKey] = field(default_factory=deque, repr=False)
    waiting: deque[Future[IssuedKey]] = field(default_factory=deque, repr=False)
    in_making: int = 0
    taken: int = 0
    misses: int = 0
    made: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPoolFigures:
    """What monitors see of the keys of one size; the counts are since the start."""

    bits: int
    depth: int
    taken: int
    misses: int
    made: int


class KeyPool:
    """Hands out private keys; implements the port `KeyMaker`.

    Args:
        size: keys kept ready of each size that was asked for; 0 makes each key when it is asked for.
        bits: RSA sizes that are worth keeping; others are made when asked for.
        makers: processes at most; 2, or 1 on a single processor, when not given.
        processes: makes the keys; processes of its own when not given.
    """

    def __init__(
        self,
        *,
        size: int = 64,
        bits: Sequence[int] = (2048,),
        makers: int | None = None,
        processes: HelperProcesses | None = None,
    ) -> None:
        self._size = size
        self._kept = frozenset(bits) if size else frozenset()
        self._makers = makers or min(_MAKERS, os.cpu_count() or 1)
        self._processes = processes or HelperProcesses(
            size=self._makers, timeout=_TIMEOUT, idle=_IDLE, niceness=LOWEST_PRIORITY
        )
        self._lock = threading.Lock()
        self._shelves: dict[int, _Shelf] = {}
        self._threads: set[threading.Thread] = set()
        self._closed = False

    def take(self, spec: KeySpec) -> IssuedKey:
        """Return a key that nobody else has or gets; blocks the calling thread when none is ready.

        Raises:
            Invalid: ``invalid_field`` for a size that Strongroom does not make.
            Unavailable: too many callers wait, or no process could make a key in time.
        """
        if spec.kind != "rsa":
            return generate_private_key(spec)
        spec.check()
        with self._lock:
            self._refuse_when_closed()
            shelf = self._shelves.setdefault(spec.bits, _Shelf())
            if shelf.ready:
                key = shelf.ready.popleft()
                shelf.taken += 1
                self._fill()
                return key
            if sum(len(other.waiting) for other in self._shelves.values()) >= _WAITING_AT_MOST:
                raise Unavailable(
                    ErrorCode.UNAVAILABLE, "Too many requests wait for an RSA key.", retry_after=timedelta(seconds=2)
                )
            shelf.wanted = spec.bits in self._kept
            shelf.misses += 1
            promised: Future[IssuedKey] = Future()
            shelf.waiting.append(promised)
            self._fill()
        return self._receive(shelf, promised)

    def warm(self, spec: KeySpec) -> None:
        """Begin to keep keys of this kind ready, if it is one that is kept; returns at once."""
        with self._lock:
            if spec.kind == "rsa" and spec.bits in self._kept and not self._closed:
                self._shelves.setdefault(spec.bits, _Shelf()).wanted = True
                self._fill()

    def figures(self) -> list[KeyPoolFigures]:
        """Return the state of each size that was asked for."""
        with self._lock:
            return [
                KeyPoolFigures(
                    bits=bits, depth=len(shelf.ready), taken=shelf.taken, misses=shelf.misses, made=shelf.made
                )
                for bits, shelf in sorted(self._shelves.items())
            ]

    def close(self) -> None:
        """Forget the keys, refuse who waits, and end the processes at once."""
        with self._lock:
            self._closed = True
            promises = [promised for shelf in self._shelves.values() for promised in shelf.waiting]
            for shelf in self._shelves.values():
                shelf.ready.clear()
                shelf.waiting.clear()
            threads = list(self._threads)
        for promised in promises:
            promised.set_exception(_stopping())
        self._processes.close()
        for thread in threads:
            thread.join(5)

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise _stopping()

    def _receive(self, shelf: _Shelf, promised: Future[IssuedKey]) -> IssuedKey:
        try:
            return promised.result(_TIMEOUT.total_seconds())
        except TimeoutError:
            with self._lock:
                # Nobody may be given a key who has gone.
                if promised in shelf.waiting:
                    shelf.waiting.remove(promised)
                    raise Unavailable(
                        ErrorCode.UNAVAILABLE, "No RSA key could be made in time.", retry_after=timedelta(seconds=10)
                    ) from None
            # Taken from the queue this very moment: it is coming.
            return promised.result()

    def _fill(self) -> None:
        """Start threads for keys that are missing; called with the lock held."""
        missing = sum(self._missing(bits, shelf) for bits, shelf in self._shelves.items())
        for _ in range(min(missing, self._makers - len(self._threads))):
            thread = threading.Thread(target=self._make, name="strongroom-keys", daemon=True)
            thread.start()
            self._threads.add(thread)

    def _missing(self, bits: int, shelf: _Shelf) -> int:
        """Return how many more keys of a size are to be begun."""
        target = self._size if shelf.wanted else 0
        return max(0, target + len(shelf.waiting) - len(shelf.ready) - shelf.in_making)

    def _next_size(self) -> int | None:
        """Return the size to make next: one that somebody waits for, else the one that lacks most."""
        missing = {bits: count for bits, shelf in self._shelves.items() if (count := self._missing(bits, shelf))}
        if self._closed or not missing:
            return None
        return max(missing, key=lambda bits: (len(self._shelves[bits].waiting), missing[bits]))

    def _make(self) -> None:
        """Make keys until none is missing; the body of a thread, which waits while a process works."""
        me = threading.current_thread()
        while True:
            with self._lock:
                bits = self._next_size()
                if bits is None:
                    self._threads.discard(me)
                    return
                shelf = self._shelves[bits]
                shelf.in_making += 1
            made: IssuedKey | StrongroomError
            try:
                made = load_own_key_der(self._processes.run(generate_key_der, KeySpec(kind="rsa", bits=bits)))
            except StrongroomError as error:
                made = error
            if not self._hand_over(shelf, made):
                return

    def _hand_over(self, shelf: _Shelf, made: IssuedKey | StrongroomError) -> bool:
        """Give a key, or why there is none, to who waits longest; tell whether to go on."""
        with self._lock:
            shelf.in_making -= 1
            promised = shelf.waiting.popleft() if shelf.waiting else None
            if isinstance(made, StrongroomError):
                if promised is None:
                    # Nobody waits for it: the next caller tries again, not a thread without end.
                    self._threads.discard(threading.current_thread())
                    return False
            else:
                shelf.made += 1
                if promised is not None:
                    shelf.taken += 1
                elif not self._closed:
                    shelf.ready.append(made)
        if promised is not None:
            if isinstance(made, StrongroomError):
                promised.set_exception(made)
            else:
                promised.set_result(made)
        return True


def _stopping() -> Unavailable:
    return Unavailable(ErrorCode.UNAVAILABLE, "The server is stopping.")
