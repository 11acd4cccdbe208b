from __future__ import annotations

from tests.unit.tools.lints.conftest import Broken
from tools.lints.no_async_in_core import check


def test_asynchronous_code_in_the_core_is_refused(broken: Broken) -> None:
    assert broken(check, "domain/x.py", "async def f():\n    await g()\n") == [1, 2]
    assert broken(check, "storage/x.py", "import asyncio\n") == [1]
    assert broken(check, "pki/x.py", "x = [y async for y in z]\n") == [1]


def test_the_edge_may(broken: Broken) -> None:
    assert broken(check, "api/x.py", "import asyncio\nasync def f():\n    await g()\n") == []
    assert broken(check, "runtime/x.py", "async def f(): ...\n") == []
