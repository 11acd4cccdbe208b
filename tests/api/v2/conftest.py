"""The server in process, with every answer of API v2 held to the model that the operation declares."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from pydantic import TypeAdapter

from strongroom.api.operations import Operation
from strongroom.api.tables import OPERATIONS
from strongroom.api.v2.schemas.base import Errors
from strongroom.kernel.clock import FrozenClock
from tests.conftest import START_OF_TESTS
from tests.peers.in_process import InProcess, in_process
from tests.peers.server import Answer

_PATHS: Final = [
    (operation, re.compile(re.sub(r"\{\w+\}", "[^/]+", operation.path) + r"(\?.*)?"))
    for operation in OPERATIONS
    if operation.path.startswith("/api/v2/")
]
_adapters: dict[str, TypeAdapter[Any]] = {}


def hold_to_model(method: str, path: str, answer: Answer) -> None:
    """Fail on an answer that is not what its operation declares, with undeclared members, or with a null."""
    assert answer.headers["x-global-transaction-id"]
    if not answer.raw:
        assert answer.status == 204
        return
    if answer.status >= 300:
        errors = Errors.model_validate(answer.json)
        assert errors.errors
        assert errors.status_code == answer.status
        assert errors.trace == answer.headers["x-global-transaction-id"]
        return
    operation = next(known for known, form in _PATHS if known.method == method and form.fullmatch(path))
    assert answer.headers["content-type"] == "application/json"
    _adapter(operation, answer.status).validate_python(answer.json)
    assert not list(_nulls(answer.json)), answer.raw


def _adapter(operation: Operation, status: int) -> TypeAdapter[Any]:
    model = operation.response if status == operation.status else operation.more_answers[status]
    return _adapters.setdefault(f"{operation.name} {status}", TypeAdapter(model))


def _nulls(value: Any, place: str = "") -> Iterator[str]:
    if place.endswith(("custom_metadata", ".data", ".attributes")):
        return  # the user's own objects
    if value is None:
        yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from _nulls(item, f"{place}.{name}")


def watch(server: InProcess) -> InProcess:
    """Hold every answer of the server from now on to its model."""
    send: Callable[..., Answer] = server.request

    def request(method: str, path: str, *given: Any, **more: Any) -> Answer:
        answer = send(method, path, *given, **more)
        if path.startswith("/api/v2/"):
            hold_to_model(method, path, answer)
        return answer

    server.request = request  # type: ignore[method-assign]
    return server


@pytest.fixture
def server(server: InProcess) -> InProcess:
    """Give a fresh server with a frozen clock whose answers are checked."""
    return watch(server)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """Give one server to the tests of a file that use names of their own and leave the clock alone."""
    with in_process(tmp_path_factory.mktemp("shared") / "data", FrozenClock(START_OF_TESTS)) as running:
        yield watch(running)
