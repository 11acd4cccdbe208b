from __future__ import annotations

from tests.unit.tools.lints.conftest import Broken
from tools.lints.third_party_in_its_layer import check


def test_a_package_of_another_layer_is_refused(broken: Broken) -> None:
    assert broken(check, "domain/x.py", "from pydantic import BaseModel\n") == [1]
    assert broken(check, "kernel/x.py", "import cryptography.x509\n") == [1]
    assert broken(check, "cli/x.py", "def f():\n    import starlette\n") == [2]


def test_a_layer_uses_its_own_packages_and_the_standard_library(broken: Broken) -> None:
    assert (
        broken(check, "pki/x.py", "import json\nfrom cryptography import x509\nfrom strongroom.kernel import time\n")
        == []
    )
    assert broken(check, "__init__.py", "import re\n") == []


def test_a_layer_that_nobody_described_is_refused(broken: Broken) -> None:
    assert broken(check, "helpers/x.py", "import json\n") == [1]
