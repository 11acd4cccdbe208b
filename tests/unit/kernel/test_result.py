from __future__ import annotations

import dataclasses

import pytest

from strongroom.kernel.result import Notice, Page, Sort


def test_pages_sorts_and_notices_cannot_be_changed() -> None:
    for value in (Page(items=[1], total=1, limit=1, offset=0), Sort(key="name"), Notice(code="sha1", message="weak")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, type(value).__slots__[0], None)


def test_sorting_is_upwards_unless_said() -> None:
    assert not Sort(key="name").descending
