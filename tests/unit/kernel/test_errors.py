from __future__ import annotations

import pytest

from strongroom.kernel.errors import ErrorCode, Internal, Invalid, NotFound, Problems, StrongroomError


def test_every_error_is_caught_by_the_root_of_the_tree() -> None:
    kinds = StrongroomError.__subclasses__()
    assert {Invalid, NotFound, Internal} <= set(kinds)
    assert all(kind.__doc__ for kind in kinds)


def test_error_codes_are_stable_lower_case_words() -> None:
    assert all(code.value.replace("_", "").isalnum() and code.value.islower() for code in ErrorCode)


def test_diagnostics_add_what_to_try_next_and_each_cause() -> None:
    causes = [
        Invalid(ErrorCode.MISSING_FIELD, "say a name", field="name"),
        Invalid(ErrorCode.INVALID_FIELD, "no field"),
    ]
    error = Invalid(ErrorCode.INVALID_FIELD, "two problems", hint="send both", causes=causes)
    assert error.diagnostics() == "two problems\nsend both\nname: say a name\nno field"
    assert Invalid(ErrorCode.INVALID_FIELD, "one problem").diagnostics() == "one problem"


def test_without_a_problem_nothing_is_raised() -> None:
    Problems().raise_any()


def test_a_single_problem_is_raised_as_it_is() -> None:
    problems = Problems()
    problem = Invalid(ErrorCode.KEY_MISMATCH, "another key", field="private_key")
    problems.note(problem)
    with pytest.raises(Invalid) as caught:
        problems.raise_any()
    assert caught.value is problem


def test_several_problems_are_raised_together_in_their_order() -> None:
    problems = Problems()
    problems.add("name", "too long", hint="at most 256 characters")
    nested = [
        Invalid(ErrorCode.MISSING_FIELD, "b", field="labels"),
        Invalid(ErrorCode.MISSING_FIELD, "c", field="type"),
    ]
    problems.note(Invalid(ErrorCode.MISSING_FIELD, "b", causes=nested))
    with pytest.raises(Invalid) as caught:
        problems.raise_any()
    assert [cause.field for cause in caught.value.causes] == ["name", "labels", "type"]
    assert (caught.value.field, caught.value.detail, caught.value.hint) == (
        "name",
        "too long",
        "at most 256 characters",
    )
