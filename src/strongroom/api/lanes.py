"""Threads for one kind of requests, apart from those for the others.

Who waits for a signature or for a key must not keep those waiting who only read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Final, TypeVar

from strongroom.kernel.errors import ErrorCode, Unavailable

T = TypeVar("T")

_RETRY_AFTER: Final = timedelta(seconds=1)


class Lane:
    """A few threads, and room for so many more requests.

    Args:
        name: of the threads.
        threads: requests at work at once.
        waiting: requests that may wait for a thread; each is in memory meanwhile.
        full: what a request is told that finds no room.
    """

    def __init__(self, name: str, *, threads: int, waiting: int, full: str) -> None:
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)
        self._most = threads + waiting
        self._full = full
        self._now = 0

    async def run(self, fn: Callable[[], T]) -> T:
        """Run something in one of the threads.

        Raises:
            Unavailable: too many wait already.
        """
        if self._now >= self._most:
            raise Unavailable(ErrorCode.UNAVAILABLE, self._full, retry_after=_RETRY_AFTER)
        self._now += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, fn)
        finally:
            self._now -= 1

    def close(self) -> None:
        """End the threads after their present work."""
        self._threads.shutdown(wait=True)
