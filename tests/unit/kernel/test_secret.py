from __future__ import annotations

import copy
import pickle

import pytest

from strongroom.kernel.secret import Secret

PLANTED = "planted-value"


def test_a_secret_is_revealed_only_on_request() -> None:
    assert Secret(PLANTED).reveal() == PLANTED


def test_no_way_of_printing_shows_it() -> None:
    secret = Secret(PLANTED)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>40}", f"{secret!r}", f"{[secret]}", "%s" % secret]  # noqa: UP031
    assert not [text for text in shown if PLANTED in text]


def test_it_has_no_dictionary_to_look_into() -> None:
    assert not hasattr(Secret(PLANTED), "__dict__")


def test_it_cannot_be_pickled_or_copied() -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(Secret(PLANTED))
    with pytest.raises(TypeError, match="cannot be pickled"):
        copy.copy(Secret(PLANTED))
