"""PKCS#11 tokens in software, in a folder of their own.

SoftHSM reads its configuration when a process first uses it, so all tests of a worker share one set of tokens; their
keys are told apart by label.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.needs import leave_out, require

TOKEN = "authorities"
OTHER_TOKEN = "others"
USER_PIN = "planted-pin-4711"
_SO_PIN = "planted-so-pin-0815"
_LIBRARIES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so", "/usr/lib64/libsofthsm2.so")
_VARIABLE = "SOFTHSM2_CONF"


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftHsm:
    """Two tokens, `TOKEN` and `OTHER_TOKEN`, with the same PIN.

    Attributes:
        library: the shared object to load.
        environment: what a process that uses it needs to find the tokens.
    """

    library: Path
    environment: Mapping[str, str]

    def new_label(self) -> str:
        """Return a label that no key has."""
        return f"key-{secrets.token_hex(4)}"


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftHsm]:
    """Give tokens that were just initialised, or leave the test out where SoftHSM is not installed."""
    made = make_tokens(tmp_path_factory.mktemp("softhsm"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in made.environment.items():
            patch.setenv(name, value)
        yield made


def make_tokens(folder: Path) -> SoftHsm:
    """Initialise tokens below a folder, in its ``tokens``, for processes that are given the environment."""
    program = require("softhsm2")
    library = next((Path(place) for place in _LIBRARIES if Path(place).is_file()), None)
    if library is None:
        leave_out("the library of the system package 'softhsm2' is not where it is looked for")
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n", encoding="utf-8")
    environment = {_VARIABLE: str(configuration)}
    for label in (TOKEN, OTHER_TOKEN):
        command = [str(program), "--init-token", "--free", "--label", label, "--pin", USER_PIN, "--so-pin", _SO_PIN]
        subprocess.run(command, check=True, capture_output=True, env=os.environ | environment, timeout=60)
    return SoftHsm(library=library, environment=environment)
