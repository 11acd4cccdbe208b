"""Only the settings read environment variables, so that each has a name, a default and a line in the reference.

``runtime/settings.py`` reads them for the server, ``cli/profile.py`` for the commands.
"""

from __future__ import annotations

from collections.abc import Iterator

from tools.lints.model import Finding, Module, is_within, report

NAME = "only_settings_reads_environ"
_ALLOWED = ("runtime/settings.py", "cli/profile.py")
_NAMES = ("os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv", "os.unsetenv", "os.path.expandvars")


def check(module: Module) -> Iterator[Finding]:
    """Yield uses of the process environment elsewhere."""
    if module.lies_in(*_ALLOWED):
        return
    for line, name in module.references():
        if is_within(name, _NAMES):
            yield report(NAME, module, line, f"{name} is used outside {' and '.join(_ALLOWED)}")
