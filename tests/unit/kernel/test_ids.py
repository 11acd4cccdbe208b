from __future__ import annotations

import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from strongroom.kernel.ids import Instance, is_uuid, new_uuid

INSTANCE = Instance(id="8d43e2b8-9d3c-4d1b-8b9f-0b5a3f1f9a11", account_id="0" * 32, region="local")


def test_new_ids_are_different_uuids() -> None:
    first, second = new_uuid(), new_uuid()
    assert first != second
    assert is_uuid(first)
    assert is_uuid(second)


@pytest.mark.parametrize("text", ["", "default", INSTANCE.id.upper(), f"{INSTANCE.id}\n", INSTANCE.id.replace("-", "")])
def test_another_text_is_no_uuid(text: str) -> None:
    assert not is_uuid(text)


def test_the_instance_and_its_secrets_have_resource_names() -> None:
    prefix = f"crn:v1:bluemix:public:secrets-manager:local:a/{'0' * 32}:{INSTANCE.id}"
    assert INSTANCE.crn == f"{prefix}::"
    assert INSTANCE.secret_crn("abc") == f"{prefix}:secret:abc"


def test_new_identifiers_are_random_uuids_and_never_twice_the_same() -> None:
    made = [new_uuid() for _ in range(3000)]

    assert len(set(made)) == 3000
    assert all(str(uuid.UUID(text)) == text for text in made)
    assert {(uuid.UUID(text).version, uuid.UUID(text).variant) for text in made} == {(4, uuid.RFC_4122)}


def test_threads_never_get_the_same_identifier() -> None:
    with ThreadPoolExecutor(4) as threads:
        made = [text for part in threads.map(lambda _: [new_uuid() for _ in range(2000)], range(4)) for text in part]

    assert len(set(made)) == 8000


def test_forked_process_makes_identifiers_of_its_own() -> None:
    code = (
        "import os, sys\n"
        "from strongroom.kernel.ids import new_uuid\n"
        "new_uuid()\n"
        "reading, writing = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    os.write(writing, new_uuid().encode())\n"
        "    os._exit(0)\n"
        "sys.exit(os.read(reading, 36).decode() == new_uuid())\n"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
