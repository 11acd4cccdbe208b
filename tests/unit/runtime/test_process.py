"""What the operating system may do with the server."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
from strongroom.runtime.process import limit_process
limit_process()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
print(resource.getrlimit(resource.RLIMIT_CORE), soft == min(hard, 65536) if hard > 0 else soft == 65536)
"""


def test_a_crash_leaves_no_memory_behind_and_connections_have_room() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, check=True)

    assert ended.stdout == "(0, 0) True\n"
