"""What the operating system may do with this process."""

from __future__ import annotations

import resource
from typing import Final

_DESCRIPTORS: Final = 65_536
"""Enough for every connection that one process can serve; a million would make each new helper process close them."""


def limit_process() -> None:
    """Leave no image of the memory behind after a crash, and have room for many connections.

    Helper processes inherit both.
    """
    # The hard limit as well, so that nothing in here can allow it again.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    present, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if most == resource.RLIM_INFINITY else min(most, _DESCRIPTORS)
    if present != resource.RLIM_INFINITY and present < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
