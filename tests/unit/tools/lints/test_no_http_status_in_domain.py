from __future__ import annotations

from tests.unit.tools.lints.conftest import Broken
from tools.lints.no_http_status_in_domain import check


def test_an_http_library_in_the_core_is_refused(broken: Broken) -> None:
    assert broken(check, "domain/secrets/service.py", "from http import HTTPStatus\n") == [1]
    assert broken(check, "kernel/errors.py", "import starlette\n") == [1]


def test_a_status_code_in_the_core_is_refused(broken: Broken) -> None:
    assert broken(check, "kernel/errors.py", "class Invalid:\n    status_code: int = 400\n") == [2]
    assert broken(check, "domain/x.py", "raise Gone(http_status=410)\n") == [1]
    assert broken(check, "engines/x.py", "def f(status_code): ...\n") == [1]


def test_the_edge_may(broken: Broken) -> None:
    assert broken(check, "api/problems.py", "from http import HTTPStatus\nstatus_code = 400\n") == []


def test_the_status_of_a_secret_is_fine(broken: Broken) -> None:
    assert broken(check, "domain/secrets/model.py", "rotation_status = 1\nimport httpx_like\n") == []
