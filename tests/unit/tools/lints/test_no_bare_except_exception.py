from __future__ import annotations

from tests.unit.tools.lints.conftest import Broken
from tools.lints.no_bare_except_exception import check


def test_catching_everything_is_refused(broken: Broken) -> None:
    assert broken(check, "domain/x.py", "try:\n    f()\nexcept Exception:\n    pass\n") == [3]
    assert broken(check, "api/x.py", "try:\n    f()\nexcept:\n    pass\n") == [3]
    assert broken(
        check, "api/x.py", "try:\n    f()\nexcept (ValueError, BaseException) as e:\n    raise X from e\n"
    ) == [3]


def test_suppressing_everything_is_refused(broken: Broken) -> None:
    assert broken(check, "domain/x.py", "import contextlib\nwith contextlib.suppress(Exception):\n    f()\n") == [2]


def test_tidying_up_and_raising_again_is_fine(broken: Broken) -> None:
    assert broken(check, "storage/x.py", "try:\n    f()\nexcept BaseException:\n    undo()\n    raise\n") == []


def test_named_errors_are_fine(broken: Broken) -> None:
    assert broken(check, "domain/x.py", "try:\n    f()\nexcept (ValueError, KeyError):\n    pass\n") == []
    assert broken(check, "domain/x.py", "import contextlib\nwith contextlib.suppress(OSError):\n    f()\n") == []


def test_the_outermost_layer_may(broken: Broken) -> None:
    assert broken(check, "runtime/worker.py", "try:\n    f()\nexcept Exception:\n    pass\n") == []
    assert broken(check, "api/problems.py", "try:\n    f()\nexcept Exception:\n    pass\n") == []
