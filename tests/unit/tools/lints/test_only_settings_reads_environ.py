from __future__ import annotations

from tests.unit.tools.lints.conftest import Broken
from tools.lints.only_settings_reads_environ import check


def test_reading_the_environment_elsewhere_is_refused(broken: Broken) -> None:
    assert broken(check, "storage/engine.py", "import os\nos.environ['HOME']\n") == [2]
    assert broken(check, "api/app.py", "from os import getenv\ngetenv('HOME')\n") == [2]
    assert broken(check, "cli/output.py", "import os as o\no.environ.get('NO_COLOR')\n") == [2]


def test_the_two_settings_modules_may(broken: Broken) -> None:
    assert broken(check, "runtime/settings.py", "import os\nos.environ\n") == []
    assert broken(check, "cli/profile.py", "import os\nos.environ\n") == []


def test_other_uses_of_os_are_fine(broken: Broken) -> None:
    assert broken(check, "storage/engine.py", "import os\nos.replace('a', 'b')\n") == []
