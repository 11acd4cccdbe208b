from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from strongroom.cli.errors import CommandError, Exit, ServerRefused, error_body, error_lines, exit_code_of, problems_of
from strongroom.cli.output import Format, apply_query, render
from strongroom.kernel.errors import (
    Conflict,
    ErrorCode,
    Forbidden,
    Integrity,
    Invalid,
    NotFound,
    Problems,
    StrongroomError,
    Unauthenticated,
    Unavailable,
)
from tests.unit.cli.conftest import CERTIFICATE, LEAF, SECRET_ID, Answer, FakeServer, Strongroom


@pytest.fixture
def shop(server: FakeServer) -> None:
    server.on("GET", f"/api/v2/secrets/{SECRET_ID}", Answer(200, CERTIFICATE))
    server.on("GET", "/api/v2/secrets", Answer(200, {"secrets": [CERTIFICATE], "total_count": 1}))


@pytest.mark.usefixtures("shop")
def test_json_is_the_answer_unchanged(strongroom: Strongroom) -> None:
    ran = strongroom("secret", "--id", SECRET_ID, "--output", "json")
    assert ran.out == json.dumps(CERTIFICATE, indent=2, ensure_ascii=False) + "\n"


@pytest.mark.usefixtures("shop")
def test_yaml_is_the_same_data(strongroom: Strongroom) -> None:
    ran = strongroom("--output", "yaml", "secret", "--id", SECRET_ID)
    assert yaml.safe_load(ran.out) == CERTIFICATE


@pytest.mark.usefixtures("shop")
def test_a_table_shows_dotted_members_and_whole_pem_blocks(strongroom: Strongroom) -> None:
    lines = strongroom("secret", "--id", SECRET_ID).out
    assert "validity.not_after" in lines
    assert "dev, us-south" in lines
    assert f"\ncertificate:\n{LEAF}" in lines


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("words", "out"),
    [
        (["-j", "certificate"], LEAF),
        (["-j", "name"], "shop-web\n"),
        (["--jmes-query", "labels"], "dev\nus-south\n"),
        (["-j", "missing"], ""),
        (["-j", "missing", "-o", "json"], "null\n"),
        (["-j", "name", "-o", "json"], '"shop-web"\n'),
        (["-j", "state"], "1\n"),
    ],
)
def test_a_query_leaves_only_what_it_finds(strongroom: Strongroom, words: list[str], out: str) -> None:
    ran = strongroom("secret", "--id", SECRET_ID, *words)
    assert (ran.code, ran.out) == (0, out)


@pytest.mark.usefixtures("shop")
def test_a_query_replaces_the_built_in_one(strongroom: Strongroom) -> None:
    assert strongroom("secrets", "-j", "secrets[*].{State:state,Name:name}").out == "State   Name\n1       shop-web\n"
    assert strongroom("secrets", "-o", "json").json["total_count"] == 1


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("query", ["secrets[", "abs('x')"])
def test_a_query_that_does_not_compile_is_a_usage_error(strongroom: Strongroom, query: str) -> None:
    ran = strongroom("secrets", "-j", query)
    assert (ran.code, ran.out) == (2, "")
    assert "--jmes-query" in ran.err
    with pytest.raises(CommandError):
        apply_query(query, {})


def test_columns_of_whole_items_begin_with_ids_and_names() -> None:
    rows = [{"zone": {"a": 1}, "name": "n", "alias": None, "secret_id": "s", "id": "i", "b": True}, {"id": "j"}]
    heading, first, _ = render(rows, Format.TABLE, star=True).splitlines()
    assert heading.split() == ["id", "name", "secret_id", "alias", "b", "zone"]
    assert first.split() == ["i", "n", "s", "true", '{"a":1}']


@pytest.mark.parametrize(
    ("data", "out"),
    [
        (None, ""),
        ([], ""),
        ({}, ""),
        ([1, "a", None, {"x": 1}], '1\na\n\n{"x":1}\n'),
        ([{"a": "two\nlines"}], "a\ntwo\\nlines\n"),
        ({"list": ["a,b", "c"], "empty": {}}, 'list    ["a,b","c"]\nempty   {}\n'),
        ({"only": "a\nb"}, "only:\na\nb\n"),
        ({"a": "\ud800"}, "a   ?\n"),
        (True, "true\n"),
    ],
)
def test_tables_of_every_shape(data: Any, out: str) -> None:
    assert render(data, Format.TABLE) == out


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Invalid(ErrorCode.SETTINGS_INVALID, "x"), Exit.USAGE),
        (Unauthenticated(ErrorCode.TOKEN_MISSING, "x"), Exit.NOT_ALLOWED),
        (Forbidden(ErrorCode.FORBIDDEN, "x"), Exit.NOT_ALLOWED),
        (NotFound(ErrorCode.NOT_FOUND, "x"), Exit.NOT_FOUND),
        (Conflict(ErrorCode.STORE_NOT_EMPTY, "x"), Exit.CONFLICT),
        (Unavailable(ErrorCode.UNAVAILABLE, "x"), Exit.UNREACHABLE),
        (Integrity(ErrorCode.MASTER_KEY_WRONG, "x"), Exit.REFUSED),
        (CommandError("x", exit_code=Exit.WORK_FAILED), Exit.WORK_FAILED),
    ],
)
def test_every_category_has_an_exit_code(error: StrongroomError, code: Exit) -> None:
    assert exit_code_of(error) is code
    assert error_body(error)["exit_code"] == code


def test_several_problems_are_all_printed() -> None:
    problems = Problems()
    problems.add("listen", "listen must be HOST:PORT.", hint="Such as 127.0.0.1:8443.")
    problems.add("workers", "workers must be 1.")
    with pytest.raises(Invalid) as caught:
        problems.raise_any()
    lines = error_lines(caught.value)
    assert "listen must be HOST:PORT." in lines
    assert "workers: workers must be 1." in lines
    assert lines[-1] == "Such as 127.0.0.1:8443."


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ({"errors": [{"message": "No."}]}, "No."),
        ({"errors": [{}, "x"]}, "No reason was given."),
        ({"errors": [], "message": "No."}, "No."),
        ({"errorMessage": "No.", "errorDetails": "Never.", "errorCode": "E1"}, "No. Never. (E1)"),
        ({"error": "No."}, "No."),
        ({"errors": [{"message": "name is taken.", "target": {"name": "name"}}]}, "name is taken."),
    ],
)
def test_errors_of_every_form_are_read(body: dict[str, Any], line: str) -> None:
    assert problems_of(body)[0].line() == line


def test_an_error_without_words_names_its_status() -> None:
    error = ServerRefused(status=418, body={})
    assert error_lines(error) == ["The server answered with status 418."]
    assert error.code is ErrorCode.UPSTREAM_REFUSED
