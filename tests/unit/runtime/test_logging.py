"""Logs: JSON lines, and no secret in any of them."""

from __future__ import annotations

import json
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from strongroom.kernel.errors import ErrorCode, Internal, Unavailable
from strongroom.kernel.secret import STARS, Secret, scrub
from strongroom.runtime.logging import Log, StandardLogs, configure_logging, logger

PLANTED = "planted-value-5f21"
PEM = f"-----BEGIN EC PRIVATE KEY-----\n{PLANTED}\n-----END EC PRIVATE KEY-----"

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """Configure the logs as the server does, and give what was written."""
    root = logging.getLogger()
    level, hook = root.level, threading.excepthook
    configure_logging("info")

    def written() -> list[dict[str, Any]]:
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    yield written
    for handler in list(root.handlers):
        if isinstance(handler, StandardLogs):
            root.removeHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    threading.excepthook = hook
    Log.set_level(logging.INFO)


def test_line_is_one_json_object_with_level_time_and_logger(lines: Lines) -> None:
    logger("worker").warning("job failed", job="j1", attempts=3)
    (line,) = lines()
    at = datetime.fromisoformat(line.pop("timestamp"))
    assert at.tzinfo is not None
    assert line == {"event": "job failed", "level": "warning", "component": "worker", "job": "j1", "attempts": 3}


def test_lines_below_the_level_are_not_written(lines: Lines) -> None:
    logger("x").debug("quiet")
    logging.getLogger("other").debug("quiet")
    logger("x").info("loud")
    assert [line["event"] for line in lines()] == ["loud"]


def test_chatty_libraries_are_heard_from_warnings_on(lines: Lines) -> None:
    logging.getLogger("alembic.runtime.migration").info("Context impl SQLiteImpl.")
    logging.getLogger("alembic.runtime.migration").warning("trouble")
    assert [line["event"] for line in lines()] == ["trouble"]


def test_configuring_twice_writes_each_line_once(lines: Lines) -> None:
    configure_logging("error")
    logging.getLogger("uvicorn.error").error("bad %s", "day")
    assert [line["event"] for line in lines()] == ["bad day"]


@pytest.mark.parametrize(
    "name",
    [
        "private_key",
        "payload",
        "apikey",
        "API-Key",
        "access_token",
        "password",
        "authorization",
        "Set-Cookie",
        "passphrase",
    ],
)
def test_members_with_a_telling_name_are_stars(lines: Lines, name: str) -> None:
    logger("x").info("event", **{name: PLANTED}, nested={"deep": [{name: {"a": PLANTED}}]})
    (line,) = lines()
    assert line[name] == STARS
    assert PLANTED not in json.dumps(line)


@pytest.mark.parametrize(
    "value",
    [
        Secret(PLANTED),
        [Secret(PLANTED)],
        {"value": Secret(PLANTED)},
        PLANTED.encode(),
        bytearray(PLANTED.encode()),
        PEM,
        f"key: {PEM} and more",
        PEM.split("-----END", maxsplit=1)[0],
        f"Authorization: Bearer {PLANTED}",
        f"eyJhbGciOiJSUzI1NiJ9.{PLANTED}.c2lnbmF0dXJl",
        f"sr_{PLANTED}{PLANTED}",
        Unavailable(ErrorCode.UNAVAILABLE, PLANTED),
        {"a": {"b": {"c": {"d": {"e": {"f": {"g": PLANTED}}}}}}},
    ],
)
def test_secret_values_are_not_written(lines: Lines, value: object) -> None:
    logger("x").info("event", value=value)
    assert PLANTED not in json.dumps(lines())


def test_secret_inside_the_message_itself_is_not_written(lines: Lines) -> None:
    logging.getLogger("library").warning("using %s", PEM)
    logger("x").warning(PEM)
    assert [line["event"] for line in lines()] == [f"using {STARS}", STARS]


def test_ordinary_text_stays_as_it_is() -> None:
    for text in ("secret s1 rotated", "-----BEGIN CERTIFICATE-----", "eyJ", "sr_short", "bearer of news"):
        assert scrub(text) == text


def test_plain_values_keep_their_meaning(lines: Lines) -> None:
    logger("x").info(
        "event",
        code=ErrorCode.NOT_FOUND,
        at=datetime(2026, 3, 2, tzinfo=UTC),
        took=timedelta(seconds=1.5),
        path=Path("data/tls"),
        items=("a", 1, None, True),
        odd=object(),
        names={"one"},
    )
    (line,) = lines()
    assert line["code"] == "not_found"
    assert line["at"] == "2026-03-02T00:00:00+00:00"
    assert line["took"] == 1.5
    assert line["path"] == "data/tls"
    assert line["items"] == ["a", 1, None, True]
    assert line["odd"] == "<object>"
    assert line["names"] == ["one"]


def fail(error: Exception) -> None:
    private_key = PLANTED  # noqa: F841  (locals must not show)
    raise error


def test_error_shows_type_and_places_but_no_values(lines: Lines) -> None:
    try:
        fail(ValueError(PLANTED))
    except ValueError as error:
        logger("x").error("it broke", exc_info=error)
    (line,) = lines()
    assert line["error"]["type"] == "ValueError"
    assert any(place.endswith(" fail") for place in line["error"]["at"])
    assert "message" not in line["error"]
    assert PLANTED not in json.dumps(line)


def test_text_of_our_own_errors_is_kept_with_code_and_causes(lines: Lines) -> None:
    try:
        try:
            fail(KeyError(PLANTED))
        except KeyError as cause:
            raise Internal(ErrorCode.INTERNAL, "The index is out of step.") from cause
    except Internal:
        logger("x").error("it broke", exc_info=True)
    (line,) = lines()
    error = line["error"]
    assert (error["message"], error["code"], error["causes"]) == (
        "The index is out of step.",
        "internal_error",
        ["KeyError"],
    )


def test_missing_error_is_no_problem(lines: Lines) -> None:
    logger("x").error("it broke", exc_info=True)
    assert "error" not in lines()[0]


def test_errors_of_libraries_are_described_alike(lines: Lines) -> None:
    try:
        fail(ValueError(PLANTED))
    except ValueError:
        logging.getLogger("strongroom.storage.writer").exception("a batch failed")
    (line,) = lines()
    assert (line["level"], line["component"], line["error"]["type"]) == (
        "error",
        "strongroom.storage.writer",
        "ValueError",
    )
    assert PLANTED not in json.dumps(line)


def test_record_that_cannot_be_written_names_its_logger_only(lines: Lines) -> None:
    StandardLogs().handle(logging.LogRecord("library", logging.ERROR, "library.py", 7, "%d", (PLANTED,), None))
    (line,) = lines()
    assert line == {"event": "a log record could not be written", "component": "library"}


def test_warnings_are_logged(lines: Lines) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old ways", UserWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    assert "old ways" in lines()[0]["event"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_thread_that_dies_is_reported_without_values(lines: Lines) -> None:
    configure_logging("info")
    thread = threading.Thread(target=fail, args=(ValueError(PLANTED),), name="poor-thing")
    thread.start()
    thread.join()
    (line,) = lines()
    assert (line["event"], line["thread"]) == ("a thread ended by an error", "poor-thing")
    assert PLANTED not in json.dumps(line)


def test_path_of_the_installation_is_not_shown(lines: Lines) -> None:
    try:
        Secret(1).__reduce__()
    except TypeError as error:
        logger("x").error("it broke", exc_info=error)
    assert "strongroom/kernel/secret.py" in lines()[0]["error"]["at"][-1].split(":")[0]
    assert not lines()
