from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from strongroom.hsm.key_token import Pkcs11KeyToken
from strongroom.kernel.ids import SecretId
from tests.peers.softhsm import TOKEN, USER_PIN, SoftHsm

PIN_SECRET = "3c1f6c6a-1a55-4d6e-9c39-0d6ad0f2b4f1"


class Pins:
    """The secrets that hold PINs."""

    def __init__(self) -> None:
        self.values = {PIN_SECRET: USER_PIN}
        self.asked = 0

    def __call__(self, secret_id: SecretId) -> str:
        self.asked += 1
        return self.values[secret_id]


@pytest.fixture
def pins() -> Pins:
    return Pins()


@pytest.fixture
def token(softhsm: SoftHsm, pins: Pins) -> Pkcs11KeyToken:
    return Pkcs11KeyToken(softhsm.library, pins)


@pytest.fixture
def crypto_key(softhsm: SoftHsm) -> Callable[..., dict[str, Any]]:
    """Give the function that makes references, with a new label unless there is an id or another label."""

    def make(**changes: Any) -> dict[str, Any]:
        provider = {"type": "pkcs11", "token_label": TOKEN, "pin_secret_id": PIN_SECRET}
        provider |= {name: changes.pop(name) for name in tuple(provider) if name in changes}
        named = {} if "id" in changes else {"label": softhsm.new_label()}
        return {**named, "allow_generate_key": True, "provider": provider, **changes}

    return make
