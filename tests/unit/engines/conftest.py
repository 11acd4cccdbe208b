"""What engines are given to work with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from strongroom.domain.engine import Present, Work
from strongroom.domain.limits import Limits
from strongroom.domain.secrets.model import Secret, SecretType, State
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.ids import DEFAULT_GROUP, IamId, SecretId
from strongroom.pki.keys import IssuedKey, KeySpec, generate_private_key

T = TypeVar("T")
AT = datetime(2026, 1, 15, 12, tzinfo=UTC)


class SameProcess:
    """Runs what a helper process would run, here; counts how often."""

    def __init__(self) -> None:
        self.runs = 0

    def run(self, fn: Callable[..., T], *args: Any) -> T:
        """Run it."""
        self.runs += 1
        return fn(*args)


class MakesAtOnce:
    """Makes keys when they are asked for."""

    def warm(self, spec: KeySpec) -> None:
        """Do nothing: a key is made when it is asked for."""

    def take(self, spec: KeySpec) -> IssuedKey:
        """Make one."""
        return generate_private_key(spec)


def telling_password(*, length: int, include_digits: bool, include_symbols: bool, include_uppercase: bool) -> str:
    """Return a password that tells how it was asked for."""
    flags = (include_digits, include_symbols, include_uppercase)
    return f"{length}{''.join('y' if flag else 'n' for flag in flags)}"


@pytest.fixture
def helpers() -> SameProcess:
    """Give the helper processes' stand-in."""
    return SameProcess()


@pytest.fixture
def work(clock: FrozenClock, helpers: SameProcess) -> Work:
    """Give what engines may use."""
    return Work(clock=clock, limits=Limits(), helpers=helpers, keys=MakesAtOnce(), generate_password=telling_password)


def present(
    kind: SecretType,
    payload: Mapping[str, Any] | None = None,
    private_state: Mapping[str, Any] | None = None,
    **members: Any,
) -> Present:
    """Return a secret as engines see it."""
    secret = Secret(
        id=SecretId("33333333-3333-4333-8333-333333333333"),
        secret_type=kind,
        name="known",
        group_id=DEFAULT_GROUP,
        created_at=AT,
        created_by=IamId("x"),
        updated_at=AT,
        **{"state": State.ACTIVE, **members},
    )
    return Present(secret=secret, payload=lambda: payload, private_state=lambda: private_state)
