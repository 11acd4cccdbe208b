"""What providers import before they are used: the server must start quickly and stay small."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import importlib, sys
from strongroom.dns.providers import KINDS, Providers
for module, _ in KINDS.values():
    importlib.import_module(module)
heavy = {"acme", "apprise", "dns", "httpcore2", "httpx2", "lexicon", "requests", "tldextract", "urllib3"}
print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""


def test_modules_of_all_providers_bring_no_client_library() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.strip() == "[]"
